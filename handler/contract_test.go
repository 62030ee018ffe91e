package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"acsauth/internal/localcloud"
	"acsauth/internal/localcloud/entraid"
)

func TestTheWholeJob(t *testing.T) {
	h := start(t, nil)
	u := newUser(t)
	token := tokenFor(t, u)

	a := h.do(request{method: "POST", path: "/api/refreshToken", token: token})
	assert.Equal(t, 404, a.status)
	assert.Equal(t, "identity_not_found", a.code())
	a = h.do(request{method: "POST", path: "/api/revokeTokens", token: token})
	assert.Equal(t, 404, a.status)

	a = h.do(request{path: "/api/getUser", token: token})
	require.Equal(t, 201, a.status)
	id := a.userID()
	assert.Contains(t, cloud.ACS.Identities(), id)
	assert.Equal(t, "application/json; charset=utf-8", a.header.Get("Content-Type"))
	assert.Equal(t, "no-store", a.header.Get("Cache-Control"))
	assert.JSONEq(t, `{"user":{"communicationUserId":"`+id+`"}}`, a.text)
	a = h.do(request{method: "POST", path: "/API/GetUser/", token: token})
	assert.Equal(t, 200, a.status)
	assert.Equal(t, id, a.userID())

	a = h.do(request{path: "/api/getToken", token: token})
	require.Equal(t, 200, a.status)
	first := a.json["token"].(string)
	assert.True(t, cloud.ACS.TokenActive(first))
	assert.Equal(t, id, a.userID())
	assert.Len(t, a.json, 3)
	expires, err := time.Parse(time.RFC3339, a.json["expiresOn"].(string))
	require.NoError(t, err)
	assert.True(t, strings.HasSuffix(a.json["expiresOn"].(string), "Z"), "UTC")
	assert.WithinDuration(t, time.Now().Add(24*time.Hour), expires, time.Minute)

	for _, q := range []request{
		{method: "POST", path: "/api/getToken", body: `{"scopes":["chat"],"expiresInMinutes":60}`},
		{method: "GET", path: "/api/getToken?scopes=chat&expiresInMinutes=60"},
		{method: "POST", path: "/api/getToken?scopes=chat%20voip,chat&ExpiresInMinutes=60"},
		{method: "POST", path: "/api/refreshToken?scopes=voip&scopes=chat", body: `{"expiresInMinutes":60}`},
		{method: "POST", path: "/api/refreshToken", body: `{"Scopes":["voip"],"expiresInMinutes":60,"userId":"8:acs:someone-else"}`},
	} {
		q.token = token
		a = h.do(q)
		require.Equal(t, 200, a.status, q.path)
		assert.Equal(t, id, a.userID())
		expires, err := time.Parse(time.RFC3339, a.json["expiresOn"].(string))
		require.NoError(t, err)
		assert.WithinDuration(t, time.Now().Add(time.Hour), expires, time.Minute)
	}

	teams := tokenFor(t, u, entraid.TeamsURI+"/Teams.ManageCalls")
	h.secret(teams)
	for _, q := range []request{
		{body: `{"token":"` + teams + `"}`},
		{header: map[string]string{"teams-user-aad-token": teams}},
	} {
		q.method, q.path, q.token = "POST", "/api/exchangeToken", token
		a = h.do(q)
		require.Equal(t, 200, a.status, a.text)
		assert.Equal(t, map[string]any{"microsoftTeamsUserId": u.ObjectID}, a.json["user"])
		assert.True(t, cloud.ACS.TokenActive(a.json["token"].(string)))
	}

	a = h.do(request{method: "POST", path: "/api/revokeTokens", token: token})
	assert.Equal(t, 204, a.status)
	assert.Empty(t, a.text)
	assert.False(t, cloud.ACS.TokenActive(first))

	for _, method := range []string{"DELETE", "POST", "DELETE"} {
		a = h.do(request{method: method, path: "/api/deleteUser", token: token})
		assert.Equal(t, 204, a.status)
		assert.Empty(t, a.text)
	}
	assert.NotContains(t, cloud.ACS.Identities(), id)
	a = h.do(request{method: "POST", path: "/api/refreshToken", token: token})
	assert.Equal(t, 404, a.status)
	a = h.do(request{path: "/api/getToken", token: token})
	assert.Equal(t, 200, a.status, "a user may come back")
	assert.NotEqual(t, id, a.userID())
}

