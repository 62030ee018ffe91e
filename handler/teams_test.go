package main

import (
	"encoding/base64"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"acsauth/internal/localcloud"
	"acsauth/internal/localcloud/acsidentity"
	"acsauth/internal/localcloud/entraid"
)

const (
	teamsCalls = entraid.TeamsURI + "/Teams.ManageCalls"
	teamsPhone = entraid.TeamsURI + "/TeamsExtension.ManageCalls"
)

func teamsHeader(token string) map[string]string {
	return map[string]string{"teams-user-aad-token": token}
}

// exchanges is how often ACS has been asked to exchange a token.
func exchanges() int {
	calls := cloud.ACS.Calls()
	return calls[acsidentity.OpExchangeTeamsUser] + calls[acsidentity.OpExchangeTeamsExtension]
}

// signTeamsClaims makes a Teams user's token with changed claims; nil removes one.
func signTeamsClaims(u entraid.User, changes map[string]any) string {
	now := time.Now().Unix()
	claims := map[string]any{
		"iss": cloud.EntraURL + "/" + u.TenantID + "/v2.0", "aud": entraid.TeamsAppID, "tid": u.TenantID, "oid": u.ObjectID,
		"ver": "2.0", "scp": "Teams.ManageCalls Teams.ManageChats", "azp": localcloud.SPAClientID, "iat": now, "nbf": now, "exp": now + 3600,
	}
	maps.Copy(claims, changes)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	return cloud.Entra.Sign(nil, claims)
}

func TestWrongTeamsTokensEachGetTheirCodeAndNeverReachACS(t *testing.T) {
	h := start(t, map[string]string{"RATE_LIMIT_PER_USER": "0"})
	u, other := newUser(t), newUser(t)
	token := tokenFor(t, u)
	const stranger = "eeeeeeee-0000-4000-8000-00000000000e"
	now := time.Now().Unix()
	claims := func(changes map[string]any) string { return signTeamsClaims(u, changes) }
	good := strings.Split(claims(nil), ".")
	twice := base64.RawURLEncoding.EncodeToString([]byte(`{"oid":"` + other.ObjectID + `","oid":"` + u.ObjectID + `","iat":1,"exp":2}`))

	before := exchanges()
	for _, row := range []struct{ name, token, code, says string }{
		{"garbage", "garbage", "malformed", "not an Entra access token"},
		{"undefined", "undefined", "malformed", "not an Entra access token"},
		{"with its scheme", "Bearer " + claims(nil), "malformed", "not an Entra access token"},
		{"two in one", claims(nil) + "," + claims(nil), "malformed", "not an Entra access token"},
		{"two parts", good[0] + "." + good[1], "malformed", "not an Entra access token"},
		{"a claim twice", good[0] + "." + twice + "." + good[2], "malformed", "not an Entra access token"},
		{"a claim of the wrong type", claims(map[string]any{"oid": []string{u.ObjectID}}), "malformed", "not an Entra access token"},
		{"9 KiB", claims(map[string]any{"x": strings.Repeat("x", 9<<10)}), "malformed", "not an Entra access token"},
		{"the access token for this API", token, "wrong_audience", "Ask for a scope of https://auth.msft.communication.azure.com"},
		{"a token for Graph", tokenFor(t, u, entraid.GraphURI+"/User.Read"), "wrong_audience", "Ask for a scope"},
		{"a token for another cloud", claims(map[string]any{"aud": "https://auth.msft.communication.azure.us"}), "wrong_audience", "Ask for a scope"},
		{"a token for ACS itself", claims(map[string]any{"aud": entraid.ACSAudience}), "wrong_audience", "Ask for a scope"},
		{"no audience", claims(map[string]any{"aud": nil}), "wrong_audience", "Ask for a scope"},
		{"another tenant's", claims(map[string]any{"tid": stranger}), "wrong_tenant", "the same account"},
		{"no tenant's", claims(map[string]any{"tid": nil}), "wrong_tenant", "the same account"},
		{"another user's", tokenFor(t, other, teamsCalls), "wrong_user", "the same account"},
		{"nobody's", claims(map[string]any{"oid": nil}), "wrong_user", "the same account"},
		{"the tenant's id for the user's", claims(map[string]any{"oid": u.TenantID}), "wrong_user", "the same account"},
		{"an application's own", claims(map[string]any{"oid": stranger, "scp": nil, "idtyp": "app"}), "wrong_user", "the same account"},
		{"of another application", claims(map[string]any{"azp": stranger}), "wrong_client", "TEAMS_CLIENT_IDS"},
		{"of another application, version 1.0", claims(map[string]any{"azp": nil, "appid": stranger, "ver": "1.0"}), "wrong_client", "TEAMS_CLIENT_IDS"},
		{"of another application, behind a second claim", claims(map[string]any{"appid": stranger, "ver": "1.0"}), "wrong_client", "TEAMS_CLIENT_IDS"},
		{"of no application", claims(map[string]any{"azp": nil}), "wrong_client", "TEAMS_CLIENT_IDS"},
		{"without the permission", claims(map[string]any{"scp": "User.Read"}), "wrong_scope", "consent to it"},
		{"with a permission that begins alike", claims(map[string]any{"scp": "Teams.ManageCallsX"}), "wrong_scope", "consent to it"},
		{"with the permission in lower case", claims(map[string]any{"scp": "teams.managecalls"}), "wrong_scope", "consent to it"},
		{"without any scope", claims(map[string]any{"scp": nil}), "wrong_scope", "consent to it"},
		{"expired", claims(map[string]any{"exp": now - 1, "iat": now - 60}), "expired", "Get a new one"},
		{"expired, for Teams Phone", claims(map[string]any{"exp": now - 1, "iat": now - 60, "scp": "TeamsExtension.ManageCalls"}), "expired", "Get a new one"},
	} {
		t.Run(row.name, func(t *testing.T) {
			h.secret(row.token)
			for _, q := range []request{
				{method: "POST", path: "/api/exchangeToken", header: teamsHeader(row.token)},
				{method: "POST", path: "/api/exchangeToken", body: `{"token":"` + row.token + `"}`},
			} {
				q.token = token
				a := h.do(q)
				assert.Equal(t, 400, a.status)
				assert.Equal(t, "teams_token_"+row.code, a.code())
				assert.Contains(t, a.json["detail"], row.says)
				for _, s := range []string{u.ObjectID, other.ObjectID, stranger} {
					assert.NotContains(t, a.text, s)
				}
			}
			if gone("/api/token/teams") {
				return
			}
			a := h.do(request{path: "/api/token/teams", token: token, header: teamsHeader(row.token)})
			assert.Equal(t, 400, a.status)
			assert.Contains(t, a.json["message"], row.says)
		})
	}
	assert.Equal(t, before, exchanges(), "a wrong token reached ACS")
}

