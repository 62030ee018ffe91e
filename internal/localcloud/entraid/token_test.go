package entraid

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRefreshTokensLeadToNewOnes(t *testing.T) {
	d := newDirectory(t)
	first := d.tokens(redemption(d.code(signIn())))
	form := url.Values{"client_id": {spaID}, "grant_type": {"refresh_token"}, "refresh_token": {member(t, first, "refresh_token")}}

	second := d.tokens(form)
	assert.NotEqual(t, first["refresh_token"], second["refresh_token"])
	claims := decoded(t, strings.Split(member(t, second, "access_token"), ".")[1])
	assert.Equal(t, apiID, claims["aud"])
	assert.NotContains(t, decoded(t, strings.Split(member(t, second, "id_token"), ".")[1]), "nonce")

	// The same sign-in is good for another resource.
	teams := d.tokens(with(form, "scope", TeamsURI+"/Teams.ManageCalls offline_access"))
	claims = decoded(t, strings.Split(member(t, teams, "access_token"), ".")[1])
	assert.Equal(t, TeamsAppID, claims["aud"])
	assert.Equal(t, spaID, claims["azp"])

	d.refused(url.Values{"client_id": {apiV1ID}, "grant_type": {"refresh_token"}, "refresh_token": form["refresh_token"]},
		http.StatusBadRequest, "invalid_grant", 700007)
	d.refused(with(form, "refresh_token", "1.x"), http.StatusBadRequest, "invalid_grant", 9002313)

	assert.InDelta(t, (24 * time.Hour).Seconds(), first["refresh_token_expires_in"], 0)
	d.now = d.now.Add(23 * time.Hour)
	form.Set("refresh_token", member(t, second, "refresh_token"))
	third := d.tokens(form)
	assert.InDelta(t, time.Hour.Seconds(), third["refresh_token_expires_in"], 0, "no longer than the first one")
	form.Set("refresh_token", member(t, third, "refresh_token"))
	d.now = d.now.Add(time.Hour)
	assert.Equal(t, "bad_token", d.refused(form, http.StatusBadRequest, "invalid_grant", 700084)["suberror"])
	form.Set("refresh_token", member(t, d.tokens(redemption(d.code(signIn()))), "refresh_token"))
	d.RevokeRefreshTokens(d.alice)
	d.refused(form, http.StatusBadRequest, "invalid_grant", 50173)
	d.tokens(redemption(d.code(signIn())))
}

func credentials(scope string) url.Values {
	return url.Values{"client_id": {apiID}, "client_secret": {apiSecret}, "grant_type": {"client_credentials"}, "scope": {scope}}
}

func TestAnAppGetsATokenOfItsOwn(t *testing.T) {
	d := newDirectory(t)
	body := d.tokens(credentials(ACSScope))
	assert.NotContains(t, body, "refresh_token")
	assert.NotContains(t, body, "id_token")
	_, claims := d.verified(member(t, body, "access_token"), "/"+SampleTenantID+"/discovery/v2.0/keys")
	assert.Equal(t, "https://communication.azure.com/", claims["aud"])
	assert.Equal(t, "1", claims["appidacr"])
	assert.Equal(t, claims["oid"], claims["sub"])
	assert.Equal(t, []any{"Jobs.Run"}, claims["roles"])
	assert.NotContains(t, claims, "scp")
	c, err := d.Verify(member(t, body, "access_token"), ACSAudience)
	require.NoError(t, err)
	assert.Empty(t, c.Scopes)
	assert.Equal(t, []string{"Jobs.Run"}, c.Roles)

	d.tokens(credentials("openid offline_access profile " + ACSScope)) // as MSAL Go asks

	req, err := http.NewRequest(http.MethodPost, d.baseURL+tokenPath,
		strings.NewReader(with(credentials(ACSScope), "client_id", "", "client_secret", "").Encode()))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(apiID, url.QueryEscape(apiSecret))
	resp, err := d.http.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	assert.Equal(t, http.StatusOK, resp.StatusCode, "client_secret_basic")
}

func TestClientsThatCannotProveThemselvesAreRefused(t *testing.T) {
	d := newDirectory(t)
	for name, row := range map[string]struct {
		form   url.Values
		status int
		code   string
		number int
	}{
		"wrong secret":           {with(credentials(ACSScope), "client_secret", "x"), 401, "invalid_client", 7000215},
		"no secret":              {with(credentials(ACSScope), "client_secret", ""), 401, "invalid_client", 7000218},
		"public client":          {with(credentials(ACSScope), "client_id", spaID, "client_secret", ""), 401, "invalid_client", 7000218},
		"public client's secret": {with(credentials(ACSScope), "client_id", spaID), 401, "invalid_client", 700025},
		"unknown client":         {with(credentials(ACSScope), "client_id", otherID), 400, "unauthorized_client", 700016},
		"no client":              {with(credentials(ACSScope), "client_id", ""), 400, "invalid_request", 900144},
		"not an assertion":       {asserting("x"), 401, "invalid_client", 50027},
		"assertion without type": {with(asserting("a.b.c"), "client_assertion_type", ""), 400, "invalid_request", 900144},
		"not .default":           {credentials(apiScope), 400, "invalid_scope", 1002012},
		"OpenID scopes alone":    {credentials("openid profile"), 400, "invalid_scope", 1002012},
		"two scopes":             {credentials(apiID + "/.default " + apiScope), 400, "invalid_scope", 1002012},
		"unknown resource":       {credentials("https://nobody.example/.default"), 400, "invalid_resource", 500011},
		"password grant":         {with(credentials(ACSScope), "grant_type", "password"), 400, "unsupported_grant_type", 70003},
		"no grant type":          {with(credentials(ACSScope), "grant_type", ""), 400, "invalid_request", 900144},
		"no scope":               {with(credentials(ACSScope), "scope", ""), 400, "invalid_request", 900144},
	} {
		t.Run(name, func(t *testing.T) {
			body := d.refused(row.form, row.status, row.code, row.number)
			assert.NotContains(t, body["error_description"], apiSecret)
		})
	}
}

