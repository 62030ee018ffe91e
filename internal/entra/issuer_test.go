package entra

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"acsauth/internal/identity"
)

const secondTenant = "eeeeeeee-0000-4000-8000-00000000000e"

// anywhere is a client that reaches the directory under every name.
func (d *directory) anywhere() *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, d.Listener.Addr().String())
	}}}
}

func TestIssuersOfEachKindOfTenant(t *testing.T) {
	for _, row := range []struct {
		name    string
		change  func(*Expected)
		claims  object // beside those of a good token
		keysURL string // that is asked
		ok      bool
	}{
		{"External ID", func(e *Expected) { e.AuthorityHost = "http://contoso.ciamlogin.com" },
			object{"iss": "https://" + testTenant + ".ciamlogin.com/" + testTenant + "/v2.0"}, "contoso.ciamlogin.com/" + testTenant + "/discovery/v2.0/keys", true},
		{"External ID, issuer by name", func(e *Expected) { e.AuthorityHost = "http://contoso.ciamlogin.com" },
			object{"iss": "https://contoso.ciamlogin.com/" + testTenant + "/v2.0"}, "", false},
		{"External ID, another tenant's issuer", func(e *Expected) { e.AuthorityHost = "http://contoso.ciamlogin.com" },
			object{"iss": "https://" + secondTenant + ".ciamlogin.com/" + secondTenant + "/v2.0", "tid": secondTenant}, "", false},
		{"American government", func(e *Expected) { e.AuthorityHost = "http://login.microsoftonline.us" },
			object{"iss": "http://login.microsoftonline.us/" + testTenant + "/v2.0"}, "login.microsoftonline.us/" + testTenant + "/discovery/v2.0/keys", true},
		{"American government, token of the global cloud", func(e *Expected) { e.AuthorityHost = "http://login.microsoftonline.us" },
			object{"iss": "https://login.microsoftonline.com/" + testTenant + "/v2.0"}, "", false},
		{"version 1.0", func(e *Expected) { e.AuthorityHost, e.AcceptV1 = "http://login.microsoftonline.us", true },
			object{"iss": "https://sts.windows.net/" + testTenant + "/", "ver": "1.0", "azp": nil, "appid": testSPA}, "login.microsoftonline.us/" + testTenant + "/discovery/keys", true},
		{"China, version 1.0", func(e *Expected) {
			e.AuthorityHost, e.AcceptV1 = "https://login.partner.microsoftonline.cn", true
		}, object{"iss": "https://sts.chinacloudapi.cn/" + testTenant + "/", "ver": "1.0"}, "", true},
		{"a host that ends like External ID's", func(e *Expected) { e.AuthorityHost = "http://evilciamlogin.com" },
			object{"iss": "https://" + testTenant + ".ciamlogin.com/" + testTenant + "/v2.0"}, "", false},
		{"version 1.0 without the slash", func(e *Expected) { e.AcceptV1 = true },
			object{"iss": "https://sts.windows.net/" + testTenant, "ver": "1.0"}, "", false},
		{"version 1.0 that calls itself 2.0", func(e *Expected) { e.AcceptV1 = true },
			object{"iss": "https://sts.windows.net/" + testTenant + "/"}, "", false},
		{"B2C", b2c, object{"iss": "http://contoso.b2clogin.com/" + testTenant + "/v2.0/", "ver": "1.0", "tfp": "B2C_1_susi", "tid": nil, "oid": nil, "sub": testUser},
			"contoso.b2clogin.com/" + testTenant + "/b2c_1_susi/discovery/v2.0/keys", true},
		{"B2C, issuer with policy", b2c, object{"iss": "http://contoso.b2clogin.com/tfp/" + testTenant + "/b2c_1_susi/v2.0/", "ver": "1.0", "acr": "b2c_1_susi", "tid": nil},
			"contoso.b2clogin.com/" + testTenant + "/b2c_1_susi/discovery/v2.0/keys", true},
		{"B2C, without the slash", b2c, object{"iss": "http://contoso.b2clogin.com/" + testTenant + "/v2.0", "ver": "1.0", "tfp": "B2C_1_susi"}, "", false},
		{"B2C, another user flow", b2c, object{"iss": "http://contoso.b2clogin.com/" + testTenant + "/v2.0/", "ver": "1.0", "tfp": "B2C_1_edit"}, "", false},
		{"B2C, no user flow", b2c, object{"iss": "http://contoso.b2clogin.com/" + testTenant + "/v2.0/", "ver": "1.0"}, "", false},
		{"B2C, another tenant in tid", b2c, object{"iss": "http://contoso.b2clogin.com/" + testTenant + "/v2.0/", "ver": "1.0", "tfp": "B2C_1_susi", "tid": secondTenant}, "", false},
		{"B2C, subject that is no GUID", b2c, object{"iss": "http://contoso.b2clogin.com/" + testTenant + "/v2.0/", "ver": "1.0", "tfp": "B2C_1_susi", "oid": nil, "sub": "alice"}, "", false},
		{"B2C, an application's token", b2c, object{"iss": "http://contoso.b2clogin.com/" + testTenant + "/v2.0/", "ver": "1.0", "tfp": "B2C_1_susi", "azp": testAPI}, "", false},
	} {
		t.Run(row.name, func(t *testing.T) {
			d := newDirectory(t)
			asked := ""
			keys := *d.answer.Load()
			d.serve(func(w http.ResponseWriter, r *http.Request) {
				asked = r.Host + r.URL.Path
				keys(w, r)
			})
			expected := d.expected()
			row.change(&expected)
			v, err := New(expected, d.anywhere(), slog.New(slog.DiscardHandler), d.clock)
			require.NoError(t, err)
			for _, iss := range v.issuers { // the directory speaks no TLS
				iss.keys.url = strings.Replace(iss.keys.url, "https://", "http://", 1)
			}
			caller, err := v.Verify(t.Context(), d.goodToken(row.claims))
			if !row.ok {
				assert.Error(t, err)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, identity.User{TenantID: testTenant, ObjectID: testUser}, caller.User)
			assert.Equal(t, testSPA, caller.ClientID)
			if row.keysURL != "" {
				assert.Equal(t, row.keysURL, asked)
			}
		})
	}
}