func TestWhatACSRefusesIsSaidInTheSameCodes(t *testing.T) {
	h := start(t, nil)
	u := newUser(t)
	token := tokenFor(t, u)
	for _, row := range []struct {
		name   string
		scope  string
		fault  func(http.ResponseWriter)
		status int
		code   string
	}{
		{"the token", teamsCalls, answers(401, `{"error":{"code":"InvalidAccessToken","message":"s3cr3t-upstream-text"}}`), 400, "teams_token_rejected"},
		{"the application", teamsCalls, answers(400, `{"error":{"code":"ValidationError","message":"s3cr3t-upstream-text","target":"appId"}}`), 400, "teams_token_wrong_client"},
		{"the application, by the model binder", teamsCalls, answers(400, `{"error":{"code":"ValidationError","message":"s3cr3t-upstream-text","target":"AppId"}}`), 400, "teams_token_wrong_client"},
		{"the user", teamsCalls, answers(400, `{"error":{"code":"ValidationError","message":"s3cr3t-upstream-text","target":"userId"}}`), 400, "teams_token_wrong_user"},
		{"our key", teamsCalls, answers(401, `{"error":{"code":"Denied","message":"s3cr3t-upstream-text"}}`), 502, "upstream_rejected"},
		{"to answer", teamsCalls, answers(503, "s3cr3t-upstream-text"), 503, "upstream_unavailable"},
		{"a token for Teams Phone", teamsPhone, answers(401, `{"error":{"code":"InvalidAccessToken","message":"s3cr3t-upstream-text"}}`), 400, "teams_token_rejected"},
		{"a user who is not assigned", teamsPhone, answers(403, `{"error":{"code":"Forbidden","message":"s3cr3t-upstream-text"}}`), 400, "teams_token_not_assigned"},
	} {
		t.Run(row.name, func(t *testing.T) {
			operation := acsidentity.OpExchangeTeamsUser
			if row.scope == teamsPhone {
				operation = acsidentity.OpExchangeTeamsExtension
			}
			disturb(t, operation, row.fault)
			a := h.do(request{method: "POST", path: "/api/exchangeToken", token: token, header: teamsHeader(tokenFor(t, u, row.scope))})
			assert.Equal(t, row.status, a.status)
			assert.Equal(t, row.code, a.code())
			assert.NotContains(t, a.text+h.log.String(), "s3cr3t")
		})
	}
}

