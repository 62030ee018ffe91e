package main

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"acsauth"
	"acsauth/internal/localcloud/acsidentity"
	"acsauth/internal/localcloud/entraid"
)

func TestTheHeroSamplesAnswers(t *testing.T) {
	needHeroRoutes(t)
	h := start(t, nil)
	u := newUser(t)
	token := tokenFor(t, u)
	ask := func(method, path string) answer {
		a := h.do(request{method: method, path: path, token: token})
		if a.status != 204 {
			assert.Equal(t, "application/json; charset=utf-8", a.header.Get("Content-Type"), path)
		}
		return a
	}
	for _, path := range []string{"/api/user", "/api/token"} {
		a := ask("GET", path)
		assert.Equal(t, 404, a.status)
		assert.JSONEq(t, `{"code":404,"message":"You have no communication identity. POST /api/user makes one."}`, a.text)
	}
	assert.Equal(t, 204, ask("DELETE", "/api/user").status, "nothing to delete is no error")

	a := ask("POST", "/api/user")
	require.Equal(t, 201, a.status)
	id, _ := a.json["acsUserIdentity"].(string)
	assert.Contains(t, cloud.ACS.Identities(), id)
	assert.JSONEq(t, `{"acsUserIdentity":"`+id+`"}`, a.text)
	for _, method := range []string{"POST", "GET"} {
		again := ask(method, "/api/user")
		assert.Equal(t, 200, again.status)
		assert.JSONEq(t, a.text, again.text)
	}

	a = ask("GET", "/api/token")
	require.Equal(t, 201, a.status)
	assert.Equal(t, map[string]any{"communicationUserId": id, "id": id}, a.json["user"])
	assert.Len(t, a.json, 3)
	acsToken := a.json["token"].(string)
	assert.True(t, cloud.ACS.TokenActive(acsToken))
	assert.Equal(t, []string{"chat", "voip"}, acsScopes(t, acsToken))
	expires, err := time.Parse(time.RFC3339, a.json["expiresOn"].(string))
	require.NoError(t, err)
	assert.WithinDuration(t, time.Now().Add(24*time.Hour), expires, time.Minute)
	assert.Equal(t, id, h.do(request{path: "/api/getUser", token: token}).userID(), "it is the same identity everywhere")

	teams := tokenFor(t, u, teamsCalls)
	h.secret(teams)
	a = h.do(request{path: "/api/token/teams", token: token, header: map[string]string{"teams-user-aad-token": teams}})
	require.Equal(t, 201, a.status, a.text)
	assert.Len(t, a.json, 2)
	assert.True(t, cloud.ACS.TokenActive(a.json["token"].(string)))
	_, err = time.Parse(time.RFC3339, a.json["expiresOn"].(string))
	assert.NoError(t, err)

	for range 2 {
		a = ask("DELETE", "/api/user")
		assert.Equal(t, 204, a.status)
		assert.Empty(t, a.text)
	}
	assert.NotContains(t, cloud.ACS.Identities(), id)
	assert.Equal(t, 404, ask("GET", "/api/token").status, "a token makes no identity")
	assert.Equal(t, 404, ask("GET", "/api/user").status)
}

// What the samples' React client does when somebody joins a call, with the headers
// that a browser adds.
func TestTheHeroSamplesClient(t *testing.T) {
	needHeroRoutes(t)
	h := start(t, map[string]string{"CORS_ALLOWED_ORIGINS": "http://localhost:3001"})
	u := newUser(t)
	browser := func(method, path, teamsToken string) answer {
		q := request{method: method, path: path, token: tokenFor(t, u), header: map[string]string{"Origin": "http://localhost:3001", "Accept": "*/*",
			"Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-site", "Sec-Fetch-Dest": "empty", "Referer": "http://localhost:3001/"}}
		names := "authorization"
		if teamsToken != "" {
			names += ",teams-user-aad-token"
			q.header["teams-user-aad-token"] = teamsToken
			h.secret(teamsToken)
		}
		preflight := h.do(request{method: "OPTIONS", path: path, header: map[string]string{"Origin": "http://localhost:3001",
			"Access-Control-Request-Method": method, "Access-Control-Request-Headers": names}})
		assert.Equal(t, "http://localhost:3001", preflight.header.Get("Access-Control-Allow-Origin"))
		a := h.do(q)
		assert.Equal(t, "http://localhost:3001", a.header.Get("Access-Control-Allow-Origin"))
		return a
	}
	require.NotEmpty(t, browser("POST", "/api/user", "").json["acsUserIdentity"])
	a := browser("GET", "/api/token", "")
	assert.Contains(t, cloud.ACS.Identities(), a.json["user"].(map[string]any)["id"], "the client reads user.id")
	assert.True(t, cloud.ACS.TokenActive(a.json["token"].(string)))
	a = browser("GET", "/api/token/teams", tokenFor(t, u, teamsCalls, entraid.TeamsURI+"/Teams.ManageChats"))
	assert.True(t, cloud.ACS.TokenActive(a.json["token"].(string)))
}