func TestRequestsThatAreRefused(t *testing.T) {
	h := start(t, map[string]string{"RATE_LIMIT_PER_USER": "0"})
	u := newUser(t)
	token := tokenFor(t, u)
	teams := tokenFor(t, u, entraid.TeamsURI+"/Teams.ManageCalls")
	big := `{"token":"` + strings.Repeat("x", 20<<10) + `"}`
	huge := `{"token":"` + strings.Repeat("x", 4<<20) + `"}`

	for _, row := range []struct {
		name   string
		q      request
		status int
		code   string
	}{
		{"no such function", request{path: "/api/nothing"}, 404, "not_found"},
		{"outside the prefix", request{path: "/getUser"}, 404, "not_found"},
		{"two slashes", request{path: "/api//getUser"}, 404, "not_found"},
		{"an encoded slash", request{path: "/api%2FgetUserX"}, 404, "not_found"},
		{"PUT getUser", request{method: "PUT", path: "/api/getUser"}, 405, "method_not_allowed"},
		{"HEAD getUser", request{method: "HEAD", path: "/api/getUser"}, 405, ""},
		{"GET refreshToken", request{path: "/api/refreshToken"}, 405, "method_not_allowed"},
		{"GET deleteUser", request{path: "/api/deleteUser"}, 405, "method_not_allowed"},
		{"TRACE getUser", request{method: "TRACE", path: "/api/getUser"}, 405, "method_not_allowed"},
		{"POST health", request{method: "POST", path: "/api/health"}, 405, "method_not_allowed"},

		{"a body of 20 KiB", request{method: "POST", path: "/api/exchangeToken", body: big}, 413, "body_too_large"},
		{"a body of 20 KiB in chunks", request{method: "POST", path: "/api/exchangeToken", body: big, chunked: true}, 413, "body_too_large"},
		{"a body of 4 MiB", request{method: "POST", path: "/api/getUser", body: huge}, 413, "body_too_large"},
		{"a body of 4 MiB in chunks", request{method: "POST", path: "/api/getToken", body: huge, chunked: true}, 413, "body_too_large"},
		{"a form", request{method: "POST", path: "/api/getToken", body: "scopes=chat", header: map[string]string{"Content-Type": "application/x-www-form-urlencoded"}}, 415, "unsupported_media_type"},
		{"a form with an access token", request{method: "POST", path: "/api/getUser", body: "access_token=x", header: map[string]string{"Content-Type": "application/x-www-form-urlencoded"}}, 400, "invalid_request"},
		{"no content type", request{method: "POST", path: "/api/getToken", body: "{}", header: map[string]string{"Content-Type": ""}}, 415, "unsupported_media_type"},
		{"another charset", request{method: "POST", path: "/api/getToken", body: "{}", header: map[string]string{"Content-Type": "application/json; charset=utf-16"}}, 415, "unsupported_media_type"},

		{"broken JSON", request{method: "POST", path: "/api/getToken", body: `{"scopes":`}, 400, "invalid_request"},
		{"a list", request{method: "POST", path: "/api/getToken", body: `[]`}, 400, "invalid_request"},
		{"a string", request{method: "POST", path: "/api/deleteUser", body: `"x"`}, 400, "invalid_request"},
		{"a member twice", request{method: "POST", path: "/api/getToken", body: `{"scopes":["chat"],"scopes":["voip"]}`}, 400, "invalid_request"},
		{"a member twice in another case", request{method: "POST", path: "/api/getToken", body: `{"scopes":["chat"],"Scopes":["voip"]}`}, 400, "invalid_request"},
		{"invalid UTF-8", request{method: "POST", path: "/api/getToken", body: "{\"x\":\"\xff\"}"}, 400, "invalid_request"},
		{"scopes a string", request{method: "POST", path: "/api/getToken", body: `{"scopes":"chat"}`}, 400, "invalid_request"},
		{"lifetime a string", request{method: "POST", path: "/api/getToken", body: `{"expiresInMinutes":"60"}`}, 400, "invalid_request"},
		{"lifetime a fraction", request{method: "POST", path: "/api/getToken", body: `{"expiresInMinutes":60.5}`}, 400, "invalid_request"},
		{"lifetime of 59", request{method: "POST", path: "/api/getToken", body: `{"expiresInMinutes":59}`}, 400, "invalid_request"},
		{"lifetime of 1441", request{path: "/api/getToken?expiresInMinutes=1441"}, 400, "invalid_request"},
		{"lifetime that overflows", request{method: "POST", path: "/api/getToken", body: `{"expiresInMinutes":9223372036854775807}`}, 400, "invalid_request"},
		{"lifetime that overflows downwards", request{method: "POST", path: "/api/getToken", body: `{"expiresInMinutes":-153722868}`}, 400, "invalid_request"},
		{"lifetime that overflows to an hour", request{path: "/api/getToken?expiresInMinutes=-9007199254740932"}, 400, "invalid_request"},
		{"null", request{method: "POST", path: "/api/getToken", body: `null`}, 400, "invalid_request"},
		{"a Kelvin sign in the path", request{path: "/api/getTo%E2%84%AAen"}, 404, "not_found"},
		{"lifetime negative", request{path: "/api/getToken?expiresInMinutes=-60"}, 400, "invalid_request"},
		{"lifetime empty", request{path: "/api/getToken?expiresInMinutes="}, 400, "invalid_request"},
		{"lifetime twice", request{path: "/api/getToken?expiresInMinutes=60&expiresInMinutes=60"}, 400, "invalid_request"},
		{"scopes in both places", request{method: "POST", path: "/api/getToken?scopes=chat", body: `{"scopes":["chat"]}`}, 400, "invalid_request"},
		{"a semicolon in the query", request{path: "/api/getUser?a=1;access_token=x"}, 400, "invalid_request"},
		{"a broken query of a function without input", request{method: "DELETE", path: "/api/deleteUser?access_token=x&b=%zz"}, 400, "invalid_request"},
		{"a broken query", request{path: "/api/getToken?scopes=%zz"}, 400, "invalid_request"},
		{"an unknown scope", request{path: "/api/getToken?scopes=admin"}, 400, "invalid_scope"},
		{"a scope that is not granted here", request{path: "/api/getToken?scopes=chat.join"}, 400, "invalid_scope"},
		{"a scope in capitals", request{path: "/api/getToken?scopes=CHAT"}, 400, "invalid_scope"},
		{"no scope", request{path: "/api/getToken?scopes="}, 400, "invalid_scope"},
		{"an empty list of scopes", request{method: "POST", path: "/api/getToken", body: `{"scopes":[]}`}, 400, "invalid_scope"},

		{"no Teams token", request{method: "POST", path: "/api/exchangeToken"}, 400, "invalid_request"},
		{"an empty Teams token", request{method: "POST", path: "/api/exchangeToken", body: `{"token":""}`}, 400, "invalid_request"},
		{"two Teams tokens", request{method: "POST", path: "/api/exchangeToken", body: `{"token":"` + teams + `"}`, header: map[string]string{"teams-user-aad-token": teams}}, 400, "invalid_request"},
		{"a Teams token that is none", request{method: "POST", path: "/api/exchangeToken", body: `{"token":"x"}`}, 400, "teams_token_malformed"},
		{"the access token as Teams token", request{method: "POST", path: "/api/exchangeToken", body: `{"token":"` + token + `"}`}, 400, "teams_token_wrong_audience"},
		{"somebody else's Teams token", request{method: "POST", path: "/api/exchangeToken", body: `{"token":"` + tokenFor(t, newUser(t), entraid.TeamsURI+"/Teams.ManageCalls") + `"}`}, 400, "teams_token_wrong_user"},
	} {
		t.Run(row.name, func(t *testing.T) {
			row.q.token = token
			a := h.do(row.q)
			assert.Equal(t, row.status, a.status, a.text)
			assert.Equal(t, row.code, a.code())
			assert.Equal(t, "application/problem+json", a.header.Get("Content-Type"))
			if a.json != nil {
				assert.Equal(t, "urn:acsauth:problem:"+row.code, a.json["type"])
				assert.EqualValues(t, row.status, a.json["status"])
				assert.Equal(t, a.header.Get("X-Request-Id"), a.json["requestId"])
			}
			if row.status == 405 {
				assert.NotEmpty(t, a.header.Get("Allow"))
			}
		})
	}
}

