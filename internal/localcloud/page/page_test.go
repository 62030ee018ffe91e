package page

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"acsauth/internal/localcloud"
	"acsauth/internal/localcloud/entraid"
	"acsauth/internal/localcloud/funchost"
	"acsauth/internal/secret"
)

// local is a page over HTTP, in front of a service that answers as told.
type local struct {
	*Page
	url     string
	service func(w http.ResponseWriter, r *http.Request)
}

func start(t *testing.T) *local {
	t.Helper()
	cloud, err := localcloud.Start(localcloud.Options{Dir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(cloud.Close)
	l := &local{service: func(http.ResponseWriter, *http.Request) {}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if Owns(r) {
			l.ServeHTTP(w, r)
			return
		}
		l.Observe(http.HandlerFunc(l.service)).ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	l.url = strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
	l.Page = New(Config{
		Cloud: cloud, URL: l.url, Service: l.url, Key: secret.New("the key"),
		Functions: []funchost.Function{
			{Name: "getUser", Route: "api/getUser"},
			{Name: "exchangeToken", Route: "api/exchangeToken", Methods: []string{"GET", "POST"}},
			{Name: "keyed", Route: "api/keyed", Keyed: true},
			{Name: "sweep", Schedule: "0 0 * * * *"},
			{Name: "off", Route: "api/off", Disabled: true},
		},
	})
	return l
}

// do sends a request, with header lines of the form "Name: value", and follows
// the way back to the page.
func (l *local) do(t *testing.T, method, path, body string, header ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, l.url+path, strings.NewReader(body))
	require.NoError(t, err)
	if strings.Contains(body, "=") && !strings.Contains(body, ":") {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		req.Header.Set(name, value)
		if name == "Host" {
			req.Host = value
		}
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(text)
}

func (l *local) form(t *testing.T, path string, pairs ...string) string {
	t.Helper()
	form := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	status, text := l.do(t, http.MethodPost, path, form.Encode(), "Content-Type: application/x-www-form-urlencoded")
	require.Equal(t, http.StatusOK, status, text)
	return text
}

func alice() string { return userID(entraid.SampleUsers()[0]) }

func TestAStrangersPageIsRefused(t *testing.T) {
	l := start(t)
	host := strings.TrimPrefix(l.url, "http://")
	_, port, _ := strings.Cut(host, ":")
	for name, row := range map[string]struct {
		method, path string
		header       []string
		want         int
	}{
		"no browser at all":                   {"POST", "/local/knobs", nil, 200},
		"the page itself":                     {"POST", "/local/knobs", []string{"Origin: " + l.url, "Sec-Fetch-Site: same-origin"}, 200},
		"the page by address":                 {"GET", "/", []string{"Host: 127.0.0.1:" + port}, 200},
		"the page in another case":            {"GET", "/", []string{"Host: LocalHost:" + port}, 200},
		"another origin":                      {"POST", "/local/knobs", []string{"Origin: https://evil.example"}, 403},
		"another port of this machine":        {"POST", "/local/knobs", []string{"Origin: http://localhost:1", "Sec-Fetch-Site: same-site"}, 403},
		"no origin to speak of":               {"POST", "/local/knobs", []string{"Origin: null"}, 403},
		"a form of another site":              {"POST", "/local/signin", []string{"Sec-Fetch-Site: cross-site"}, 403},
		"a method with a preflight":           {"DELETE", "/local/knobs", []string{"Origin: https://evil.example"}, 403},
		"a name that was made to point here":  {"GET", "/local/cloud", []string{"Host: evil.example:" + port}, 403},
		"the page by such a name":             {"GET", "/", []string{"Host: evil.example:" + port}, 403},
		"such a name and its own origin":      {"POST", "/local/knobs", []string{"Host: evil.example", "Origin: http://evil.example", "Sec-Fetch-Site: same-origin"}, 403},
		"another port in the name":            {"GET", "/", []string{"Host: localhost:1"}, 403},
		"no port in the name":                 {"GET", "/", []string{"Host: localhost"}, 403},
		"a path that is not there":            {"GET", "/local/nothing", nil, 404},
		"a method that is not there":          {"PUT", "/local/knobs", nil, 405},
		"an attempt to act by following link": {"GET", "/local/signin", nil, 405},
	} {
		status, text := l.do(t, row.method, row.path, "", row.header...)
		if row.path == "/local/knobs" && row.want == 200 {
			assert.Equal(t, 400, status, name) // an empty body is no knob, but was let in
			assert.Contains(t, text, "expected service:name=value")
			continue
		}
		assert.Equal(t, row.want, status, name)
	}
}

func TestTheHeadersLetNothingForeignIn(t *testing.T) {
	l := start(t)
	resp, err := http.Get(l.url)
	require.NoError(t, err)
	_ = resp.Body.Close()
	assert.Contains(t, resp.Header.Get("Content-Security-Policy"), "default-src 'none'; script-src 'self'")
	assert.NotContains(t, resp.Header.Get("Content-Security-Policy"), "unsafe")
	assert.Equal(t, "nosniff", resp.Header.Get("X-Content-Type-Options"))
	assert.Empty(t, resp.Header.Get("Access-Control-Allow-Origin"))
}

func TestEachFunctionCanBeCalledAndIsShown(t *testing.T) {
	l := start(t)
	var got *http.Request
	l.service = func(w http.ResponseWriter, r *http.Request) {
		got = r.Clone(t.Context())
		w.Header().Set("X-Request-Id", "the id")
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"user":{"communicationUserId":"8:acs:one"},"token":"`+l.current.Token+`"}`)
	}
	text := l.form(t, "/local/signin", "user", alice())
	assert.Contains(t, text, "Alice Teams is signed in.")
	assert.Contains(t, text, "what the app may do for the user")
	assert.NotContains(t, text, "api/off", "it is disabled")

	text = l.form(t, "/local/call", "function", "getUser", "method", "GET", "path", "/api/getUser?a=%20b", "as", withToken)
	assert.Equal(t, "Bearer "+l.current.Token, got.Header.Get("Authorization"))
	assert.Equal(t, "/api/getUser?a=%20b", got.RequestURI)
	assert.Contains(t, text, "getUser answered 201 Created.")
	assert.Contains(t, text, "the id")
	assert.Contains(t, text, "ACS token that came back")
	assert.Equal(t, map[string]string{"8:acs:one": alice()}, l.owners)

	l.form(t, "/local/call", "function", "exchangeToken", "method", "POST", "path", "/api/exchangeToken", "as", withToken, "teams", "on", "body", "{}")
	assert.NotEmpty(t, got.Header.Get("Teams-User-Aad-Token"))
	assert.Equal(t, "application/json", got.Header.Get("Content-Type"))

	l.form(t, "/local/call", "function", "keyed", "method", "GET", "path", "/api/keyed", "as", withNone)
	assert.Empty(t, got.Header.Get("Authorization"))
	assert.Equal(t, "the key", got.Header.Get("X-Functions-Key"))

	l.form(t, "/local/call", "function", "getUser", "method", "GET", "path", "/api/getUser", "as", withForged)
	assert.NotEqual(t, "Bearer "+l.current.Token, got.Header.Get("Authorization"))
	assert.NotEmpty(t, got.Header.Get("Authorization"))
}

func TestAnAnswerIsShownWhateverItIs(t *testing.T) {
	l := start(t)
	for name, answer := range map[string]func(http.ResponseWriter, *http.Request){
		"no answer": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"half an answer": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "half")
		},
		"bytes":     func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte{0, 0xff, 0xfe, '<'}) },
		"markup":    func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<script>alert(1)</script>") },
		"a torrent": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 5<<20)) },
		"no body":   func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) },
	} {
		l.service = answer
		text := l.form(t, "/local/call", "function", "getUser", "method", "GET", "path", "/api/getUser")
		assert.NotContains(t, text, "<script>alert", name)
		assert.Contains(t, text, "getUser", name)
	}
}

func TestWhatMakesNoSenseIsSaid(t *testing.T) {
	l := start(t)
	for _, row := range []struct {
		path  string
		pairs []string
		want  string
	}{
		{"/local/signin", []string{"user", "nobody"}, "there is no such user"},
		{"/local/call", []string{"function", "nothing"}, "there is no such function"},
		{"/local/call", []string{"function", "getUser", "path", "https://evil.example/"}, "expected one that begins with /"},
		{"/local/call", []string{"function", "getUser", "path", "//evil.example/"}, "expected one that begins with /"},
		{"/local/call", []string{"function", "getUser", "path", "/api", "method", "NO GOOD"}, "invalid method"},
		{"/local/turn", []string{"target", "acs"}, "fill in what the fault is to be"},
		{"/local/clear", []string{"id", "77"}, "not known here"},
		{"/local/restart", nil, "run by somebody else"},
		{"/local/trigger", []string{"function", "sweep"}, "run by somebody else"},
	} {
		assert.Contains(t, l.form(t, row.path, row.pairs...), row.want, row.path)
	}
}

func TestScriptsSetAndClearKnobs(t *testing.T) {
	l := start(t)
	status, text := l.do(t, "POST", "/local/knobs", "acs:status=503,probability=0.2\nentra:latency=10ms\n")
	assert.Equal(t, 200, status, text)
	assert.JSONEq(t, `[{"id":1,"knob":"acs:status=503,probability=0.2","hit":0},{"id":2,"knob":"entra:latency=10ms","hit":0}]`, text)
	_, text = l.do(t, "DELETE", "/local/knobs/acs", "")
	assert.JSONEq(t, `[{"id":2,"knob":"entra:latency=10ms","hit":0}]`, text)
	status, text = l.do(t, "DELETE", "/local/knobs/9", "")
	assert.Equal(t, 404, status)
	assert.JSONEq(t, `{"error":"knob \"9\": not known here"}`, text)
	_, text = l.do(t, "DELETE", "/local/knobs", "")
	assert.JSONEq(t, `[]`, text)
	status, _ = l.do(t, "POST", "/local/knobs", "acs:status=503\nacs:colour=red")
	assert.Equal(t, 400, status)
	_, text = l.do(t, "GET", "/local/knobs", "")
	assert.JSONEq(t, `[]`, text, "all or nothing")
	status, _ = l.do(t, "POST", "/local/knobs", strings.Repeat("x", 2<<20))
	assert.Equal(t, 400, status)
}

func TestScriptsLearnWhereEverythingIs(t *testing.T) {
	l := start(t)
	l.form(t, "/local/signin", "user", alice())
	var cloud map[string]any
	_, text := l.do(t, "GET", "/local/cloud", "")
	require.NoError(t, json.Unmarshal([]byte(text), &cloud))
	assert.Equal(t, l.Cloud.EntraURL, cloud["entra"])
	assert.NotContains(t, text, l.Cloud.Secrets()[1], "the access key is in a file of its own")
	_, page := l.do(t, "GET", "/", "")
	for _, name := range []string{"service", "authority", "clientId", "desktopClientId", "scope", "acs", "graph", "caCertificateFile"} {
		assert.Contains(t, page, cloud[name], "the page tells people the same")
	}
	_, text = l.do(t, "GET", "/local/requests", "")
	assert.Contains(t, text, `"operation":"authorize"`)
	_, text = l.do(t, "GET", "/local/identities", "")
	assert.JSONEq(t, `[]`, text)
}

func TestTheLikeliestMethodComesFirst(t *testing.T) {
	all := []string{"GET", "HEAD", "POST", "DELETE"}
	for name, want := range map[string]string{"getUser": "GET", "deleteUser": "DELETE", "refreshToken": "POST", "exchangeToken": "POST", "revokeTokens": "POST"} {
		c := callOf(funchost.Function{Name: name, Methods: all})
		assert.Equal(t, want, c.Methods[0], name)
		assert.ElementsMatch(t, all, c.Methods)
	}
	assert.Equal(t, "PUT", callOf(funchost.Function{Name: "getX", Methods: []string{"PUT"}}).Methods[0])
}

func TestWhatARouteMayLeaveOutIsLeftOut(t *testing.T) {
	for route, want := range map[string]string{
		"api/getUser":         "/api/getUser",
		"api/token/{kind?}":   "/api/token",
		"api/{*path}":         "/api",
		"{*path}":             "/",
		"api/users/{id}/{a?}": "/api/users/{id}",
	} {
		assert.Equal(t, want, callOf(funchost.Function{Name: "any", Route: route}).Path)
	}
}
