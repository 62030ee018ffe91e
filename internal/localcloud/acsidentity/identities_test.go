package acsidentity

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCreateMakesIdentitiesOfTheResource(t *testing.T) {
	res := newResource(t)
	for name, body := range map[string]string{
		"no body":                    "",
		"an empty object":            "{}",
		"nulls, as the Python SDK":   `{"createTokenWithScopes":null,"expiresInMinutes":null}`,
		"an empty list of scopes":    `{"createTokenWithScopes":[]}`,
		"fields that nobody knows":   `{"customId":"alice"}`,
		"a lifetime without a token": `{"expiresInMinutes":60}`,
	} {
		w := res.do(http.MethodPost, "/identities", newest, body)
		require.Equal(t, http.StatusCreated, w.Code, name)
		o := object(t, w)
		assert.NotContains(t, o, "accessToken", name)
		assert.Regexp(t, `^8:acs:`+resourceID+`_[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`, member(t, o, "identity", "id"), name)
	}
	assert.Len(t, res.Identities(), 6)
	assert.Equal(t, map[string]int{OpCreate: 6}, res.Calls())
}

func TestATokenHasTheShapeOfACSTokens(t *testing.T) {
	res := newResource(t)
	w := res.do(http.MethodPost, "/identities", newest, `{"createTokenWithScopes":["chat","voip"],"expiresInMinutes":60}`)
	require.Equal(t, http.StatusCreated, w.Code)
	o := object(t, w)
	assert.Equal(t, "2026-11-22T16:00:00.1234567+00:00", member(t, o, "accessToken", "expiresOn"))

	token := member(t, o, "accessToken", "token")
	issued := res.now.Unix()
	claims := res.claims(token)
	assert.NotEmpty(t, claims["jti"])
	delete(claims, "jti")
	assert.Equal(t, map[string]any{
		"skypeid": strings.TrimPrefix(member(t, o, "identity", "id"), "8:"), "scp": 1792.0, "csi": fmt.Sprint(issued),
		"exp": float64(issued + 3600), "acsScope": "chat,voip", "resourceId": resourceID, "iat": float64(issued),
	}, claims)
	text, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[0])
	require.NoError(t, err)
	var header map[string]any
	require.NoError(t, json.Unmarshal(text, &header))
	assert.Equal(t, "RS256", header["alg"])
	assert.Equal(t, header["kid"], header["x5t"])

	id := member(t, o, "identity", "id")
	w = res.do(http.MethodPost, "/identities/"+id+"/:issueAccessToken", newest, `{"scopes":["chat"],"expiresInMinutes":null}`)
	assert.Equal(t, "2026-11-23T15:00:00.1234567+00:00", member(t, object(t, w), "expiresOn"), "a day by default")
	assert.NotEqual(t, res.issueToken(id, `{"scopes":["chat"]}`), res.issueToken(id, `{"scopes":["chat"]}`), "each token is new")
}

func TestRevokeEndsWhatWasIssuedBefore(t *testing.T) {
	res := newResource(t)
	id, other := res.create(), res.create()
	before, others := res.issueToken(id, `{"scopes":["chat"]}`), res.issueToken(other, `{"scopes":["chat"]}`)
	require.True(t, res.TokenActive(before))

	w := res.do(http.MethodPost, "/identities/"+id+"/:revokeAccessTokens", newest, "")
	assert.Equal(t, http.StatusNoContent, w.Code)
	assert.Empty(t, w.Body.String())
	assert.False(t, res.TokenActive(before))
	assert.True(t, res.TokenActive(others))
	after := res.issueToken(id, `{"scopes":["chat"],"expiresInMinutes":60}`)
	assert.True(t, res.TokenActive(after))
	res.now = res.now.Add(time.Hour)
	assert.False(t, res.TokenActive(after), "expired")
	assert.False(t, res.TokenActive("x.y.z"))
}

func TestDeleteEndsAnIdentityForGood(t *testing.T) {
	res := newResource(t)
	id := res.create()
	token := res.issueToken(id, `{"scopes":["voip"]}`)
	escaped := strings.ReplaceAll(id, ":", "%3A")

	w := res.do(http.MethodDelete, "/identities/"+escaped, newest, "")
	assert.Equal(t, http.StatusNoContent, w.Code)
	assert.Empty(t, res.Identities())
	assert.Equal(t, []string{id}, res.Deleted())
	assert.False(t, res.TokenActive(token))

	assert.Equal(t, http.StatusNoContent, res.do(http.MethodDelete, "/identities/"+id, newest, "").Code, "again")
	for _, operation := range []string{":issueAccessToken", ":revokeAccessTokens"} {
		w := res.do(http.MethodPost, "/identities/"+escaped+"/"+operation, newest, `{"scopes":["chat"]}`)
		assert.Equal(t, http.StatusNotFound, w.Code)
		assert.Equal(t, "IdentityNotFound", member(t, object(t, w), "error", "code"))
	}
	assert.Equal(t, map[string]int{OpCreate: 1, OpDelete: 2, OpIssue: 2, OpRevoke: 1}, res.Calls())
}

