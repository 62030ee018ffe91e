package entraid

import (
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const authorizePath = "/" + SampleTenantID + "/oauth2/v2.0/authorize"

func TestSignInGivesTokensOfEntrasShape(t *testing.T) {
	d := newDirectory(t)
	body := d.tokens(redemption(d.code(signIn())))

	assert.Equal(t, "Bearer", body["token_type"])
	assert.Equal(t, "openid profile "+apiScope, body["scope"], "the refresh token speaks for offline_access")
	assert.NotEmpty(t, body["refresh_token"])
	assert.Equal(t, map[string]any{"uid": d.alice.ObjectID, "utid": SampleTenantID}, decoded(t, member(t, body, "client_info")))

	header, access := d.verified(member(t, body, "access_token"), "/"+SampleTenantID+"/discovery/v2.0/keys")
	assert.Equal(t, map[string]any{"alg": "RS256", "typ": "JWT", "kid": d.KeyID()}, header)
	for name, want := range map[string]any{
		"aud": apiID, "iss": d.baseURL + "/" + SampleTenantID + "/v2.0", "ver": "2.0", "tid": SampleTenantID,
		"oid": d.alice.ObjectID, "azp": spaID, "azpacr": "0", "scp": "access_as_user",
		"name": d.alice.Name, "preferred_username": d.alice.UPN,
	} {
		assert.Equal(t, want, access[name], name)
	}
	for _, name := range []string{"sub", "uti", "rh", "aio", "iat", "nbf", "exp"} {
		assert.NotEmpty(t, access[name], name)
	}
	exp, _ := access["exp"].(float64)
	lifetime := time.Unix(int64(exp), 0).Sub(d.now)
	assert.GreaterOrEqual(t, lifetime, 60*time.Minute)
	assert.LessOrEqual(t, lifetime, 90*time.Minute)
	assert.Equal(t, lifetime.Seconds(), body["expires_in"])

	_, id := d.verified(member(t, body, "id_token"), "/"+SampleTenantID+"/discovery/v2.0/keys")
	assert.Equal(t, spaID, id["aud"])
	assert.Equal(t, "n-1", id["nonce"])
	assert.Equal(t, d.alice.ObjectID, id["oid"])
	assert.NotContains(t, id, "scp")
	assert.NotEqual(t, access["sub"], id["sub"], "sub is pairwise")
}

func TestVersion1TokensHaveTheirOwnShape(t *testing.T) {
	d := newDirectory(t)
	token, err := d.AccessToken(d.alice, spaID, "https://contoso.example/old/access_as_user")
	require.NoError(t, err)
	header, claims := d.verified(token, "/"+SampleTenantID+"/discovery/keys")
	assert.Equal(t, header["kid"], header["x5t"])
	for name, want := range map[string]any{
		"aud": "https://contoso.example/old", "iss": "https://sts.windows.net/" + SampleTenantID + "/", "ver": "1.0",
		"appid": spaID, "appidacr": "0", "upn": d.alice.UPN, "unique_name": d.alice.UPN, "scp": "access_as_user",
	} {
		assert.Equal(t, want, claims[name], name)
	}
	assert.NotContains(t, claims, "azp")
	c, err := d.Verify(token, "https://contoso.example/old")
	require.NoError(t, err)
	assert.Equal(t, spaID, c.ClientID)
}

func TestTheScopeChoosesTheResource(t *testing.T) {
	d := newDirectory(t)
	for scope, want := range map[string]struct{ aud, scp string }{
		apiScope:                                {apiID, "access_as_user"},
		apiID + "/.default":                     {apiID, "access_as_user"},
		"api://" + apiV1ID + "/.default":        {"api://" + apiV1ID, "access_as_user"},
		TeamsURI + "/Teams.ManageCalls":         {TeamsAppID, "Teams.ManageCalls"},
		TeamsURI + "/teams.managechats":         {TeamsAppID, "Teams.ManageChats"},
		"https://graph.microsoft.com/User.Read": {GraphAppID, "User.Read"},
		"User.Read":                             {GraphAppID, "User.Read"},
		"openid profile":                        {GraphAppID, "openid profile"},
		ACSScope:                                {ACSAudience, ""},
	} {
		token, err := d.AccessToken(d.alice, spaID, strings.Fields(scope)...)
		require.NoError(t, err, scope)
		claims := decoded(t, strings.Split(token, ".")[1])
		assert.Equal(t, want.aud, claims["aud"], scope)
		assert.Equal(t, want.scp, claims["scp"], scope)
	}
	for _, scopes := range [][]string{{"api://nobody/x"}, {"api://" + apiID + "/nothing"}, {apiScope, "User.Read"}} {
		_, err := d.AccessToken(d.alice, spaID, scopes...)
		assert.Error(t, err, scopes)
	}
}

func TestAGuestIsOfTheTenantButFromAnother(t *testing.T) {
	d := newDirectory(t)
	grace := SampleUsers()[2]
	token, err := d.AccessToken(grace, spaID, apiScope)
	require.NoError(t, err)
	claims := decoded(t, strings.Split(token, ".")[1])
	assert.Equal(t, SampleTenantID, claims["tid"])
	assert.Equal(t, "https://sts.windows.net/"+grace.HomeTenantID+"/", claims["idp"])
}

func TestTheUserChoosesOnAPage(t *testing.T) {
	d := newDirectory(t)
	form := with(signIn(), "response_mode", "fragment")
	resp := d.get(authorizePath + "?" + form.Encode())
	require.Equal(t, http.StatusOK, resp.StatusCode)
	html, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	for _, u := range SampleUsers() {
		assert.Contains(t, string(html), u.Name)
	}
	assert.NotContains(t, string(html), "<b>SPA</b>", "names are escaped")

	// Send what the page's form would.
	answer := url.Values{}
	for _, m := range regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`).FindAllStringSubmatch(string(html), -1) {
		answer.Set(m[1], strings.NewReplacer("&#43;", "+", "&amp;", "&").Replace(m[2]))
	}
	answer.Set(choiceField, SampleUsers()[1].choice())
	resp = d.post(authorizePath, answer)
	require.Equal(t, http.StatusFound, resp.StatusCode)
	require.NotEmpty(t, resp.Header.Get("Set-Cookie"))
	base, fragment, _ := strings.Cut(resp.Header.Get("Location"), "#")
	assert.Equal(t, redirect, base)
	values, err := url.ParseQuery(fragment)
	require.NoError(t, err)
	assert.Equal(t, form.Get("state"), values.Get("state"))

	_, id := d.verified(member(t, d.tokens(redemption(values.Get("code"))), "id_token"), "/"+SampleTenantID+"/discovery/v2.0/keys")
	assert.Equal(t, "Bob Unlicensed", id["name"])

	resp = d.post(authorizePath, with(answer, choiceField, ""))
	assert.Equal(t, http.StatusOK, resp.StatusCode, "no choice yet")
	answer[choiceField] = []string{""}
	resp = d.post(authorizePath, answer)
	assert.Contains(t, resp.Header.Get("Location"), "error=access_denied")
}

func TestSignInErrorsGoBackToTheClientApp(t *testing.T) {
	d := newDirectory(t)
	for name, row := range map[string]struct {
		form url.Values
		want string
	}{
		"nobody is signed in":     {with(signIn(), "prompt", "none"), "login_required"},
		"a prompt of no kind":     {with(signIn(), "prompt", "create"), "invalid_request"},
		"implicit flow":           {with(signIn(), "response_type", "id_token"), "unsupported_response_type"},
		"no scope":                {with(signIn(), "scope", ""), "invalid_request"},
		"unknown resource":        {with(signIn(), "scope", "api://nobody/x"), "invalid_resource"},
		"unknown scope":           {with(signIn(), "scope", "api://"+apiID+"/x"), "invalid_scope"},
		"public without PKCE":     {with(signIn(), "code_challenge", ""), "invalid_request"},
		"PKCE of no method":       {with(signIn(), "code_challenge_method", "S512"), "invalid_request"},
		"PKCE without challenge":  {with(signIn(), "code_challenge", ""), "invalid_request"},
		"claims that are no JSON": {with(signIn(), "claims", "{"), "invalid_request"},
		"PKCE of a wrong size":    {with(signIn(), "code_challenge", "abc"), "invalid_request"},
		"unknown response mode":   {with(signIn(), "response_mode", "web_message"), "invalid_request"},
	} {
		t.Run(name, func(t *testing.T) {
			resp := d.get(authorizePath + "?" + row.form.Encode())
			require.Equal(t, http.StatusFound, resp.StatusCode)
			location, err := resp.Location()
			require.NoError(t, err)
			assert.True(t, strings.HasPrefix(location.String(), redirect+"?"), location)
			assert.Equal(t, row.want, location.Query().Get("error"))
			assert.Contains(t, location.Query().Get("error_description"), "AADSTS")
			assert.Equal(t, signIn().Get("state"), location.Query().Get("state"))
			assert.Empty(t, location.Query().Get("code"))
		})
	}
}

func TestAnUntrustedRedirectIsNotFollowed(t *testing.T) {
	d := newDirectory(t)
	for name, form := range map[string]url.Values{
		"unknown client":             with(signIn(), "client_id", otherID),
		"no client":                  with(signIn(), "client_id", ""),
		"redirect URI of another":    with(signIn(), "redirect_uri", "https://evil.example/"),
		"redirect URI with a suffix": with(signIn(), "redirect_uri", redirect+"/more"),
		"no redirect URI out of two": with(signIn(), "redirect_uri", ""),
		"localhost as user name":     with(signIn(), "redirect_uri", "http://localhost:1@evil.example"),
	} {
		resp := d.get(authorizePath + "?" + form.Encode())
		assert.Equal(t, http.StatusBadRequest, resp.StatusCode, name)
		assert.Empty(t, resp.Header.Get("Location"), name)
	}
	resp := d.get(authorizePath + "?" + with(signIn(), "redirect_uri", "http://localhost:51234/").Encode())
	assert.Equal(t, http.StatusOK, resp.StatusCode, "any port of localhost")
}

func TestACodeIsRefusedUnlessAllFits(t *testing.T) {
	d := newDirectory(t)
	for name, row := range map[string]struct {
		change func(url.Values) url.Values
		number int
	}{
		"wrong verifier":         {func(f url.Values) url.Values { return with(f, "code_verifier", verifier+"x") }, 501481},
		"no verifier":            {func(f url.Values) url.Values { return with(f, "code_verifier", "") }, 501481},
		"wrong redirect URI":     {func(f url.Values) url.Values { return with(f, "redirect_uri", "http://localhost") }, 500112},
		"another client's":       {func(f url.Values) url.Values { return with(f, "client_id", apiV1ID) }, 700005},
		"no such code":           {func(f url.Values) url.Values { return with(f, "code", "1.x") }, 9002313},
		"a refresh token":        {func(f url.Values) url.Values { return with(f, "code", d.newRefreshToken(grant{})) }, 9002313},
		"older than ten minutes": {func(f url.Values) url.Values { d.now = d.now.Add(10 * time.Minute); return f }, 70008},
	} {
		t.Run(name, func(t *testing.T) {
			body := d.refused(row.change(redemption(d.code(signIn()))), http.StatusBadRequest, "invalid_grant", row.number)
			for _, name := range []string{"error_description", "timestamp", "trace_id", "correlation_id"} {
				assert.NotEmpty(t, body[name], name)
			}
		})
	}
}

func TestOneOfManyRedeemsACode(t *testing.T) {
	d := newDirectory(t)
	form := redemption(d.code(signIn()))
	var good atomic.Int32
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if d.post(tokenPath, form).StatusCode == http.StatusOK {
				good.Add(1)
			}
		})
	}
	all.Wait()
	assert.EqualValues(t, 1, good.Load())
	d.refused(form, http.StatusBadRequest, "invalid_grant", 54005)
}

func TestLogoutGoesOnlyWhereItMay(t *testing.T) {
	d := newDirectory(t)
	path := "/" + SampleTenantID + "/oauth2/v2.0/logout?state=s&post_logout_redirect_uri="
	assert.Equal(t, redirect+"?state=s", d.get(path+url.QueryEscape(redirect)).Header.Get("Location"))
	resp := d.get(path + url.QueryEscape("https://evil.example/"))
	assert.Equal(t, http.StatusOK, resp.StatusCode)
	assert.Empty(t, resp.Header.Get("Location"))
}
