package entraid

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDiscoveryDocumentsAgreeWithWhatIsServed(t *testing.T) {
	d := newDirectory(t)
	for name, row := range map[string]struct{ path, issuer, keyIssuer string }{
		"version 2.0":               {"/" + SampleTenantID + "/v2.0/", d.baseURL + "/" + SampleTenantID + "/v2.0", d.baseURL + "/" + SampleTenantID + "/v2.0"},
		"version 1.0":               {"/" + SampleTenantID + "/", "https://sts.windows.net/" + SampleTenantID + "/", ""},
		"tenant in upper case":      {"/" + strings.ToUpper(SampleTenantID) + "/V2.0/", d.baseURL + "/" + SampleTenantID + "/v2.0", d.baseURL + "/" + SampleTenantID + "/v2.0"},
		"common is a template":      {"/common/v2.0/", d.baseURL + "/{tenantid}/v2.0", d.baseURL + "/{tenantid}/v2.0"},
		"organizations, likewise":   {"/organizations/v2.0/", d.baseURL + "/{tenantid}/v2.0", d.baseURL + "/{tenantid}/v2.0"},
		"by its domain":             {"/Contoso.Example/v2.0/", d.baseURL + "/" + SampleTenantID + "/v2.0", d.baseURL + "/" + SampleTenantID + "/v2.0"},
		"common, version 1.0":       {"/common/", "https://sts.windows.net/{tenantid}/", ""},
		"a second tenant, its keys": {"/" + otherID + "/v2.0/", d.baseURL + "/" + otherID + "/v2.0", d.baseURL + "/" + otherID + "/v2.0"},
	} {
		t.Run(name, func(t *testing.T) {
			resp := d.get(row.path + ".well-known/openid-configuration")
			require.Equal(t, http.StatusOK, resp.StatusCode)
			doc := object(t, resp)
			assert.Equal(t, row.issuer, doc["issuer"])
			assert.Equal(t, "*", resp.Header.Get("Access-Control-Allow-Origin"))

			for _, name := range []string{"authorization_endpoint", "token_endpoint", "end_session_endpoint"} {
				resp := d.get(strings.TrimPrefix(member(t, doc, name), d.baseURL))
				assert.NotEqual(t, http.StatusNotFound, resp.StatusCode, name)
			}
			keys, _ := object(t, d.get(strings.TrimPrefix(member(t, doc, "jwks_uri"), d.baseURL)))["keys"].([]any)
			require.NotEmpty(t, keys)
			jwk, _ := keys[0].(map[string]any)
			assert.Equal(t, d.KeyID(), jwk["kid"])
			assert.Equal(t, d.KeyID(), jwk["x5t"])
			assert.Equal(t, "RSA", jwk["kty"])
			assert.Equal(t, "sig", jwk["use"])
			if row.keyIssuer == "" {
				assert.NotContains(t, jwk, "issuer")
			} else {
				assert.Equal(t, row.keyIssuer, jwk["issuer"])
			}
		})
	}
}

func TestTheKeyOfPersonalAccountsIsTiedToTheirIssuer(t *testing.T) {
	d := newDirectory(t)
	issuers := func(authority string) (all []any) {
		keys, _ := object(t, d.get("/"+authority+"/discovery/v2.0/keys"))["keys"].([]any)
		for _, k := range keys {
			jwk, _ := k.(map[string]any)
			all = append(all, jwk["issuer"])
		}
		return all
	}
	personal := d.baseURL + "/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0"
	assert.Equal(t, []any{d.baseURL + "/{tenantid}/v2.0", personal}, issuers("common"))
	assert.Equal(t, []any{d.baseURL + "/{tenantid}/v2.0"}, issuers("organizations"))
	assert.Equal(t, []any{personal}, issuers("consumers"))
	assert.Equal(t, []any{d.baseURL + "/" + SampleTenantID + "/v2.0"}, issuers(SampleTenantID))
	assert.Equal(t, personal, object(t, d.get("/consumers/v2.0/.well-known/openid-configuration"))["issuer"])
}

func TestUnknownTenantsAndPathsAreRefused(t *testing.T) {
	d := newDirectory(t)
	for tenant, want := range map[string]string{"fabrikam.example": "invalid_tenant", apiID: "invalid_tenant", "fabrikam": "invalid_request"} {
		resp := d.get("/" + tenant + "/v2.0/.well-known/openid-configuration")
		assert.Equal(t, http.StatusBadRequest, resp.StatusCode)
		assert.Equal(t, want, object(t, resp)["error"], tenant)
	}
	resp := d.get("/fabrikam/oauth2/v2.0/authorize")
	assert.Contains(t, resp.Header.Get("Content-Type"), "text/html")
	assert.Equal(t, http.StatusNotFound, d.get("/"+SampleTenantID+"/oauth2/v2.0/nothing").StatusCode)
	assert.Equal(t, http.StatusNotFound, d.get("/").StatusCode)
	resp = d.get(tokenPath)
	assert.Equal(t, http.StatusMethodNotAllowed, resp.StatusCode)
	assert.Contains(t, resp.Header.Get("Allow"), "POST")
}

