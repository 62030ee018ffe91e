package entra

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"acsauth/internal/identity"
	"acsauth/internal/localcloud/entraid"
	"acsauth/internal/secret"
)

const (
	testSecret = "s3cr3t of the API"
	graphScope = entraid.GraphURI + "/User.ReadWrite"
)

// sts is the stand-in for Entra ID, over TLS.
type sts struct {
	*entraid.Server
	t        *testing.T
	url      string
	client   *http.Client
	expected Expected
}

func newSTS(t *testing.T) *sts {
	t.Helper()
	s := &sts{t: t}
	listener := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.ServeHTTP(w, r) }))
	t.Cleanup(listener.Close)
	s.url, s.client = listener.URL, listener.Client()
	s.expected = Expected{AuthorityHost: s.url, Tenants: []string{entraid.SampleTenantID}}
	var err error
	s.Server, err = entraid.New(entraid.Config{
		BaseURL: s.url,
		Clients: []entraid.Client{
			{ID: testAPI, Name: "API", Secret: secret.New(testSecret), Scopes: []string{"access_as_user"},
				Certificates: []*x509.Certificate{testCertificate()},
				Federated:    []entraid.FederatedCredential{{Issuer: s.url + "/" + entraid.SampleTenantID + "/v2.0", Subject: testIdentity, Audience: "api://AzureADTokenExchange"}}},
			{ID: testSPA, Name: "client"},
		},
	})
	require.NoError(t, err)
	return s
}

func (s *sts) onBehalfOf(c Credential) *OnBehalfOf {
	s.t.Helper()
	o, err := NewOnBehalfOf(s.expected, testAPI, c, s.client)
	require.NoError(s.t, err)
	return o
}

func (s *sts) withSecret() *OnBehalfOf {
	return s.onBehalfOf(Credential{Secret: secret.New(testSecret)})
}

// caller is a sample user with an access token as the Verifier leaves it.
func (s *sts) caller() identity.Caller {
	s.t.Helper()
	u := entraid.SampleUsers()[0]
	raw, err := s.AccessToken(u, testSPA, "api://"+testAPI+"/access_as_user")
	require.NoError(s.t, err)
	return identity.Caller{User: identity.User{TenantID: u.TenantID, ObjectID: u.ObjectID}, AccessToken: secret.New(raw)}
}

type panicking struct{}

func (panicking) RoundTrip(*http.Request) (*http.Response, error) { panic("boom") }

func TestAPanicOnBehalfOfACallerIsAnError(t *testing.T) {
	s := newSTS(t)
	o, caller, works := s.withSecret(), s.caller(), s.client.Transport
	s.client.Transport = panicking{}
	_, err := o.Token(t.Context(), caller, []string{graphScope})
	require.ErrorContains(t, err, "panic: boom")
	assert.Equal(t, identity.CodeInternal, identity.CodeOf(err))
	s.client.Transport = works
	_, err = o.Token(t.Context(), caller, []string{graphScope})
	assert.NoError(t, err)
}

func TestATokenInTheCallersNameIsKept(t *testing.T) {
	s := newSTS(t)
	o, caller := s.withSecret(), s.caller()
	for range 3 {
		token, err := o.Token(t.Context(), caller, []string{graphScope})
		require.NoError(t, err)
		claims, err := s.Verify(token.Reveal(), entraid.GraphAppID)
		require.NoError(t, err)
		assert.Equal(t, caller.ObjectID, claims.ObjectID)
		assert.Equal(t, []string{"User.ReadWrite"}, claims.Scopes)
		assert.Equal(t, testAPI, claims.ClientID)
	}
	assert.Equal(t, map[string]int{"openid-configuration": 1, "token": 1}, s.Requests())
	require.NoError(t, o.CheckCredential(t.Context(), entraid.GraphURI))
}