func b2c(e *Expected) {
	e.AuthorityHost, e.Policy, e.Clients = "http://contoso.b2clogin.com", "B2C_1_susi", []string{testSPA}
}

func TestSeveralTenants(t *testing.T) {
	const stranger = "ffffffff-0000-4000-8000-00000000000f"
	d := newDirectory(t)
	v := d.verifier(t, func(e *Expected) { e.Tenants = append(e.Tenants, strings.ToUpper(secondTenant)) })
	of := func(tenant string, change ...object) string {
		claims := object{"iss": strings.Replace(d.issuer(), testTenant, tenant, 1), "tid": tenant}
		for _, c := range change {
			apply(claims, c)
		}
		return d.goodToken(claims)
	}
	caller, err := v.Verify(t.Context(), of(secondTenant))
	require.NoError(t, err)
	assert.Equal(t, secondTenant, caller.TenantID)

	for name, row := range map[string]struct {
		token string
		want  identity.Code
	}{
		"issuer of one listed tenant, tid of the other": {of(secondTenant, object{"tid": testTenant}), identity.CodeInvalidToken},
		"a genuine token of a tenant not listed":        {of(stranger), identity.CodeTenantNotAllowed},
		"the same, expired":                             {of(stranger, object{"exp": testNow.Unix()}), identity.CodeInvalidToken},
		"an ID token of it":                             {of(stranger, object{"scp": ""}), identity.CodeInvalidToken},
		"the same, for another audience":                {of(stranger, object{"aud": testSPA}), identity.CodeInvalidToken},
		"the same, with a tid of its own":               {of(stranger, object{"tid": testTenant}), identity.CodeInvalidToken},
		"the same, not genuine":                         {signRaw(testKeys()[1], mustJSON(goodHeader()), mustJSON(d.goodClaims(object{"iss": strings.Replace(d.issuer(), testTenant, stranger, 1), "tid": stranger}))), identity.CodeInvalidToken},
		"common":                                        {of("common"), identity.CodeInvalidToken},
	} {
		_, err := v.Verify(t.Context(), row.token)
		assert.Equal(t, row.want, identity.CodeOf(err), name)
	}
	d.serve(status(500, ""))
	cold := d.verifier(t, func(e *Expected) { e.Tenants = append(e.Tenants, secondTenant) })
	_, err = cold.Verify(t.Context(), of(stranger))
	assert.Equal(t, identity.CodeUpstreamUnavailable, identity.CodeOf(err), "without keys nobody can tell")
	_, err = d.verifier(t).Verify(t.Context(), of(stranger))
	assert.Equal(t, identity.CodeInvalidToken, identity.CodeOf(err), "with one tenant it is just another issuer")
}

// A key whose own issuer is one tenant's must not sign for another's.
func TestAKeyOfOneTenantDoesNotSignForAnother(t *testing.T) {
	d := newDirectory(t)
	issuer := func(tenant string) string { return strings.Replace(d.issuer(), testTenant, tenant, 1) }
	d.serve(keysAnswer(
		publicJWK("mine", &testKeys()[0].PublicKey, object{"issuer": issuer(testTenant)}),
		publicJWK("hers", &testKeys()[1].PublicKey, object{"issuer": issuer(secondTenant)}),
	))
	v := d.verifier(t, func(e *Expected) { e.Tenants = append(e.Tenants, secondTenant) })
	for key, tenant := range []string{testTenant, secondTenant} {
		for keyID := range []int{0, 1} {
			claims := d.goodClaims(object{"iss": issuer(tenant), "tid": tenant})
			_, err := v.Verify(t.Context(), signRaw(testKeys()[keyID], mustJSON(goodHeader(object{"kid": []string{"mine", "hers"}[keyID]})), mustJSON(claims)))
			assert.Equal(t, key == keyID, err == nil, "key %d for tenant %d: %v", keyID, key, err)
		}
	}
}
