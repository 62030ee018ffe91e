package entraid

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"acsauth/internal/localcloud/wire"
	"acsauth/internal/secret"
)

const (
	apiID       = "a1111111-1111-4111-8111-111111111111"
	apiV1ID     = "a2222222-2222-4222-8222-222222222222"
	spaID       = "c1111111-1111-4111-8111-111111111111"
	apiSecret   = "api secret/with+odd:characters"
	apiScope    = "api://" + apiID + "/access_as_user"
	redirect    = "http://localhost:3000/auth"
	otherID     = "0f0f0f0f-1111-4222-8333-444444444444"
	tokenPath   = "/" + SampleTenantID + "/oauth2/v2.0/token"
	verifier    = "a-verifier-of-at-least-forty-three-characters-0123"
	webRedirect = "https://web.example/signin-oidc"
)

// apiCertificate is made once: it takes a while.
var apiCertificate = sync.OnceValue(func() *wire.Key {
	key, err := wire.NewKey(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	if err != nil {
		panic(err)
	}
	return key
})

// directory is a Server on a real listener, with a clock to turn.
type directory struct {
	*Server
	t     *testing.T
	now   time.Time
	http  *http.Client
	alice User
	// certificate is the API's, for assertions.
	certificate *wire.Key
}

func newDirectory(t *testing.T) *directory {
	t.Helper()
	d := &directory{t: t, now: time.Date(2026, 11, 22, 15, 0, 0, 0, time.UTC), alice: SampleUsers()[0]}
	var serve http.Handler
	listener := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { serve.ServeHTTP(w, r) }))
	t.Cleanup(listener.Close)
	d.http = listener.Client()
	d.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

	d.certificate = apiCertificate()
	var err error
	d.Server, err = New(Config{
		BaseURL: listener.URL,
		Tenants: []Tenant{SampleTenant(), {ID: otherID}},
		Clients: []Client{
			{ID: apiID, Name: "API", WebRedirectURIs: []string{webRedirect}, Certificates: []*x509.Certificate{d.certificate.Certificate()}, Federated: federated(listener.URL), Secret: secret.New(apiSecret), Scopes: []string{"access_as_user"}, AppRoles: []string{"Jobs.Run"}, KnownClients: []string{spaID}},
			{ID: apiV1ID, Name: "old API", AppIDURI: "https://contoso.example/old", Scopes: []string{"access_as_user"}, AccessTokenVersion: 1},
			{ID: spaID, Name: "<b>SPA</b>", RedirectURIs: []string{redirect, "http://localhost"}},
		},
		Now: func() time.Time { return d.now },
	})
	require.NoError(t, err)
	serve = d.Server
	return d
}

// federated trusts the directory's own token of a managed identity.
func federated(baseURL string) []FederatedCredential {
	return []FederatedCredential{{Issuer: baseURL + "/" + SampleTenantID + "/v2.0", Subject: "job", Audience: "api://AzureADTokenExchange"}}
}

func (d *directory) get(path string) *http.Response {
	d.t.Helper()
	resp, err := d.http.Get(d.baseURL + path)
	require.NoError(d.t, err)
	d.t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

func (d *directory) post(path string, form url.Values) *http.Response {
	d.t.Helper()
	req, err := http.NewRequest(http.MethodPost, d.baseURL+path, strings.NewReader(form.Encode()))
	require.NoError(d.t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if form.Get("client_id") == spaID && form.Get("grant_type") != "client_credentials" {
		req.Header.Set("Origin", "http://localhost:3000") // as a browser does
	}
	resp, err := d.http.Do(req)
	require.NoError(d.t, err)
	d.t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

// tokens posts a form that must succeed.
func (d *directory) tokens(form url.Values) map[string]any {
	d.t.Helper()
	resp := d.post(tokenPath, form)
	body := object(d.t, resp)
	require.Equal(d.t, http.StatusOK, resp.StatusCode, body)
	assert.Contains(d.t, resp.Header.Get("Cache-Control"), "no-store")
	return body
}

// refused posts a form that must be refused for the given reason.
func (d *directory) refused(form url.Values, status int, code string, number int) map[string]any {
	d.t.Helper()
	resp := d.post(tokenPath, form)
	body := object(d.t, resp)
	assert.Equal(d.t, status, resp.StatusCode, body["error_description"])
	assert.Equal(d.t, code, body["error"])
	assert.Equal(d.t, []any{float64(number)}, body["error_codes"])
	return body
}

func object(t *testing.T, resp *http.Response) (o map[string]any) {
	t.Helper()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &o), "%s", text)
	return o
}

// verified checks a token as a resource server would, with nothing but the
// published keys and the standard library, and returns its header and claims.
func (d *directory) verified(token, keysPath string) (header, claims map[string]any) {
	d.t.Helper()
	parts := strings.Split(token, ".")
	require.Len(d.t, parts, 3)
	header, claims = decoded(d.t, parts[0]), decoded(d.t, parts[1])
	keys, _ := object(d.t, d.get(keysPath))["keys"].([]any)
	for _, k := range keys {
		jwk, _ := k.(map[string]any)
		if jwk["kid"] != header["kid"] {
			continue
		}
		n, _ := jwk["n"].(string)
		e, _ := jwk["e"].(string)
		public := &rsa.PublicKey{N: new(big.Int).SetBytes(raw(d.t, n)), E: int(new(big.Int).SetBytes(raw(d.t, e)).Int64())}
		sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
		require.NoError(d.t, rsa.VerifyPKCS1v15(public, crypto.SHA256, sum[:], raw(d.t, parts[2])))
		return header, claims
	}
	require.Failf(d.t, "no published key", "kid %v", header["kid"])
	return nil, nil
}

func raw(t *testing.T, part string) []byte {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(part)
	require.NoError(t, err)
	return b
}

func decoded(t *testing.T, part string) (o map[string]any) {
	t.Helper()
	require.NoError(t, json.Unmarshal(raw(t, part), &o))
	return o
}

func challenge() string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// signIn are the parameters of a good authorization request.
func signIn() url.Values {
	return url.Values{
		"client_id":             {spaID},
		"response_type":         {"code"},
		"redirect_uri":          {redirect},
		"scope":                 {"openid profile offline_access " + apiScope},
		"state":                 {"a state/with+odd&characters"},
		"nonce":                 {"n-1"},
		"code_challenge":        {challenge()},
		"code_challenge_method": {"S256"},
		"login_hint":            {"Alice@Contoso.example"},
	}
}

func with(form url.Values, pairs ...string) url.Values {
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] == "" {
			form.Del(pairs[i])
			continue
		}
		form.Set(pairs[i], pairs[i+1])
	}
	return form
}

// code signs Alice in with a click on each page that may come.
func (d *directory) code(form url.Values) string {
	d.t.Helper()
	form = with(form, choiceField, d.alice.choice(), consentField, "accept")
	resp := d.post(authorizePath, form)
	require.Equal(d.t, http.StatusFound, resp.StatusCode)
	location, err := resp.Location()
	require.NoError(d.t, err)
	code := location.Query().Get("code")
	require.NotEmpty(d.t, code, location)
	return code
}

func redemption(code string) url.Values {
	return url.Values{
		"client_id":     {spaID},
		"grant_type":    {"authorization_code"},
		"code":          {code},
		"redirect_uri":  {redirect},
		"code_verifier": {verifier},
		"client_info":   {"1"},
	}
}

func member(t *testing.T, o map[string]any, name string) string {
	t.Helper()
	s, ok := o[name].(string)
	require.True(t, ok, "%s in %v", name, o)
	return s
}