func TestTokensOfBothVersionsAndOfListedClientsAreExchanged(t *testing.T) {
	const listed = "abababab-0000-4000-8000-0000000000ab"
	h := start(t, map[string]string{"TEAMS_CLIENT_IDS": listed})
	u := newUser(t)
	for name, changes := range map[string]map[string]any{
		"version 2.0":                  nil,
		"version 1.0":                  {"ver": "1.0", "azp": nil, "appid": localcloud.SPAClientID, "iss": "https://sts.windows.net/" + u.TenantID + "/"},
		"the resource by its address":  {"aud": entraid.TeamsURI},
		"the address with a slash":     {"aud": entraid.TeamsURI + "/"},
		"chats alone":                  {"scp": "Teams.ManageChats"},
		"an application that is known": {"azp": listed},
		"an application in capitals":   {"azp": strings.ToUpper(listed)},
	} {
		t.Run(name, func(t *testing.T) {
			if _, v1 := changes["appid"]; v1 || changes["aud"] != nil {
				// The stand-in for ACS takes version 2.0 with the id alone.
				disturb(t, acsidentity.OpExchangeTeamsUser, answers(200, `{"token":"teams-acs-token","expiresOn":"2126-11-22T15:00:00+00:00"}`))
			}
			a := h.do(request{method: "POST", path: "/api/exchangeToken", token: tokenFor(t, u), header: teamsHeader(signTeamsClaims(u, changes))})
			require.Equal(t, 200, a.status, a.text)
			assert.Equal(t, map[string]any{"microsoftTeamsUserId": u.ObjectID}, a.json["user"])
		})
	}
	a := h.do(request{method: "POST", path: "/api/exchangeToken", token: tokenFor(t, u), header: teamsHeader(signTeamsClaims(u, map[string]any{"azp": localcloud.APIClientID}))})
	assert.Equal(t, "teams_token_wrong_client", a.code(), "the list takes the place of the default")
}

func TestTeamsPhone(t *testing.T) {
	h := start(t, nil)
	u := newUser(t)
	token := tokenFor(t, u)
	a := h.do(request{method: "POST", path: "/api/exchangeToken", token: token, header: teamsHeader(tokenFor(t, u, teamsPhone))})
	assert.Equal(t, "teams_token_not_assigned", a.code())
	require.NoError(t, cloud.ACS.Assign(u.TenantID, u.ObjectID, localcloud.SPAClientID))
	before := cloud.ACS.Calls()
	a = h.do(request{method: "POST", path: "/api/exchangeToken", token: token, header: teamsHeader(tokenFor(t, u, teamsPhone))})
	require.Equal(t, 200, a.status, a.text)
	id := "8:acs:" + cloud.ACS.ResourceID() + "_" + u.TenantID + "_" + u.ObjectID
	assert.Equal(t, map[string]any{"communicationUserId": id}, a.json["user"])
	assert.True(t, cloud.ACS.TokenActive(a.json["token"].(string)))
	calls := cloud.ACS.Calls()
	assert.Equal(t, 1, calls[acsidentity.OpExchangeTeamsExtension]-before[acsidentity.OpExchangeTeamsExtension])
	assert.Equal(t, before[acsidentity.OpExchangeTeamsUser], calls[acsidentity.OpExchangeTeamsUser])
	assert.Equal(t, "identity_not_found", h.do(request{method: "POST", path: "/api/refreshToken", token: token}).code(), "it is no identity of this service's making")
	if !gone("/api/token/teams") {
		a = h.do(request{path: "/api/token/teams", token: token, header: teamsHeader(tokenFor(t, u, teamsPhone))})
		require.Equal(t, 201, a.status)
		assert.Len(t, a.json, 2)
	}

	a = h.do(request{method: "POST", path: "/api/exchangeToken", token: token, header: teamsHeader(tokenFor(t, u, teamsCalls, teamsPhone))})
	require.Equal(t, 200, a.status)
	assert.Equal(t, map[string]any{"microsoftTeamsUserId": u.ObjectID}, a.json["user"], "with both kinds of scope it is a Teams user's token")
}