func onBehalfOf(assertion string) url.Values {
	return url.Values{
		"client_id": {apiID}, "client_secret": {apiSecret}, "grant_type": {grantOnBehalfOf}, "assertion": {assertion},
		"requested_token_use": {"on_behalf_of"}, "scope": {"https://graph.microsoft.com/User.Read openid profile offline_access"}, "client_info": {"1"},
	}
}

func TestAnAPICallsOnForItsUser(t *testing.T) {
	d := newDirectory(t)
	assertion, err := d.AccessToken(d.alice, spaID, apiScope)
	require.NoError(t, err)
	body := d.tokens(onBehalfOf(assertion))

	_, claims := d.verified(member(t, body, "access_token"), "/"+SampleTenantID+"/discovery/v2.0/keys")
	assert.Equal(t, GraphAppID, claims["aud"])
	assert.Equal(t, apiID, claims["appid"])
	assert.Equal(t, "1", claims["appidacr"])
	assert.Equal(t, d.alice.ObjectID, claims["oid"])
	assert.Equal(t, "User.Read", claims["scp"])
	assert.Contains(t, body["scope"], "https://graph.microsoft.com/User.Read", "MSAL fails when a scope is not echoed")
	assert.NotEmpty(t, body["refresh_token"])
	assert.NotEmpty(t, body["client_info"])
	_, id := d.verified(member(t, body, "id_token"), "/"+SampleTenantID+"/discovery/v2.0/keys")
	assert.Equal(t, apiID, id["aud"])
}

func TestOnBehalfOfWantsAFittingAssertion(t *testing.T) {
	d := newDirectory(t)
	good, err := d.AccessToken(d.alice, spaID, apiScope)
	require.NoError(t, err)
	forAnother, err := d.AccessToken(d.alice, spaID, "User.Read")
	require.NoError(t, err)
	stranger, err := d.AccessToken(User{ObjectID: otherID, TenantID: SampleTenantID}, spaID, apiScope)
	require.NoError(t, err)
	claims := func(changes ...string) map[string]any {
		c := decoded(t, strings.Split(good, ".")[1])
		for i := 0; i < len(changes); i += 2 {
			c[changes[i]] = changes[i+1]
		}
		return c
	}
	appOnly := member(t, d.tokens(credentials(apiID+"/.default")), "access_token")
	expired := claims()
	expired["exp"] = d.now.Unix()

	for name, row := range map[string]struct {
		form   url.Values
		code   string
		number int
	}{
		"meant for Graph":    {onBehalfOf(forAnother), "invalid_grant", 500131},
		"no user in it":      {onBehalfOf(appOnly), "invalid_grant", 7000114},
		"expired":            {onBehalfOf(d.Sign(nil, expired)), "invalid_grant", 500133},
		"another key":        {onBehalfOf(good[:len(good)-4] + "AAAA"), "invalid_grant", 50013},
		"another issuer":     {onBehalfOf(d.Sign(nil, claims("iss", "https://evil.example/"))), "invalid_grant", 50013},
		"not a token":        {onBehalfOf("x"), "invalid_grant", 50013},
		"of an unknown user": {onBehalfOf(stranger), "invalid_grant", 50034},
		"no assertion":       {onBehalfOf(""), "invalid_request", 900144},
		"no token use":       {with(onBehalfOf(good), "requested_token_use", ""), "invalid_request", 900144},
		"no scope":           {with(onBehalfOf(good), "scope", ""), "invalid_request", 900144},
	} {
		t.Run(name, func(t *testing.T) { d.refused(row.form, http.StatusBadRequest, row.code, row.number) })
	}
	d.refused(with(onBehalfOf(good), "client_secret", ""), http.StatusUnauthorized, "invalid_client", 7000218)
	d.tokens(onBehalfOf(good))
}

func TestVerifySaysWhatIsWrong(t *testing.T) {
	d := newDirectory(t)
	token, err := d.AccessToken(d.alice, spaID, apiScope)
	require.NoError(t, err)
	c, err := d.Verify(token, "x", apiID)
	require.NoError(t, err)
	assert.Equal(t, d.alice.ObjectID, c.ObjectID)
	assert.Equal(t, []string{"access_as_user"}, c.Scopes)

	_, err = d.Verify(token, "x")
	assert.ErrorIs(t, err, ErrAudience)
	_, err = d.Verify(token)
	assert.ErrorIs(t, err, ErrAudience)
	_, err = d.Verify(token+"x", apiID)
	assert.ErrorIs(t, err, ErrSignature)
	d.now = c.ExpiresAt
	_, err = d.Verify(token, apiID)
	assert.ErrorIs(t, err, ErrExpired)
}