// The calls of the samples' documentation, by the program that it names.
func TestTheHeroSamplesCurlLines(t *testing.T) {
	needHeroRoutes(t)
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl is not installed")
	}
	h := start(t, nil)
	u := newUser(t)
	token := tokenFor(t, u)
	h.secret(token)
	curl := func(args ...string) (body, status string) {
		out, err := exec.CommandContext(t.Context(), "curl", append(args, "-sS", "-w", "\n%{http_code}")...).Output()
		require.NoError(t, err)
		body, status, _ = strings.Cut(string(out), "\n\n") // JSON here ends its line
		if status == "" {
			body, status = "", strings.TrimSpace(string(out))
		}
		return body, status
	}
	bearer := "Authorization: Bearer " + token
	body, status := curl("--location", "--request", "GET", h.URL+"/api/token", "--header", bearer)
	assert.Equal(t, "404", status)
	assert.Contains(t, body, `"code":404`)
	_, status = curl("--location", "--request", "POST", h.URL+"/api/user", "--header", bearer)
	assert.Equal(t, "201", status)
	body, status = curl("--location", "--request", "POST", h.URL+"/api/user", "--header", bearer, "--data-raw", "")
	assert.Equal(t, "200", status)
	assert.Contains(t, body, `"acsUserIdentity":"8:acs:`)
	body, status = curl("--location", "--request", "GET", h.URL+"/api/token", "--header", bearer)
	assert.Equal(t, "201", status)
	assert.Contains(t, body, `"id":"8:acs:`)
	_, status = curl("--location", "--request", "GET", h.URL+"/api/token/teams", "--header", bearer, "--header", "teams-user-aad-token: "+tokenFor(t, u, teamsCalls))
	assert.Equal(t, "201", status)
	_, status = curl("--location", "--request", "DELETE", h.URL+"/api/user", "--header", bearer)
	assert.Equal(t, "204", status)
	_, status = curl("--location", "--request", "GET", h.URL+"/api/user")
	assert.Equal(t, "401", status)
}

func TestErrorsTakeTheHeroSamplesForm(t *testing.T) {
	needHeroRoutes(t)
	h := start(t, map[string]string{"RATE_LIMIT_PER_USER": "0"})
	u := newUser(t)
	token := tokenFor(t, u)
	teams := func(value string) map[string]string { return map[string]string{"teams-user-aad-token": value} }
	form := map[string]string{"Content-Type": "application/x-www-form-urlencoded"}
	for _, row := range []struct {
		name    string
		q       request
		status  int
		message string
	}{
		{"no such kind of token", request{path: "/api/token/calls"}, 404, "There is no function at this address."},
		{"PUT user", request{method: "PUT", path: "/api/user"}, 405, "This function serves GET, POST, DELETE."},
		{"PATCH user", request{method: "PATCH", path: "/api/user"}, 405, "This function serves GET, POST, DELETE."},
		{"TRACE user", request{method: "TRACE", path: "/api/user"}, 405, "This function serves GET, POST, DELETE."},
		{"POST token", request{method: "POST", path: "/api/token"}, 405, "This function serves GET."},
		{"DELETE token", request{method: "DELETE", path: "/API/Token/Teams"}, 405, "This function serves GET."},
		{"POST to a kind that there is not", request{method: "POST", path: "/api/token/calls"}, 405, "This function serves GET."},
		{"a form", request{method: "POST", path: "/api/user", body: "a=b", header: form}, 415, "Send the request body as application/json in UTF-8."},
		{"a form with the access token", request{method: "POST", path: "/api/user", body: "access_token=x", header: form}, 400, "Send the access token in the Authorization header alone."},
		{"broken JSON", request{method: "POST", path: "/api/user", body: "{"}, 400, "The request body is not the JSON object that this function takes."},
		{"a large body", request{method: "POST", path: "/api/user", body: `{"x":"` + strings.Repeat("x", 20<<10) + `"}`}, 413, "The request body has more than 16384 bytes."},
		{"a large body in chunks", request{method: "DELETE", path: "/api/user", body: `{"x":"` + strings.Repeat("x", 2<<20) + `"}`, chunked: true}, 413, "The request body has more than 16384 bytes."},
		{"a broken query", request{path: "/api/token?x=%zz"}, 400, "The query can't be read."},
		{"a scope that is not granted", request{path: "/api/token?scopes=chat.join"}, 400, "The scopes that you can ask for are chat and voip."},
		{"no Teams token", request{path: "/api/token/teams"}, 400, "Send the Teams user's token in the header teams-user-aad-token or as token in the body."},
		{"an empty Teams token", request{path: "/api/token/teams", header: teams(" ")}, 400, "Send the Teams user's token in the header teams-user-aad-token or as token in the body."},
		{"a Teams token that is none", request{path: "/api/token/teams", header: teams("undefined")}, 400, "The Teams user's token is not an Entra access token."},
		{"somebody else's Teams token", request{path: "/api/token/teams", header: teams(tokenFor(t, newUser(t), teamsCalls))}, 400, "The Teams user's token is another user's than the access token. Get both for the same account."},
	} {
		t.Run(row.name, func(t *testing.T) {
			row.q.token = token
			a := h.do(row.q)
			assert.Equal(t, row.status, a.status)
			assert.Equal(t, "application/json; charset=utf-8", a.header.Get("Content-Type"))
			assert.Equal(t, map[string]any{"code": float64(row.status), "message": row.message}, a.json)
			assert.NotEmpty(t, a.header.Get("X-Request-Id"))
			if row.status == 405 {
				assert.NotEmpty(t, a.header.Get("Allow"))
			}
		})
	}
	for path, allow := range map[string]string{"/api/user": "GET, POST, DELETE, OPTIONS", "/api/token": "GET, OPTIONS", "/api/token/teams": "GET, OPTIONS"} {
		a := h.do(request{method: "OPTIONS", path: path})
		assert.Equal(t, 204, a.status)
		assert.Equal(t, allow, a.header.Get("Allow"))
		a = h.do(request{method: "HEAD", path: path, token: token})
		assert.Equal(t, 405, a.status, "HEAD must issue no token")
	}
}