func TestAnUnlicensedUserGetsAReason(t *testing.T) {
	h := start(t, nil)
	u := newUser(t)
	u.Teams = false
	require.NoError(t, cloud.Entra.AddUser(u))
	a := h.do(request{method: "POST", path: "/api/exchangeToken", token: tokenFor(t, u),
		body: `{"token":"` + tokenFor(t, u, entraid.TeamsURI+"/Teams.ManageCalls") + `"}`})
	assert.Equal(t, 400, a.status)
	assert.Equal(t, "teams_token_rejected", a.code())
}

func TestChallenges(t *testing.T) {
	h := start(t, nil)
	u := newUser(t)
	good := tokenFor(t, u)
	before := cloud.ACS.Identities()
	for _, row := range []struct {
		name          string
		authorization string
		status        int
		code          string
		challenge     string
	}{
		{"no token", "", 401, "invalid_token", `Bearer realm="acsauth"`},
		{"another scheme", "Basic eA==", 401, "invalid_token", `Bearer realm="acsauth"`},
		{"a mangled header", "Bearer a b", 400, "invalid_request", `error="invalid_request"`},
		{"a bad token", "Bearer " + good + "x", 401, "invalid_token", `error="invalid_token"`},
		{"an expired token", "Bearer " + signClaims(u, map[string]any{"exp": time.Now().Unix() - 1, "iat": time.Now().Unix() - 99}), 401, "invalid_token", `error="invalid_token"`},
		{"a token without the scope", "Bearer " + signClaims(u, map[string]any{"scp": "other"}), 403, "insufficient_scope", `scope="access_as_user"`},
		{"an app's token", "Bearer " + signClaims(u, map[string]any{"scp": nil, "roles": []string{"x"}}), 403, "user_token_required", `error="insufficient_scope"`},
	} {
		for _, function := range []string{"GET getUser", "GET getToken", "POST refreshToken", "POST exchangeToken", "POST revokeTokens", "DELETE deleteUser",
			"GET user", "POST user", "DELETE user", "GET token", "GET token/teams", "GET token/other"} {
			method, name, _ := strings.Cut(function, " ")
			if gone("/api/" + name) {
				continue
			}
			a := h.do(request{method: method, path: "/api/" + name, header: map[string]string{"Authorization": row.authorization}})
			assert.Equal(t, row.status, a.status, "%s, %s", row.name, function)
			if name == "user" || strings.HasPrefix(name, "token") {
				assert.EqualValues(t, row.status, a.json["code"], "%s, %s", row.name, function)
			} else {
				assert.Equal(t, row.code, a.code(), "%s, %s", row.name, function)
			}
			challenge := a.header.Get("WWW-Authenticate")
			if row.challenge == `Bearer realm="acsauth"` {
				assert.Equal(t, row.challenge, challenge)
			}
			assert.Contains(t, challenge, row.challenge)
		}
	}
	assert.Empty(t, identitiesSince(before), "a refused call made an identity")
}