func TestManyCallsOfOneCallerAreOneRequest(t *testing.T) {
	s := newSTS(t)
	o, caller := s.withSecret(), s.caller()
	s.SetFault(func(http.ResponseWriter, *http.Request) bool { time.Sleep(100 * time.Millisecond); return false })
	left, leave := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			ctx := t.Context()
			if i == 0 {
				ctx = left // who leaves takes nobody along
			}
			_, err := o.Token(ctx, caller, []string{graphScope})
			if i != 0 {
				assert.NoError(t, err)
			}
		})
	}
	time.AfterFunc(50*time.Millisecond, leave)
	wg.Wait()
	assert.Equal(t, map[string]int{"openid-configuration": 1, "token": 1}, s.Requests())
}

// testCertificate is that of the first of testKeys.
var testCertificate = sync.OnceValue(func() *x509.Certificate {
	key := testKeys()[0]
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "API"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return certificate
})

func TestACertificateProvesTheAPI(t *testing.T) {
	s := newSTS(t)
	write := func(key *rsa.PrivateKey) string {
		pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
		require.NoError(t, err)
		file := filepath.Join(t.TempDir(), "api.pem")
		require.NoError(t, os.WriteFile(file, append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: testCertificate().Raw}),
			pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})...), 0o600))
		return file
	}
	file := write(testKeys()[0])
	_, err := s.onBehalfOf(Credential{CertificateFile: file}).Token(t.Context(), s.caller(), []string{graphScope})
	require.NoError(t, err)

	for _, bad := range []string{file + ".missing", "onbehalfof_test.go", write(testKeys()[1])} {
		_, err := NewOnBehalfOf(s.expected, testAPI, Credential{CertificateFile: bad}, s.client)
		assert.ErrorContains(t, err, "client certificate")
	}
}

type managedIdentity func(scopes []string) (string, error)

func (m managedIdentity) GetToken(_ context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
	token, err := m(o.Scopes)
	return azcore.AccessToken{Token: token, ExpiresOn: time.Now().Add(time.Hour)}, err
}

const testIdentity = "eeeeeeee-0000-4000-8000-00000000000e"

func TestAManagedIdentityProvesTheAPI(t *testing.T) {
	s := newSTS(t)
	now := time.Now().Unix()
	assertion := s.Sign(nil, object{"iss": s.url + "/" + entraid.SampleTenantID + "/v2.0", "sub": testIdentity,
		"aud": "api://AzureADTokenExchange", "iat": now, "nbf": now, "exp": now + 3600})
	o := s.onBehalfOf(Credential{Federated: managedIdentity(func(scopes []string) (string, error) {
		assert.Equal(t, []string{"api://AzureADTokenExchange/.default"}, scopes)
		return assertion, nil
	})})
	_, err := o.Token(t.Context(), s.caller(), []string{graphScope})
	require.NoError(t, err)

	o = s.onBehalfOf(Credential{Federated: managedIdentity(func([]string) (string, error) { return "", errors.New("no s3cr3t here") })})
	_, err = o.Token(t.Context(), s.caller(), []string{graphScope})
	assert.Equal(t, identity.CodeUpstreamUnavailable, identity.CodeOf(err))
	assert.NotContains(t, err.Error(), "s3cr3t")

	assert.Equal(t, "api://AzureADTokenExchangeUSGov", federatedAudience("https://login.microsoftonline.us"))
	assert.Equal(t, "api://AzureADTokenExchangeChina", federatedAudience("https://login.partner.microsoftonline.cn"))
}

// refuses answers the token endpoint's requests, the first n of them.
func (s *sts) refuses(n int32, status int, header map[string]string, body string) {
	var asked atomic.Int32
	s.SetFault(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "/token") || asked.Add(1) > n {
			return false
		}
		for name, value := range header {
			w.Header().Set(name, value)
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
		return true
	})
}