func TestHeroRoutesWhenACSFails(t *testing.T) {
	needHeroRoutes(t)
	h := start(t, nil)
	u := newUser(t)
	token := tokenFor(t, u)
	require.Equal(t, 201, h.do(request{method: "POST", path: "/api/user", token: token}).status)
	for _, row := range []struct {
		name   string
		fault  func(http.ResponseWriter)
		status int
		retry  string
	}{
		{"it is down", func(w http.ResponseWriter) {
			w.Header().Set("Retry-After", "17") // too long to wait for
			answers(503, "s3cr3t-upstream-text")(w)
		}, 503, "17"},
		{"it refuses our key", answers(401, `{"error":{"code":"Denied","message":"s3cr3t-upstream-text"}}`), 502, ""},
	} {
		disturb(t, acsidentity.OpIssue, row.fault)
		a := h.do(request{path: "/api/token", token: token})
		assert.Equal(t, row.status, a.status, row.name)
		assert.EqualValues(t, row.status, a.json["code"])
		assert.Equal(t, row.retry, a.header.Get("Retry-After"))
		assert.NotContains(t, a.text+h.log.String(), "s3cr3t")
	}
	cloud.ACS.SetFault(nil)

	id := h.do(request{path: "/api/user", token: token}).json["acsUserIdentity"].(string)
	deleteInACS(t, id)
	a := h.do(request{path: "/api/token", token: token})
	require.Equal(t, 201, a.status, "an identity that ACS lost is replaced")
	assert.NotEqual(t, id, a.userID())
	assert.Equal(t, a.userID(), h.do(request{path: "/api/user", token: token}).json["acsUserIdentity"])
}

func TestHeroRoutesAreRateLimited(t *testing.T) {
	needHeroRoutes(t)
	h := start(t, map[string]string{"RATE_LIMIT_PER_USER": "4"})
	token := tokenFor(t, newUser(t))
	var a answer
	for range 6 {
		a = h.do(request{path: "/api/user", token: token})
	}
	assert.Equal(t, 429, a.status)
	assert.EqualValues(t, 429, a.json["code"])
	assert.NotEmpty(t, a.header.Get("Retry-After"))
}

func TestWithoutTheirFoldersTheHeroRoutesAreGone(t *testing.T) {
	needHeroRoutes(t)
	root := t.TempDir()
	require.NoError(t, os.CopyFS(root, acsauth.AppFolder))
	for _, row := range []struct {
		remove      string
		user, token int
	}{{"token", 200, 404}, {"user", 404, 404}} {
		require.NoError(t, os.RemoveAll(filepath.Join(root, row.remove)))
		h := start(t, map[string]string{"FUNCTIONS_APP_ROOT_PATH": root})
		token := tokenFor(t, newUser(t))
		require.Equal(t, 201, h.do(request{path: "/api/getUser", token: token}).status)
		for path, status := range map[string]int{"user": row.user, "token": row.token, "token/teams": row.token} {
			assert.Equal(t, status != 404, strings.Contains(string(h.contract), "\n  /"+path+":\n"), "the contract has %s", path)
		}
		a := h.do(request{path: "/api/user", token: token})
		assert.Equal(t, row.user, a.status)
		if row.user == 404 {
			assert.Equal(t, "not_found", a.code())
		}
		for _, path := range []string{"/api/token", "/api/token/teams"} {
			a = h.do(request{path: path, token: token})
			assert.Equal(t, row.token, a.status)
			assert.Equal(t, "not_found", a.code())
		}
	}
	require.NoError(t, os.RemoveAll(filepath.Join(root, "getUser")))
	code, _, errs := outcome(settings(t, map[string]string{"FUNCTIONS_APP_ROOT_PATH": root}))
	assert.Equal(t, 1, code)
	assert.Contains(t, errs, "function getUser has no folder")
}