func TestScriptsOfOtherOriginsMayCall(t *testing.T) {
	d := newDirectory(t)
	for path, method := range map[string]string{
		tokenPath: "POST",
		"/" + SampleTenantID + "/discovery/v2.0/keys":                   "GET",
		"/" + SampleTenantID + "/v2.0/.well-known/openid-configuration": "GET",
	} {
		req, err := http.NewRequest(http.MethodOptions, d.baseURL+path, nil)
		require.NoError(t, err)
		req.Header.Set("Origin", "http://localhost:3000")
		req.Header.Set("Access-Control-Request-Method", method)
		req.Header.Set("Access-Control-Request-Headers", "x-anchormailbox")
		resp, err := d.http.Do(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		assert.Equal(t, http.StatusNoContent, resp.StatusCode, path)
		assert.Equal(t, "*", resp.Header.Get("Access-Control-Allow-Origin"), path)
		assert.Contains(t, resp.Header.Get("Access-Control-Allow-Methods"), method, path)
		assert.Equal(t, "x-anchormailbox", resp.Header.Get("Access-Control-Allow-Headers"), path)
	}
	assert.Empty(t, d.Requests(), "a preflight is no request")
}

func TestRolledKeysStayPublishedOnce(t *testing.T) {
	d := newDirectory(t)
	keys := "/" + SampleTenantID + "/discovery/v2.0/keys"
	first, err := d.AccessToken(d.alice, spaID, apiScope)
	require.NoError(t, err)

	require.NoError(t, d.RollKeys())
	second, err := d.AccessToken(d.alice, spaID, apiScope)
	require.NoError(t, err)
	h1, _ := d.verified(first, keys)
	h2, _ := d.verified(second, keys)
	assert.NotEqual(t, h1["kid"], h2["kid"])

	require.NoError(t, d.RollKeys())
	assert.NotContains(t, d.Keys(), h1["kid"])
	assert.Contains(t, d.Keys(), h2["kid"])
	_, err = d.Verify(first, apiID)
	assert.ErrorIs(t, err, ErrSignature)
	assert.Equal(t, map[string]int{"keys": 2}, d.Requests())
}

func TestAFaultDisturbsAndIsCounted(t *testing.T) {
	d := newDirectory(t)
	d.SetFault(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "/keys") {
			return false
		}
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	})
	keys := "/" + SampleTenantID + "/discovery/v2.0/keys"
	assert.Equal(t, http.StatusServiceUnavailable, d.get(keys).StatusCode)
	assert.Equal(t, http.StatusOK, d.get("/"+SampleTenantID+"/v2.0/.well-known/openid-configuration").StatusCode)
	d.SetFault(nil)
	assert.Equal(t, http.StatusOK, d.get(keys).StatusCode)
	assert.Equal(t, map[string]int{"keys": 2, "openid-configuration": 1}, d.Requests())
}

func TestConfigFaultsAreErrors(t *testing.T) {
	for name, cfg := range map[string]Config{
		"no base URL":           {},
		"slash at the end":      {BaseURL: "https://localhost:8443/"},
		"tenant not a GUID":     {BaseURL: "https://localhost:8443", Tenants: []Tenant{{ID: "contoso"}}},
		"client not a GUID":     {BaseURL: "https://localhost:8443", Clients: []Client{{ID: "spa"}}},
		"client there twice":    {BaseURL: "https://localhost:8443", Clients: []Client{{ID: spaID}, {ID: strings.ToUpper(spaID)}}},
		"token version 3":       {BaseURL: "https://localhost:8443", Clients: []Client{{ID: spaID, AccessTokenVersion: 3}}},
		"user of no tenant":     {BaseURL: "https://localhost:8443", Users: []User{{ObjectID: spaID, TenantID: otherID}}},
		"object id not a GUID":  {BaseURL: "https://localhost:8443", Users: []User{{ObjectID: "alice"}}},
		"scheme of another app": {BaseURL: "localhost:8443"},
	} {
		_, err := New(cfg)
		assert.Error(t, err, name)
	}
}

func TestInstanceDiscoveryKnowsThisServiceAndTheRealOnesNames(t *testing.T) {
	d := newDirectory(t)
	for host, known := range map[string]bool{d.host: true, "login.microsoftonline.com": true, "STS.windows.net": true, "login.example": false} {
		endpoint := url.QueryEscape("https://" + host + "/" + SampleTenantID + "/oauth2/v2.0/authorize")
		body := object(t, d.get("/common/discovery/instance?api-version=1.1&authorization_endpoint="+endpoint))
		if !known {
			assert.Equal(t, "invalid_instance", body["error"])
			continue
		}
		assert.Equal(t, d.baseURL+"/"+SampleTenantID+"/v2.0/.well-known/openid-configuration", body["tenant_discovery_endpoint"])
		assert.Len(t, body["metadata"], 2)
	}
}
