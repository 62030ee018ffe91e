package entraid

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// plainly posts a form without the Origin header of a browser's script.
func (d *directory) plainly(form url.Values) map[string]any {
	d.t.Helper()
	resp, err := d.http.PostForm(d.baseURL+tokenPath, form)
	require.NoError(d.t, err)
	defer func() { _ = resp.Body.Close() }()
	return object(d.t, resp)
}

func TestASinglePageAppsTokensAreForScripts(t *testing.T) {
	d := newDirectory(t)
	assert.Equal(t, []any{9002327.0}, d.plainly(redemption(d.code(signIn())))["error_codes"])
	refresh := member(t, d.tokens(redemption(d.code(signIn()))), "refresh_token")
	form := url.Values{"client_id": {spaID}, "grant_type": {"refresh_token"}, "refresh_token": {refresh}}
	assert.Equal(t, []any{9002327.0}, d.plainly(form)["error_codes"])

	// No script may redeem for any other app.
	for _, form := range []url.Values{credentials(ACSScope), onBehalfOf("x")} {
		req, err := http.NewRequest(http.MethodPost, d.baseURL+tokenPath, strings.NewReader(form.Encode()))
		require.NoError(t, err)
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Origin", "http://localhost:3000")
		resp, err := d.http.Do(req)
		require.NoError(t, err)
		assert.Equal(t, "*", resp.Header.Get("Access-Control-Allow-Origin"), "the script can read why")
		body := object(t, resp)
		assert.Equal(t, []any{9002326.0}, body["error_codes"])
		assert.Contains(t, body["error_description"], "Request origin: 'http://localhost:3000'.")
		require.NoError(t, resp.Body.Close())
	}
}

func TestAWebAppRedeemsWithItsSecret(t *testing.T) {
	d := newDirectory(t)
	web := func() url.Values {
		form := with(signIn(), "client_id", apiID, "redirect_uri", webRedirect, "scope", "openid offline_access "+graphScope,
			"code_challenge", "", "code_challenge_method", "")
		return with(redemption(d.code(form)), "client_id", apiID, "redirect_uri", webRedirect, "code_verifier", "", "client_secret", apiSecret)
	}
	body := d.tokens(web())
	assert.NotContains(t, body, "refresh_token_expires_in")
	refresh := url.Values{"client_id": {apiID}, "grant_type": {"refresh_token"}, "refresh_token": {member(t, body, "refresh_token")}}
	d.refused(refresh, http.StatusUnauthorized, "invalid_client", 7000218)
	d.tokens(with(refresh, "client_secret", apiSecret))
	d.refused(with(web(), "client_secret", ""), http.StatusUnauthorized, "invalid_client", 7000218)
	d.refused(with(web(), "code_verifier", verifier), http.StatusBadRequest, "invalid_request", 501481)
}

func TestPKCEMayBePlain(t *testing.T) {
	d := newDirectory(t)
	for _, method := range []string{"plain", ""} {
		plain := with(signIn(), "code_challenge", verifier, "code_challenge_method", method)
		d.tokens(redemption(d.code(plain)))
		d.refused(with(redemption(d.code(plain)), "code_verifier", challenge()), http.StatusBadRequest, "invalid_grant", 501481)
	}
}

func TestRedirectURIsAreComparedAsEntraDoes(t *testing.T) {
	c := Client{RedirectURIs: []string{"http://localhost/app"}, WebRedirectURIs: []string{"https://web.example"}, NativeRedirectURIs: []string{"http://127.0.0.1", "msal://auth"}}
	for uri, want := range map[string]platform{
		"http://localhost:3000/app":  platformSPA,
		"http://localhost:3000/App":  "",
		"http://localhost:3000/app/": "",
		"https://web.example":        platformWeb,
		"https://web.example/":       platformWeb,
		"https://web.example:8443/":  "",
		"http://web.example/":        "",
		"http://127.0.0.1:5000/":     platformNative,
		"msal://auth":                platformNative,
		"http://user@localhost/app":  "",
		"http://localhost/app#x":     "",
		"":                           "",
		"::":                         "",
	} {
		got, ok := c.redirection(uri)
		assert.Equal(t, want, got, uri)
		assert.Equal(t, want != "", ok, uri)
	}
}

func TestADeviceSignsInWithACode(t *testing.T) {
	d := newDirectory(t)
	begin := d.post("/common/oauth2/v2.0/devicecode", url.Values{"client_id": {apiV1ID}, "scope": {"openid offline_access " + graphScope}})
	require.Equal(t, http.StatusOK, begin.StatusCode)
	started := object(t, begin)
	code := member(t, started, "user_code")
	poll := url.Values{"client_id": {apiV1ID}, "grant_type": {grantDeviceCode}, "device_code": {member(t, started, "device_code")}}
	d.refused(poll, http.StatusBadRequest, "authorization_pending", 70016)

	_, page := d.answered(d.post("/common/oauth2/deviceauth", url.Values{codeField: {"WRONG"}}))
	assert.Contains(t, page, "That code didn’t work")
	_, page = d.answered(d.post("/common/oauth2/deviceauth", url.Values{codeField: {strings.ToLower(code)}}))
	assert.Contains(t, page, "Alice Teams")
	d.post("/common/oauth2/deviceauth", url.Values{codeField: {code}, choiceField: {d.alice.choice()}})
	assert.NotEmpty(t, d.tokens(poll)["refresh_token"])
	d.refused(poll, http.StatusBadRequest, "expired_token", 70020)
	d.refused(with(poll, "device_code", "x"), http.StatusBadRequest, "invalid_grant", 70000)

	started = object(t, d.post("/common/oauth2/v2.0/devicecode", url.Values{"client_id": {apiV1ID}, "scope": {graphScope}}))
	d.post("/common/oauth2/deviceauth", url.Values{codeField: {member(t, started, "user_code")}, choiceField: {""}})
	d.refused(with(poll, "device_code", member(t, started, "device_code")), http.StatusBadRequest, "authorization_declined", 70018)
}

func TestUserInfoTakesATokenForGraph(t *testing.T) {
	d := newDirectory(t)
	ask := func(token string) (*http.Response, map[string]any) {
		req, err := http.NewRequest(http.MethodGet, d.baseURL+"/oidc/userinfo", nil)
		require.NoError(t, err)
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := d.http.Do(req)
		require.NoError(t, err)
		defer func() { _ = resp.Body.Close() }()
		return resp, object(t, resp)
	}
	graph, err := d.AccessToken(d.alice, spaID, "openid", graphScope)
	require.NoError(t, err)
	resp, body := ask(graph)
	assert.Equal(t, http.StatusOK, resp.StatusCode)
	assert.Equal(t, d.alice.Name, body["name"])
	api, err := d.AccessToken(d.alice, spaID, apiScope)
	require.NoError(t, err)
	resp, _ = ask(api)
	assert.Equal(t, http.StatusUnauthorized, resp.StatusCode)
}

func TestInstanceDiscoveryKnowsThisHostAlone(t *testing.T) {
	d := newDirectory(t)
	path := "/common/discovery/instance?api-version=1.1&authorization_endpoint="
	doc := object(t, d.get(path+url.QueryEscape(d.baseURL+"/contoso.example/oauth2/v2.0/authorize")))
	assert.Equal(t, d.baseURL+"/contoso.example/v2.0/.well-known/openid-configuration", doc["tenant_discovery_endpoint"])
	assert.Equal(t, "invalid_instance", object(t, d.get(path+"https%3A%2F%2Fevil.example%2Fx"))["error"])
	assert.Equal(t, "invalid_request", object(t, d.get(path))["error"])
}