func TestErrorsAreWordedAsTheServiceDoes(t *testing.T) {
	res := newResource(t)
	id := res.create()
	issue, revoke := "/identities/"+id+"/:issueAccessToken", "/identities/"+id+"/:revokeAccessTokens"
	unknown, foreign := "8:acs:"+resourceID+"_x", "8:acs:00000000-0000-0000-0000-000000000000_00000000-0000-0000-0000-000000000000"
	const notOwned = "Provided identity doesn't belong to the resource."
	interval := "ExpiresInMinutes value %d is invalid. Value must be within the [60, 1440] interval."
	for name, row := range map[string]struct {
		method, path, version, body string
		status                      int
		code, message, target       string
		versions                    bool
	}{
		"create, a minute too long":  {"POST", "/identities", newest, `{"createTokenWithScopes":["chat"],"expiresInMinutes":1441}`, 400, "ValidationError", fmt.Sprintf(interval, 1441), "ExpiresInMinutes", false},
		"create, a minute too short": {"POST", "/identities", newest, `{"createTokenWithScopes":["chat"],"expiresInMinutes":59}`, 400, "ValidationError", fmt.Sprintf(interval, 59), "ExpiresInMinutes", false},
		"issue, a minute too long":   {"POST", issue, newest, `{"scopes":["chat"],"expiresInMinutes":1441}`, 400, "ValidationError", fmt.Sprintf(interval, 1441), "ExpiresInMinutes", false},
		"issue, a minute too short":  {"POST", issue, newest, `{"scopes":["chat"],"expiresInMinutes":59}`, 400, "ValidationError", fmt.Sprintf(interval, 59), "ExpiresInMinutes", false},
		"issue, scopes null":         {"POST", issue, newest, `{"scopes":null}`, 400, "ValidationError", "Scopes: The Scopes field is required.", "Scopes", false},
		"issue, no body":             {"POST", issue, newest, "", 400, "ValidationError", "Scopes: The Scopes field is required.", "Scopes", false},
		"issue, unknown scope":       {"POST", issue, newest, `{"scopes":["email"]}`, 400, "ValidationError", "Scopes: expected one of chat, voip, chat.join, chat.join.limited, voip.join.", "Scopes", false},
		"issue, scope of later date": {"POST", issue, "2022-10-01", `{"scopes":["chat.join"]}`, 400, "ValidationError", "Scopes: expected one of chat, voip.", "Scopes", false},
		"issue, not JSON":            {"POST", issue, newest, `{"scopes":`, 400, "ValidationError", "The request body is malformed.", "", false},
		"issue, more than JSON":      {"POST", issue, newest, `{"scopes":["chat"]}{}`, 400, "ValidationError", "The request body is malformed.", "", false},
		"issue, identity unknown":    {"POST", "/identities/" + unknown + "/:issueAccessToken", newest, `{"scopes":["chat"]}`, 404, "IdentityNotFound", "Identity not found.", "", true},
		"revoke, identity unknown":   {"POST", "/identities/" + unknown + "/:revokeAccessTokens", newest, "", 404, "IdentityNotFound", "Identity not found.", "", true},
		"issue, another's identity":  {"POST", "/identities/" + foreign + "/:issueAccessToken", newest, `{"scopes":["chat"]}`, 401, "IdentityNotOwned", notOwned, "", true},
		"revoke, another's identity": {"POST", "/identities/" + foreign + "/:revokeAccessTokens", newest, "", 401, "IdentityNotOwned", notOwned, "", true},
		"delete, another's identity": {"DELETE", "/identities/" + foreign, newest, "", 401, "IdentityNotOwned", notOwned, "", true},
		"preview version":            {"POST", "/identities", "2020-07-20-preview2", "", 400, "UnsupportedApiVersion", "The HTTP resource that matches the request URI 'https://example.com/identities' does not support the API version '2020-07-20-preview2'.", "", false},
		"withdrawn version":          {"POST", revoke, "2023-08-01", "", 400, "UnsupportedApiVersion", "The HTTP resource that matches the request URI 'https://example.com" + revoke + "' does not support the API version '2023-08-01'.", "", false},
		"no version":                 {"POST", "/identities", "", "", 400, "ApiVersionUnspecified", "An API version is required, but was not specified.", "", false},
		"no list of identities":      {"GET", "/identities", newest, "", 405, "MethodNotAllowed", "The method is not allowed here.", "", false},
		"no such path":               {"POST", "/chat/threads", newest, "", 404, "NotFound", "The resource does not exist.", "", false},
		"body beyond all bounds":     {"POST", "/identities", newest, strings.Repeat(" ", maxBody+1), 413, "RequestEntityTooLarge", "The request body is too large.", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			w := res.do(row.method, row.path, row.version, row.body)
			assert.Equal(t, row.status, w.Code)
			want := map[string]any{"code": row.code, "message": row.message}
			if row.target != "" {
				want["target"] = row.target
			}
			assert.Equal(t, map[string]any{"error": want}, object(t, w))
			assert.Equal(t, "application/json", w.Header().Get("Content-Type"))
			assert.Equal(t, row.versions, w.Header().Get("api-supported-versions") != "")
		})
	}
	assert.Len(t, res.Identities(), 1)
}