func TestRefusalsByEntraID(t *testing.T) {
	const claims = `{"access_token":{"capolids":{"essential":true,"values":["c1"]}}}`
	quoted, err := json.Marshal(" " + claims + "\n")
	require.NoError(t, err)
	for _, row := range []struct {
		name   string
		status int
		header map[string]string
		body   string
		code   identity.Code
		claims string
		retry  time.Duration
		tries  int
	}{
		{"multi-factor authentication is wanted", 400, nil, `{"error":"interaction_required","suberror":"basic_action","error_codes":[50076],"error_description":"s3cr3t","claims":` + string(quoted) + `}`,
			identity.CodeInteractionRequired, claims, 0, 1},
		{"interaction without claims", 400, nil, `{"error":"interaction_required","error_codes":[50079]}`, identity.CodeInteractionRequired, "", 0, 1},
		{"claims that are no object", 400, nil, `{"error":"interaction_required","claims":"\"s3cr3t\""}`, identity.CodeInteractionRequired, "", 0, 1},
		{"claims beyond measure", 400, nil, `{"error":"interaction_required","claims":"{\"a\":\"` + strings.Repeat("x", 9000) + `\"}"}`, identity.CodeInteractionRequired, "", 0, 1},
		{"the session was revoked", 400, nil, `{"error":"invalid_grant","suberror":"bad_token","error_codes":[50173]}`, identity.CodeInteractionRequired, "", 0, 1},
		{"nobody has consented", 400, nil, `{"error":"invalid_grant","suberror":"consent_required","error_codes":[65001]}`, identity.CodeConsentRequired, "", 0, 1},
		{"blocked by a policy", 400, nil, `{"error":"interaction_required","suberror":"message_only","error_codes":[53003]}`, identity.CodeAccessBlocked, "", 0, 1},
		{"our secret is wrong", 401, nil, `{"error":"invalid_client","error_codes":[7000215],"error_description":"s3cr3t"}`, identity.CodeUpstreamRejected, "", 0, 1},
		{"our registration lacks the resource", 400, nil, `{"error":"invalid_resource","error_codes":[500011]}`, identity.CodeUpstreamRejected, "", 0, 1},
		{"a proxy in between", 407, nil, `<html>s3cr3t</html>`, identity.CodeUpstreamRejected, "", 0, 1},
		{"nonsense", 200, nil, `{"access_token": "s3cr3t`, identity.CodeUpstreamRejected, "", 0, 1},
		{"a redirect", 302, map[string]string{"Location": "https://example.com/"}, "", identity.CodeUpstreamRejected, "", 0, 1},
		{"throttled, for how long it does not say", 429, nil, "", identity.CodeUpstreamUnavailable, "", 0, 1},
		{"throttled for long", 429, map[string]string{"Retry-After": "17"}, "", identity.CodeUpstreamUnavailable, "", 17 * time.Second, 1},
		{"down", 503, nil, "s3cr3t", identity.CodeUpstreamUnavailable, "", 0, maxTries},
		{"down in its own words", 400, nil, `{"error":"temporarily_unavailable"}`, identity.CodeUpstreamUnavailable, "", 0, maxTries},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newSTS(t)
			s.refuses(1000, row.status, row.header, row.body)
			_, err := s.withSecret().Token(t.Context(), s.caller(), []string{graphScope})
			var refusal *identity.Error
			require.ErrorAs(t, err, &refusal)
			assert.Equal(t, row.code, refusal.Code)
			assert.Equal(t, row.claims, refusal.Challenge.Claims)
			assert.Equal(t, row.retry, refusal.RetryAfter)
			assert.NotContains(t, err.Error(), "s3cr3t")
			assert.Equal(t, row.tries, s.Requests()["token"])
			wantURI := ""
			if row.code == identity.CodeInteractionRequired {
				wantURI = s.url + "/" + entraid.SampleTenantID + "/oauth2/v2.0/authorize"
			}
			assert.Equal(t, wantURI, refusal.Challenge.AuthorizationURI)
		})
	}
}

func TestAPassingFaultIsNotSeen(t *testing.T) {
	for name, fault := range map[string]func(http.ResponseWriter){
		"unavailable": func(w http.ResponseWriter) { w.WriteHeader(http.StatusServiceUnavailable) },
		"throttled": func(w http.ResponseWriter) {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
		},
		"reset": func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
		"cut short": func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte("{"))
			panic(http.ErrAbortHandler)
		},
		"hung": func(http.ResponseWriter) { time.Sleep(tryTimeout + time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSTS(t)
			var asked atomic.Int32
			s.SetFault(func(w http.ResponseWriter, r *http.Request) bool {
				if asked.Add(1) != 2 { // the first is discovery
					return false
				}
				fault(w)
				return true
			})
			_, err := s.withSecret().Token(t.Context(), s.caller(), []string{graphScope})
			assert.NoError(t, err)
		})
	}
}

