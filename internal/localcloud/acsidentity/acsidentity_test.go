package acsidentity

import (
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"acsauth/internal/localcloud/wire"
	"acsauth/internal/secret"
)

const (
	key        = "a2V5LWZvci10ZXN0cw=="
	resourceID = "11111111-2222-3333-4444-555555555555"
	appID      = "cccccccc-0000-4000-8000-000000000001"
	aliceID    = "dddddddd-0000-4000-8000-000000000002"
	tenantID   = "eeeeeeee-0000-4000-8000-000000000003"
	newest     = "2026-09-23"
)

// resource is a Server with a clock to turn.
type resource struct {
	*Server
	t   *testing.T
	now time.Time
}

func newResource(t *testing.T) *resource {
	t.Helper()
	res := &resource{t: t, now: time.Date(2026, 11, 22, 15, 0, 0, 123456700, time.UTC)}
	var err error
	res.Server, err = New(Config{
		AccessKey:  secret.New(key),
		ResourceID: strings.ToUpper(resourceID),
		CheckTeamsToken: func(raw string) (TeamsClaims, error) {
			scopes, ok := strings.CutPrefix(raw, "teams ")
			if !ok {
				return TeamsClaims{}, errors.New("not a token")
			}
			expires := time.Date(2026, 11, 22, 16, 10, 5, 0, time.UTC)
			return TeamsClaims{AppID: appID, OID: aliceID, TID: tenantID, Scopes: strings.Fields(scopes), ExpiresAt: expires}, nil
		},
		Now: func() time.Time { return res.now },
	})
	require.NoError(t, err)
	return res
}

// sign does what a client does, for the names in the order given.
func sign(r *http.Request, key, names string, now time.Time, body string) {
	sum := sha256.Sum256([]byte(body))
	date := now.UTC().Format(http.TimeFormat)
	value := map[string]string{
		"x-ms-date": date, "date": date, "host": r.Host,
		"x-ms-content-sha256": base64.StdEncoding.EncodeToString(sum[:]),
	}
	var values []string
	for name := range strings.SplitSeq(names, ";") {
		v := value[strings.ToLower(name)]
		values = append(values, v)
		r.Header.Set(name, v)
	}
	secret, err := base64.StdEncoding.DecodeString(key)
	if err != nil {
		panic(err)
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(r.Method + "\n" + r.RequestURI + "\n" + strings.Join(values, ";")))
	r.Header.Set("Authorization", "HMAC-SHA256 SignedHeaders="+names+"&Signature="+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
}

// do sends a signed request; path is without the query.
func (res *resource) do(method, path, version, body string) *httptest.ResponseRecorder {
	res.t.Helper()
	r := httptest.NewRequest(method, path+"?api-version="+version, strings.NewReader(body))
	r.Header.Set("x-ms-client-request-id", "request-1")
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	sign(r, key, "x-ms-date;host;x-ms-content-sha256", res.now, body)
	w := httptest.NewRecorder()
	res.ServeHTTP(w, r)
	return w
}

func object(t *testing.T, w *httptest.ResponseRecorder) (o map[string]any) {
	t.Helper()
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &o), "%s", w.Body)
	return o
}

// member walks down to a string in nested objects.
func member(t *testing.T, o map[string]any, path ...string) string {
	t.Helper()
	for _, name := range path[:len(path)-1] {
		next, ok := o[name].(map[string]any)
		require.True(t, ok, "%s in %v", name, o)
		o = next
	}
	s, ok := o[path[len(path)-1]].(string)
	require.True(t, ok, "%v in %v", path, o)
	return s
}

func (res *resource) create() (id string) {
	res.t.Helper()
	w := res.do(http.MethodPost, "/identities", newest, "")
	require.Equal(res.t, http.StatusCreated, w.Code)
	return member(res.t, object(res.t, w), "identity", "id")
}

func (res *resource) issueToken(id, body string) (token string) {
	res.t.Helper()
	w := res.do(http.MethodPost, "/identities/"+id+"/:issueAccessToken", newest, body)
	require.Equal(res.t, http.StatusOK, w.Code, w.Body)
	return member(res.t, object(res.t, w), "token")
}

func (res *resource) claims(token string) map[string]any {
	res.t.Helper()
	claims, err := wire.Verify(token, func(string) *rsa.PublicKey { return res.PublicKey() })
	require.NoError(res.t, err)
	return claims
}

func TestConfigFaultsAreErrors(t *testing.T) {
	_, err := New(Config{AccessKey: secret.New("not base64!")})
	require.Error(t, err)
	assert.NotContains(t, err.Error(), "not base64!")
	_, err = New(Config{ResourceID: "contoso"})
	assert.Error(t, err)
}

func TestAConnectionStringIsMadeUp(t *testing.T) {
	s, err := New(Config{})
	require.NoError(t, err)
	assert.Regexp(t, `^endpoint=https://localhost:8444/;accesskey=[A-Za-z0-9+/]{86}==$`, s.ConnectionString("https://localhost:8444/").Reveal())
}
