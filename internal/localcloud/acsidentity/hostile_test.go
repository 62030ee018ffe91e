package acsidentity

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// What a clumsy or hostile client sends is refused in the service's words.
func TestOddRequestsAreRefusedInJSON(t *testing.T) {
	res := newResource(t)
	id := res.create()
	issue := "/identities/" + id + "/:issueAccessToken"
	for name, row := range map[string]struct {
		method, path, body string
		status             int
	}{
		"scopes are text":           {"POST", issue, `{"scopes":"chat"}`, 400},
		"scopes are numbers":        {"POST", issue, `{"scopes":[1]}`, 400},
		"a scope is null":           {"POST", issue, `{"scopes":[null]}`, 400},
		"a scope is empty":          {"POST", issue, `{"scopes":[""]}`, 400},
		"scope in capitals":         {"POST", issue, `{"scopes":["CHAT"]}`, 400},
		"minutes are text":          {"POST", issue, `{"scopes":["chat"],"expiresInMinutes":"sixty"}`, 400},
		"minutes are broken":        {"POST", issue, `{"scopes":["chat"],"expiresInMinutes":60.5}`, 400},
		"minutes beyond all":        {"POST", issue, `{"scopes":["chat"],"expiresInMinutes":1e300}`, 400},
		"minutes below zero":        {"POST", issue, `{"scopes":["chat"],"expiresInMinutes":-1}`, 400},
		"a list":                    {"POST", issue, `[]`, 400},
		"a number":                  {"POST", issue, `7`, 400},
		"null":                      {"POST", issue, `null`, 400},
		"nested very deep":          {"POST", issue, strings.Repeat("[", 20_000), 400},
		"not UTF-8":                 {"POST", issue, "{\"scopes\":[\"\xff\"]}", 400},
		"id of another resource":    {"POST", strings.Replace(issue, resourceID, appID, 1), `{"scopes":["chat"]}`, 401},
		"id that is a path":         {"POST", "/identities/..%2F..%2Fx/:issueAccessToken", `{"scopes":["chat"]}`, 401},
		"id that is empty":          {"POST", "/identities//:issueAccessToken", `{"scopes":["chat"]}`, 404},
		"id that is long":           {"DELETE", "/identities/" + strings.Repeat("x", 100_000), "", 401},
		"escape of no character":    {"DELETE", "/identities/%00", "", 401},
		"a slash too many":          {"POST", "//identities", "", 201},
		"a path in capitals":        {"POST", "/IDENTITIES", "", 201},
		"another method":            {"PATCH", "/identities/" + id, "{}", 405},
		"the same scope many times": {"POST", issue, `{"scopes":["chat"` + strings.Repeat(`,"chat"`, 50_000) + `]}`, 200},
	} {
		t.Run(name, func(t *testing.T) {
			w := res.do(row.method, row.path, newest, row.body)
			assert.Equal(t, row.status, w.Code, "%.300s", w.Body)
			assert.Less(t, w.Body.Len(), 2000)
			if w.Code >= 400 {
				assert.NotEmpty(t, member(t, object(t, w), "error", "code"))
			}
		})
	}
}

func TestABodyHasToCallItselfJSON(t *testing.T) {
	res := newResource(t)
	for kind, want := range map[string]int{
		"application/json": 201, "application/json; charset=utf-8": 201, "text/json": 201, "application/merge-patch+json": 201,
		"": 201, "text/plain": 415, "application/x-www-form-urlencoded": 415, "application/json;;": 415,
	} {
		r := httptest.NewRequest(http.MethodPost, "/identities?api-version="+newest, strings.NewReader("{}"))
		r.Header.Set("Content-Type", kind)
		sign(r, key, "x-ms-date;host;x-ms-content-sha256", res.now, "{}")
		w := httptest.NewRecorder()
		res.ServeHTTP(w, r)
		assert.Equal(t, want, w.Code, kind)
	}
}

func TestAFloodFillsNoMemory(t *testing.T) {
	st := newState()
	for i := range maxDeleted + 10 {
		id := tokenID(int64(i))
		assert.True(t, st.add(id))
		st.delete(id)
	}
	assert.Equal(t, maxDeleted, st.deleted.Len())
	assert.Empty(t, st.identities)
	for i := range maxIdentities {
		st.identities[tokenID(int64(i))] = nil
	}
	assert.False(t, st.add("one more"))
}