func TestWhoIsNotLetInLearnsNothing(t *testing.T) {
	res := newResource(t)
	w := httptest.NewRecorder()
	res.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/identities?api-version=1999-01-01", strings.NewReader("{")))
	assert.Equal(t, http.StatusUnauthorized, w.Code)
	assert.JSONEq(t, `{"error":{"code":"Denied","message":"Denied by the resource provider."}}`, w.Body.String())
	assert.Empty(t, w.Header().Get("api-supported-versions"))
	assert.NotEmpty(t, w.Header().Get(reasonHeader), "the developer does")
}

func TestEveryStableVersionIsServed(t *testing.T) {
	res := newResource(t)
	for _, version := range versions() {
		w := res.do(http.MethodPost, "/identities", version, `{"createTokenWithScopes":["chat"]}`)
		assert.Equal(t, http.StatusCreated, w.Code, version)
	}
	w := res.do(http.MethodPost, "/identities", "2022-06-01", `{"createTokenWithScopes":["chat"],"expiresInMinutes":7}`)
	assert.Equal(t, http.StatusCreated, w.Code, "expiresInMinutes came with 2022-10-01")
}

func TestAnswersCarryTheServicesHeaders(t *testing.T) {
	h := newResource(t).do(http.MethodPost, "/identities", newest, "").Header()
	assert.Equal(t, "application/json; charset=utf-8", h.Get("Content-Type"))
	assert.Equal(t, strings.Join(versions(), ", "), h.Get("api-supported-versions"))
	assert.Equal(t, "request-1", h.Get("x-ms-client-request-id"))
	assert.NotEmpty(t, h.Get("x-ms-request-id"))
	assert.Empty(t, h.Get("Strict-Transport-Security"), "it would bind every port of localhost")
	assert.Regexp(t, `^\d+ms$`, h.Get("X-Processing-Time"))
	assert.NotEmpty(t, h.Get("MS-CV"))
	assert.NotEmpty(t, h.Get("X-Azure-Ref"))
}

func TestFaultsComeBeforeOrAfterTheWork(t *testing.T) {
	res := newResource(t)
	busy := func(w http.ResponseWriter, r *http.Request) bool {
		if Operation(r) != OpCreate {
			return false
		}
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusTooManyRequests)
		return true
	}
	res.SetFault(busy)
	assert.Equal(t, http.StatusTooManyRequests, res.do(http.MethodPost, "/identities", newest, "").Code)
	assert.Empty(t, res.Identities(), "before the work")
	assert.Equal(t, http.StatusNoContent, res.do(http.MethodDelete, "/identities/8:acs:"+resourceID+"_x", newest, "").Code)

	res.SetFault(nil)
	res.SetFaultAfter(func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) })
	assert.PanicsWithValue(t, http.ErrAbortHandler, func() { res.do(http.MethodPost, "/identities", newest, "") })
	assert.Len(t, res.Identities(), 1, "after the work")
	assert.Equal(t, http.StatusBadRequest, res.do(http.MethodPost, "/identities", "", "").Code, "only after work that was done")

	res.SetFaultAfter(nil)
	assert.Equal(t, http.StatusCreated, res.do(http.MethodPost, "/identities", newest, "").Code)
	assert.Equal(t, map[string]int{OpCreate: 4, OpDelete: 1}, res.Calls())
}

func TestManyMayCallAtOnce(t *testing.T) {
	res := newResource(t)
	shared := res.create()
	var all sync.WaitGroup
	for i := range 24 {
		all.Go(func() {
			w := res.do(http.MethodPost, "/identities", newest, `{"createTokenWithScopes":["chat"]}`)
			if !assert.Equal(t, http.StatusCreated, w.Code) {
				return
			}
			var created struct{ Identity struct{ ID string } }
			assert.NoError(t, json.Unmarshal(w.Body.Bytes(), &created))
			res.do(http.MethodPost, "/identities/"+shared+"/:issueAccessToken", newest, `{"scopes":["chat"]}`)
			res.do(http.MethodPost, "/identities/"+shared+"/:revokeAccessTokens", newest, "")
			if i%2 == 0 {
				res.do(http.MethodDelete, "/identities/"+created.Identity.ID, newest, "")
			}
			res.TokenActive("x")
			res.Calls()
		})
	}
	all.Wait()
	assert.Len(t, res.Identities(), 13)
	assert.Len(t, res.Deleted(), 12)
}