func TestOnlyListedClients(t *testing.T) {
	h := start(t, map[string]string{"ENTRA_ALLOWED_CLIENT_IDS": "11111111-1111-4111-8111-111111111111"})
	a := h.do(request{path: "/api/getUser", token: tokenFor(t, newUser(t))})
	assert.Equal(t, 403, a.status)
	assert.Equal(t, "client_not_allowed", a.code())
	assert.Contains(t, a.header.Get("WWW-Authenticate"), "Bearer ")
}

func TestTheRateLimit(t *testing.T) {
	h := start(t, map[string]string{"RATE_LIMIT_PER_USER": "4"})
	token := tokenFor(t, newUser(t))
	var last answer
	for range 6 {
		last = h.do(request{path: "/api/getUser", token: token})
	}
	assert.Equal(t, 429, last.status)
	assert.Equal(t, "rate_limited", last.code())
	assert.NotEmpty(t, last.header.Get("Retry-After"))
	assert.Equal(t, 201, h.do(request{path: "/api/getUser", token: tokenFor(t, newUser(t))}).status, "another user")
}

func TestHealthContractAndRoot(t *testing.T) {
	h := start(t, nil)
	assert.JSONEq(t, `{"status":"ok"}`, h.do(request{path: "/api/health"}).text)
	assert.JSONEq(t, `{"status":"ok","checks":{"keys":"ok","store":"ok"}}`, h.do(request{path: "/api/health?ready=1"}).text)
	assert.Equal(t, 200, h.do(request{method: http.MethodHead, path: "/api/health"}).status)
	a := h.do(request{path: "/api/openapi.yaml"})
	assert.Equal(t, 200, a.status)
	assert.True(t, strings.HasPrefix(a.text, "openapi: 3.1.0"))
	assert.Equal(t, 200, h.do(request{path: "/"}).status)
	a = h.do(request{method: http.MethodOptions, path: "/api/getToken"})
	assert.Equal(t, 204, a.status)
	assert.Equal(t, "GET, POST, OPTIONS", a.header.Get("Allow"))
}

