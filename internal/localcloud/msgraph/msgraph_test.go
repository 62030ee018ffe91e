package msgraph

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	tenant     = "6f1d7c52-3b0e-4a9c-8d27-51c0a4e9b310"
	alice      = "0a1c5d3e-94b2-4e6f-8a70-3c2d1b0e9f81"
	grace      = "2c3e7f50-b6d4-4081-8c92-5e4f3d201ba3"
	extension1 = `{"@odata.type":"microsoft.graph.openTypeExtension","extensionName":"com.contoso.a","x":"1","n":12345678901234567890,"l":["a","b"]}`
)

// service is a Server on a real listener. A token is "<object id> <app> <scope>…".
type service struct {
	*Server
	t    *testing.T
	http *http.Client
	url  string
}

func newService(t *testing.T) *service {
	t.Helper()
	s := &service{t: t}
	listener := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.ServeHTTP(w, r) }))
	t.Cleanup(listener.Close)
	s.http, s.url = listener.Client(), listener.URL
	s.Server = New(Config{
		BaseURL: "https://graph.example",
		Verify: func(raw string) (Claims, error) {
			parts := strings.Fields(raw)
			if len(parts) < 2 {
				return Claims{}, errors.New("bad token")
			}
			return Claims{TenantID: tenant, ObjectID: parts[0], ClientID: parts[1], Scopes: parts[2:]}, nil
		},
		User: func(tenantID, objectID string) (User, bool) {
			users := map[string]User{alice: {"Alice Teams", "alice@contoso.example", false}, grace: {"Grace Guest", "grace@contoso.example", true}}
			u, ok := users[objectID]
			return u, ok && tenantID == tenant
		},
	})
	return s
}

const full = alice + " app User.ReadWrite"

func (s *service) do(token, method, path, body string) (status int, header http.Header, text string, parsed map[string]any) {
	s.t.Helper()
	req, err := http.NewRequest(method, s.url+path, strings.NewReader(body))
	require.NoError(s.t, err)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := s.http.Do(req)
	require.NoError(s.t, err)
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	require.NoError(s.t, err)
	if len(b) > 0 {
		require.NoError(s.t, json.Unmarshal(b, &parsed), string(b))
	}
	return resp.StatusCode, resp.Header, string(b), parsed
}

func TestAnExtensionLivesAndDies(t *testing.T) {
	s := newService(t)
	const entity = `"@odata.context":"https://graph.example/v1.0/$metadata#users('` + alice + `')/extensions/$entity"`
	const shown = `"@odata.type":"#microsoft.graph.openTypeExtension","id":"com.contoso.a","extensionName":"com.contoso.a","x":"1","n":12345678901234567890,"l":["a","b"]`

	status, header, text, _ := s.do(full, "POST", "/v1.0/me/extensions", extension1)
	assert.Equal(t, 201, status)
	assert.JSONEq(t, "{"+entity+","+shown+"}", text)
	assert.Equal(t, "https://graph.example/v1.0/users/"+alice+"/extensions/com.contoso.a", header.Get("Location"))
	assert.NotEmpty(t, header.Get("request-id"))
	assert.Empty(t, header.Get("ETag"), "a directory's extension has no version")

	for _, path := range []string{"/v1.0/me/extensions/com.contoso.a", "/v1.0/users/" + alice + "/extensions/com.contoso.a", "/v1.0/users/alice@contoso.example/extensions/com.contoso.a"} {
		status, _, text, _ = s.do(alice+" app User.Read", "GET", path, "")
		assert.Equal(t, 200, status)
		assert.JSONEq(t, "{"+entity+","+shown+"}", text)
	}
	_, _, text, _ = s.do(full, "GET", "/v1.0/me/extensions", "")
	assert.JSONEq(t, `{"@odata.context":"https://graph.example/v1.0/$metadata#users('`+alice+`')/extensions","value":[{`+shown+`}]}`, text)
	// The request of the hero sample.
	_, _, text, _ = s.do(full, "GET", "/v1.0/me?$select=id&$expand=extensions", "")
	assert.JSONEq(t, `{"@odata.context":"https://graph.example/v1.0/$metadata#users(id,extensions())/$entity","id":"`+alice+`","extensions":[{`+shown+`}]}`, text)
	_, _, text, _ = s.do(full, "GET", "/v1.0/me?$select=id&$expand=extensions($filter=id%20eq%20'other')", "")
	assert.JSONEq(t, `{"@odata.context":"https://graph.example/v1.0/$metadata#users(id,extensions())/$entity","id":"`+alice+`","extensions":[]}`, text)

	status, _, text, _ = s.do(full, "PATCH", "/v1.0/me/extensions/com.contoso.a", `{"y":true}`)
	assert.Equal(t, 204, status)
	assert.Empty(t, text)
	assert.Equal(t, map[string]any{"y": true}, s.Extension(tenant, alice, "com.contoso.a"))
	status, _, _, _ = s.do(full, "DELETE", "/v1.0/me/extensions/com.contoso.a", "")
	assert.Equal(t, 204, status)
	assert.Nil(t, s.Extension(tenant, alice, "com.contoso.a"))
	assert.Equal(t, map[string]int{OpCreateExtension: 1, OpGetExtension: 3, OpListExtensions: 1, OpGetUser: 2, OpUpdateExtension: 1, OpDeleteExtension: 1}, s.Calls())
}