func TestNoTokenWithoutACaller(t *testing.T) {
	s := newSTS(t)
	caller := s.caller()
	for _, c := range []identity.Caller{{}, {User: caller.User}, {AccessToken: caller.AccessToken},
		{User: identity.User{TenantID: "../evil", ObjectID: caller.ObjectID}, AccessToken: caller.AccessToken}} {
		_, err := s.withSecret().Token(t.Context(), c, []string{graphScope})
		assert.ErrorContains(t, err, "without a caller")
	}
	assert.Empty(t, s.Requests())
}

func TestWhatOnBehalfOfNeeds(t *testing.T) {
	good := Expected{AuthorityHost: "https://login.example", Tenants: []string{testTenant}}
	cred := Credential{Secret: secret.New(testSecret)}
	for name, row := range map[string]struct {
		expected   Expected
		credential Credential
	}{
		"a credential": {good, Credential{}},
		"no B2C":       {Expected{AuthorityHost: "https://a.b2clogin.com", Tenants: good.Tenants, Policy: "B2C_1_susi"}, cred},
		"a tenant":     {Expected{}, cred},
		"https":        {Expected{AuthorityHost: "http://localhost", Tenants: good.Tenants}, cred},
	} {
		_, err := NewOnBehalfOf(row.expected, testAPI, row.credential, http.DefaultClient)
		assert.Error(t, err, name)
	}
	_, err := NewOnBehalfOf(good, testAPI, cred, http.DefaultClient)
	assert.NoError(t, err)
}

// MSAL alone keeps some 5 KiB for each access token it has ever seen.
func TestMemoryStaysFlatOverManyCallers(t *testing.T) {
	const callers, perClient = 3000, 100
	s := newTinySTS(t)
	o := s.onBehalfOf
	o.tokens = perClient
	caller := identity.Caller{User: identity.User{TenantID: testTenant, ObjectID: testUser}}
	run := func(from, to int) {
		for i := from; i < to; i++ {
			caller.AccessToken = secret.New(fmt.Sprintf("assertion-%d", i))
			_, err := o.Token(t.Context(), caller, []string{graphScope})
			require.NoError(t, err)
		}
	}
	run(0, perClient)
	before := heap()
	run(perClient, callers)
	grown := heap() - before
	assert.Less(t, grown, 2<<20, "5 KiB for each of the %d callers would be %d KiB", callers, callers*5)
	assert.Equal(t, callers/perClient, int(s.discoveries.Load()))
	assert.Equal(t, callers, int(s.tokens.Load()))
}

func heap() int {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// tinySTS answers everybody and keeps nothing, so that the heap is the client's.
type tinySTS struct {
	onBehalfOf          *OnBehalfOf
	discoveries, tokens atomic.Int32
}

func newTinySTS(t *testing.T) *tinySTS {
	t.Helper()
	s := &tinySTS{}
	var listener *httptest.Server
	listener = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		base := listener.URL + "/" + testTenant
		if strings.HasSuffix(r.URL.Path, "openid-configuration") {
			s.discoveries.Add(1)
			_, _ = fmt.Fprintf(w, `{"issuer":"%s/v2.0","authorization_endpoint":"%s/a","token_endpoint":"%s/token"}`, base, base, base)
			return
		}
		s.tokens.Add(1)
		_, _ = fmt.Fprintf(w, `{"token_type":"Bearer","scope":"%s","expires_in":3600,"access_token":"%s","refresh_token":"%s"}`,
			graphScope, strings.Repeat("a", 1500), strings.Repeat("r", 1000))
	}))
	t.Cleanup(listener.Close)
	var err error
	s.onBehalfOf, err = NewOnBehalfOf(Expected{AuthorityHost: listener.URL, Tenants: []string{testTenant}}, testAPI,
		Credential{Secret: secret.New(testSecret)}, listener.Client())
	require.NoError(t, err)
	return s
}