func TestProtectedResourceMetadata(t *testing.T) {
	h := start(t, map[string]string{"PUBLIC_URL": "https://api.example"})
	a := h.do(request{path: "/.well-known/oauth-protected-resource/api"})
	require.Equal(t, 200, a.status)
	assert.JSONEq(t, `{"resource":"https://api.example/api","authorization_servers":["`+cloud.EntraURL+"/"+entraid.SampleTenantID+`/v2.0"],
		"scopes_supported":["`+localcloud.APIScope+`"],"bearer_methods_supported":["header"]}`, a.text)
	a = h.do(request{path: "/api/getUser", header: map[string]string{"X-Forwarded-Host": "evil.example"}})
	assert.Equal(t, `Bearer realm="acsauth", resource_metadata="https://api.example/.well-known/oauth-protected-resource/api"`, a.header.Get("WWW-Authenticate"))
	assert.Equal(t, 404, h.do(request{path: "/api/.well-known/oauth-protected-resource"}).status)
	assert.Equal(t, 404, start(t, nil).do(request{path: "/.well-known/oauth-protected-resource/api"}).status, "nothing is published unasked")
}

func TestHeadersThatPretendChangeNothing(t *testing.T) {
	h := start(t, nil)
	u, other := newUser(t), newUser(t)
	id := h.do(request{path: "/api/getUser", token: tokenFor(t, u)}).userID()
	a := h.do(request{path: "/api/getUser?userId=" + other.ObjectID, token: tokenFor(t, u), header: map[string]string{
		"X-MS-CLIENT-PRINCIPAL-ID": other.ObjectID, "X-MS-CLIENT-PRINCIPAL": "eyJ9", "X-Forwarded-Host": "evil.example", "X-Forwarded-Authorization": "Bearer x",
		"X-Azure-Functions-InvocationId": "11111111-1111-4111-8111-111111111111", "X-Http-Method-Override": "DELETE",
	}})
	assert.Equal(t, 200, a.status)
	assert.Equal(t, id, a.userID())
	assert.NotEqual(t, "11111111-1111-4111-8111-111111111111", a.header.Get("X-Request-Id"))
}