func TestRefusals(t *testing.T) {
	s := newService(t)
	_, _, _, _ = s.do(full, "POST", "/v1.0/me/extensions", extension1)
	for _, row := range []struct {
		name                      string
		token, method, path, body string
		status                    int
		code                      string
	}{
		{"no token", "", "GET", "/v1.0/me", "", 401, "InvalidAuthenticationToken"},
		{"a token that does not verify", "bad", "GET", "/v1.0/nowhere", "", 401, "InvalidAuthenticationToken"},
		{"an app without a user", alice + " app", "GET", "/v1.0/me", "", 400, "BadRequest"},
		{"an app without a user, by id", alice + " app", "GET", "/v1.0/users/" + alice, "", 403, "Authorization_RequestDenied"},
		{"reading with no scope for it", alice + " app openid", "GET", "/v1.0/me", "", 403, "Authorization_RequestDenied"},
		{"writing with the scope to read", alice + " app User.Read", "POST", "/v1.0/me/extensions", extension1, 403, "Authorization_RequestDenied"},
		{"somebody else", full, "GET", "/v1.0/users/" + grace, "", 403, "Authorization_RequestDenied"},
		{"a guest who writes", grace + " app User.ReadWrite", "POST", "/v1.0/me/extensions", extension1, 403, "Authorization_RequestDenied"},
		{"a user who has gone", "ffffffff-0000-4000-8000-000000000000 app User.Read", "GET", "/v1.0/me", "", 404, "Request_ResourceNotFound"},
		{"the same name again", full, "POST", "/v1.0/me/extensions", extension1, 400, "Request_BadRequest"},
		{"no name", full, "POST", "/v1.0/me/extensions", `{"x":1}`, 400, "Request_BadRequest"},
		{"another type", full, "POST", "/v1.0/me/extensions", `{"@odata.type":"microsoft.graph.user","extensionName":"b"}`, 400, "Request_BadRequest"},
		{"an object in it", full, "POST", "/v1.0/me/extensions", `{"extensionName":"b","o":{}}`, 400, "Request_BadRequest"},
		{"too large", full, "POST", "/v1.0/me/extensions", `{"extensionName":"b","x":"` + strings.Repeat("x", maxExtensionSize) + `"}`, 400, "Request_BadRequest"},
		{"no JSON", full, "POST", "/v1.0/me/extensions", `<`, 400, "BadRequest"},
		{"no such extension", full, "GET", "/v1.0/me/extensions/b", "", 404, "ResourceNotFound"},
		{"no such extension to change", full, "PATCH", "/v1.0/me/extensions/b", "{}", 404, "ResourceNotFound"},
		{"no such extension to delete", full, "DELETE", "/v1.0/me/extensions/b", "", 404, "ResourceNotFound"},
		{"no such property", full, "GET", "/v1.0/me?$select=id,nothing", "", 400, "BadRequest"},
		{"nothing to expand", full, "GET", "/v1.0/me?$expand=manager", "", 400, "BadRequest"},
		{"no such path", full, "GET", "/v1.0/me/extensions/a/b", "", 400, "BadRequest"},
		{"no such version", full, "GET", "/v9/me", "", 400, "BadRequest"},
		{"no path", full, "GET", "/v1.0", "", 400, "BadRequest"},
		{"no such method", full, "PUT", "/v1.0/me", "", 405, "Request_BadRequest"},
	} {
		t.Run(row.name, func(t *testing.T) {
			status, header, text, parsed := s.do(row.token, row.method, row.path, row.body)
			assert.Equal(t, row.status, status, text)
			e, _ := parsed["error"].(map[string]any)
			assert.Equal(t, row.code, e["code"])
			inner, _ := e["innerError"].(map[string]any)
			assert.Equal(t, header.Get("request-id"), inner["request-id"])
			assert.Equal(t, header.Get("client-request-id"), inner["client-request-id"])
			assert.Equal(t, row.status == 401, header.Get("WWW-Authenticate") != "")
		})
	}
}

func TestAnAppMayHaveTwoExtensions(t *testing.T) {
	s := newService(t)
	create := func(app, name string) int {
		status, _, _, _ := s.do(alice+" "+app+" User.ReadWrite", "POST", "/v1.0/me/extensions", `{"extensionName":"`+name+`"}`)
		return status
	}
	assert.Equal(t, []int{201, 201, 400, 201}, []int{create("app", "a"), create("app", "b"), create("app", "c"), create("other", "c")})
}

func TestTheUserAsTheyAre(t *testing.T) {
	s := newService(t)
	_, _, _, me := s.do(full, "GET", "/v1.0/me", "")
	assert.Equal(t, "https://graph.example/v1.0/$metadata#users/$entity", me["@odata.context"])
	assert.Equal(t, []any{alice, "Alice Teams", "alice@contoso.example", nil}, []any{me["id"], me["displayName"], me["userPrincipalName"], me["mail"]})
	assert.Len(t, me, defaultProperties+1)
}

func TestFaultsComeBeforeAndAfterTheWork(t *testing.T) {
	s := newService(t)
	teapot := func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(http.StatusTeapot); return true }
	s.SetFault(teapot)
	status, _, _, _ := s.do(full, "POST", "/v1.0/me/extensions", extension1)
	assert.Equal(t, http.StatusTeapot, status)
	assert.Nil(t, s.Extension(tenant, alice, "com.contoso.a"))
	s.SetFault(nil)
	s.SetFaultAfter(teapot)
	status, _, _, _ = s.do(full, "POST", "/v1.0/me/extensions", extension1)
	assert.Equal(t, http.StatusTeapot, status)
	assert.NotNil(t, s.Extension(tenant, alice, "com.contoso.a"))
}