func TestTheTeamsTokenOnBehalfOfTheCaller(t *testing.T) {
	h := start(t, map[string]string{"TEAMS_ON_BEHALF_OF": "true", "RATE_LIMIT_PER_USER": "0"})
	exchange := request{method: "POST", path: "/api/exchangeToken"}
	of := func(u entraid.User) request {
		q := exchange
		q.token = tokenFor(t, u)
		return q
	}

	u := newUser(t)
	q := of(u)
	requests := cloud.Entra.Requests()["token"]
	for range 3 {
		a := h.do(q)
		require.Equal(t, 200, a.status, a.text)
		assert.Equal(t, map[string]any{"microsoftTeamsUserId": u.ObjectID}, a.json["user"])
		assert.True(t, cloud.ACS.TokenActive(a.json["token"].(string)))
	}
	assert.Equal(t, requests+1, cloud.Entra.Requests()["token"], "one token serves for its lifetime")
	if !gone("/api/token/teams") {
		assert.Equal(t, 201, h.do(request{path: "/api/token/teams", token: q.token}).status)
	}

	q.header = teamsHeader(signTeamsClaims(newUser(t), nil))
	assert.Equal(t, "teams_token_wrong_user", h.do(q).code(), "a token that is sent counts")
	q.header = teamsHeader("")
	assert.Equal(t, 200, h.do(q).status, "an empty header is none")

	for _, row := range []struct {
		name      string
		policy    entraid.Policy
		status    int
		code      string
		challenge string
	}{
		{"without consent", entraid.Policy{ConsentRequired: true}, 403, "consent_required", `error="insufficient_scope"`},
		{"with a second factor to give", entraid.Policy{StepUpRequired: true}, 401, "interaction_required", `error="insufficient_claims"`},
		{"blocked", entraid.Policy{Blocked: true}, 403, "access_blocked", `error="access_denied"`},
	} {
		t.Run(row.name, func(t *testing.T) {
			u := newUser(t)
			q := of(u)
			u.Policy = row.policy
			require.NoError(t, cloud.Entra.AddUser(u))
			before := exchanges()
			a := h.do(q)
			assert.Equal(t, row.status, a.status, a.text)
			assert.Equal(t, row.code, a.code())
			assert.Contains(t, a.header.Get("WWW-Authenticate"), row.challenge)
			if row.status == 401 {
				assert.JSONEq(t, claimsOf(t, a.header), a.json["claims"].(string))
			} else {
				assert.NotContains(t, a.json, "claims")
			}
			if !gone("/api/token/teams") {
				hero := h.do(request{path: "/api/token/teams", token: q.token})
				assert.Equal(t, row.status, hero.status)
				assert.Equal(t, a.header.Get("WWW-Authenticate"), hero.header.Get("WWW-Authenticate"))
				want := map[string]any{"code": float64(row.status), "message": a.json["detail"]}
				if row.status == 401 {
					want["claims"] = a.json["claims"]
				}
				assert.Equal(t, want, hero.json)
			}
			assert.Equal(t, before, exchanges())
		})
	}

	t.Run("while Entra ID is down", func(t *testing.T) {
		q := of(newUser(t))
		cloud.Entra.SetFault(func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.HasSuffix(r.URL.Path, "/token") {
				return false
			}
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		})
		t.Cleanup(func() { cloud.Entra.SetFault(nil) })
		a := h.do(q)
		assert.Equal(t, 503, a.status)
		assert.NotEmpty(t, a.header.Get("Retry-After"))
	})

	t.Run("many at once", func(t *testing.T) {
		q := of(newUser(t))
		requests := cloud.Entra.Requests()["token"]
		atOnce(32, func(int) {
			a, err := h.try(q)
			if assert.NoError(t, err) {
				assert.Equal(t, 200, a.status, a.text)
			}
		})
		assert.Equal(t, requests+1, cloud.Entra.Requests()["token"])
	})

	t.Run("switched off", func(t *testing.T) {
		a := start(t, nil).do(of(newUser(t)))
		assert.Equal(t, 400, a.status)
		assert.Equal(t, "invalid_request", a.code())
	})
}

// claimsOf is the claims challenge in WWW-Authenticate.
func claimsOf(t *testing.T, h http.Header) string {
	t.Helper()
	_, quoted, _ := strings.Cut(h.Get("WWW-Authenticate"), `claims="`)
	encoded, _, found := strings.Cut(quoted, `"`)
	require.True(t, found, h.Get("WWW-Authenticate"))
	claims, err := base64.StdEncoding.DecodeString(encoded)
	require.NoError(t, err)
	return string(claims)
}

func TestOnBehalfOfNeedsACredential(t *testing.T) {
	code, _, errs := outcome(settings(t, map[string]string{"TEAMS_ON_BEHALF_OF": "true", "ENTRA_CLIENT_SECRET": ""}))
	assert.Equal(t, 2, code)
	assert.Contains(t, errs, "TEAMS_ON_BEHALF_OF is true")
}
