package acsidentity

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"acsauth/internal/secret"
)

// recorded is a request of @azure/communication-identity 1.3.1, as it was sent.
type recorded struct {
	name, method, target, body, hash, signature string
}

const (
	recordedKey  = "ZW11bGF0b3Itc2VjcmV0LWtleS0wMTIzNDU2Nzg5"
	recordedHost = "localhost:8787"
	recordedDate = "Sun, 22 Nov 2026 15:02:49 GMT"
	recordedID   = "8%3Aacs%3A11111111-2222-3333-4444-555555555555_00000015-0d1b-4b1e-71bf-a43a0d00f3ab"
)

func recordings() []recorded {
	return []recorded{
		{name: "createUser", method: "POST", target: "/identities?api-version=2023-10-01",
			body:      "",
			hash:      "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
			signature: "07LZ6934nqJIrSEMlQMcvogHvfEDOKC7HQF91pnKyO8="},
		{name: "createUserAndToken(chat,voip)", method: "POST", target: "/identities?api-version=2023-10-01",
			body:      `{"createTokenWithScopes":["chat","voip"]}`,
			hash:      "fYTayOkxDFdoXd25BoJTvoTLLr5+QVfLFXvdJep6oNs=",
			signature: "O5sRxQ05zqseM7rd9KB85b8EghuYT2Sgtubm9wRM0KM="},
		{name: "createUserAndToken(chat,voip,60)", method: "POST", target: "/identities?api-version=2023-10-01",
			body:      `{"createTokenWithScopes":["chat","voip"],"expiresInMinutes":60}`,
			hash:      "jENEeifYNCidF9FcfXJ54WzhK3ED/2UrQyA4+oWOZKc=",
			signature: "fAAwRo9yNnED5QKH68uduJMJxKPx0jzEwqaeTaFpWVg="},
		{name: "getToken(chat)", method: "POST", target: "/identities/" + recordedID + "/:issueAccessToken?api-version=2023-10-01",
			body:      `{"scopes":["chat"]}`,
			hash:      "J+doRQjtFVYLx3qOvzptwBLjQWqy6OEWEEk1TY1+rT4=",
			signature: "6NXhu7lIpmeP36lMxE/qVFbNPBcMZa1nSQEBt0JFKHo="},
		{name: "getToken(chat.join,voip.join,60)", method: "POST", target: "/identities/" + recordedID + "/:issueAccessToken?api-version=2023-10-01",
			body:      `{"scopes":["chat.join","voip.join"],"expiresInMinutes":60}`,
			hash:      "g/o/CxLrnRDs5Xb6OSfJJf592imUzILKYs/8tfxwaZo=",
			signature: "zQ9uUwfMs6f8QEbtvN7u3LbCD/DBpaEnYl15av0ZMPs="},
		{name: "revokeTokens", method: "POST", target: "/identities/" + recordedID + "/:revokeAccessTokens?api-version=2023-10-01",
			body:      "",
			hash:      "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
			signature: "yJ9pFnXcbf51IjtTzylb7qlWQSkJU1MsT0hcUzB0rsQ="},
		{name: "deleteUser", method: "DELETE", target: "/identities/" + recordedID + "?api-version=2023-10-01",
			body:      "",
			hash:      "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
			signature: "+wufp7lCPUQPfNpOKYerzuEtEhCaJOISaxwG0gwdCQA="},
		{name: "getTokenForTeamsUser", method: "POST", target: "/teamsUser/:exchangeAccessToken?api-version=2023-10-01",
			body:      `{"token":"AADTOKEN","appId":"cccccccc-0000-0000-0000-000000000001","userId":"dddddddd-0000-0000-0000-000000000002"}`,
			hash:      "Wn70eBsI/o60ITsqZan8Usx7ht0Zt9f5DHQ7V05X+xI=",
			signature: "TWpvP7TbYZYo28XHSglzUyCpbXf4XD2hkTn/UJwRIeA="},
	}
}

func (rec recorded) request() *http.Request {
	r := httptest.NewRequest(rec.method, rec.target, strings.NewReader(rec.body))
	r.Host = recordedHost
	r.Header.Set("x-ms-date", recordedDate)
	r.Header.Set("x-ms-content-sha256", rec.hash)
	r.Header.Set("Authorization", "HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature="+rec.signature)
	return r
}

func recordedServer(t *testing.T, key string, off time.Duration) *Server {
	t.Helper()
	date, err := http.ParseTime(recordedDate)
	require.NoError(t, err)
	s, err := New(Config{AccessKey: secret.New(key), ResourceID: resourceID, Now: func() time.Time { return date.Add(off) }})
	require.NoError(t, err)
	return s
}

func status(s *Server, r *http.Request) int {
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w.Code
}

func TestRecordedRequestsAreLetInAndChangedOnesAreNot(t *testing.T) {
	s := recordedServer(t, recordedKey, 0)
	otherKey := recordedServer(t, "b3RoZXIta2V5", 0)
	late := recordedServer(t, recordedKey, ClockSkew+time.Second)
	early := recordedServer(t, recordedKey, -ClockSkew-time.Second)
	stillGood := recordedServer(t, recordedKey, ClockSkew)

	for _, rec := range recordings() {
		t.Run(rec.name, func(t *testing.T) {
			assert.NoError(t, s.authenticate(rec.request(), []byte(rec.body)))
			assert.NoError(t, s.authenticate(rec.request(), []byte(rec.body)), "a repeat")
			assert.NoError(t, stillGood.authenticate(rec.request(), []byte(rec.body)))
			assert.Error(t, otherKey.authenticate(rec.request(), []byte(rec.body)))
			assert.Error(t, late.authenticate(rec.request(), []byte(rec.body)))
			assert.Error(t, early.authenticate(rec.request(), []byte(rec.body)))
			assert.Error(t, s.authenticate(rec.request(), []byte(rec.body+" ")), "another body")

			for name, change := range map[string]func(r *http.Request){
				"another method":        func(r *http.Request) { r.Method = http.MethodPut },
				"another target":        func(r *http.Request) { r.RequestURI = strings.Replace(r.RequestURI, "2023", "2022", 1) },
				"another escaping":      func(r *http.Request) { r.RequestURI = strings.Replace(r.RequestURI, "i", "%69", 1) },
				"another date":          func(r *http.Request) { r.Header.Set("x-ms-date", "Sun, 22 Nov 2026 15:02:50 GMT") },
				"another form of date":  func(r *http.Request) { r.Header.Set("x-ms-date", "2026-11-22T15:02:49Z") },
				"no date":               func(r *http.Request) { r.Header.Del("x-ms-date") },
				"another host":          func(r *http.Request) { r.Host = "localhost" },
				"another hash":          func(r *http.Request) { r.Header.Set("x-ms-content-sha256", strings.ToLower(rec.hash)) },
				"a second hash":         func(r *http.Request) { r.Header.Add("x-ms-content-sha256", rec.hash) },
				"no authorization":      func(r *http.Request) { r.Header.Del("Authorization") },
				"two authorizations":    func(r *http.Request) { r.Header.Add("Authorization", r.Header.Get("Authorization")) },
				"another scheme":        func(r *http.Request) { r.Header.Set("Authorization", "Basic "+rec.signature) },
				"bearer without a hook": func(r *http.Request) { r.Header.Set("Authorization", "Bearer a.b.c") },
				"no signature": func(r *http.Request) {
					r.Header.Set("Authorization", "HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature=")
				},
				"names in another order": func(r *http.Request) {
					r.Header.Set("Authorization", "HMAC-SHA256 SignedHeaders=host;x-ms-date;x-ms-content-sha256&Signature="+rec.signature)
				},
				"hash not signed": func(r *http.Request) {
					r.Header.Set("Authorization", "HMAC-SHA256 SignedHeaders=x-ms-date;host&Signature="+rec.signature)
				},
			} {
				r := rec.request()
				change(r)
				assert.Error(t, s.authenticate(r, []byte(rec.body)), name)
			}
		})
	}
}

func TestRecordedRequestsDoTheirWork(t *testing.T) {
	s := recordedServer(t, recordedKey, 0)
	s.state.add(strings.ReplaceAll(recordedID, "%3A", ":"))
	want := []int{201, 201, 201, 200, 200, 204, 204, 401}
	for i, rec := range recordings() {
		assert.Equal(t, want[i], status(s, rec.request()), rec.name)
	}
	assert.Len(t, s.Identities(), 3)
	assert.Len(t, s.Deleted(), 1)
}

func TestTheOrderOfSignedHeadersIsTheClients(t *testing.T) {
	s := recordedServer(t, recordedKey, 0)
	for _, names := range []string{"x-ms-date;host;x-ms-content-sha256", "date;host;x-ms-content-sha256", "Host;x-ms-content-sha256;X-MS-Date"} {
		r := httptest.NewRequest(http.MethodPost, "/identities?api-version=2023-10-01", nil)
		sign(r, recordedKey, names, s.now(), "")
		assert.Equal(t, http.StatusCreated, status(s, r), names)
	}
}

func TestAnAppMayCallWithItsEntraToken(t *testing.T) {
	s, err := New(Config{VerifyBearer: func(raw string) error {
		if raw != "good.app.token" {
			return assert.AnError
		}
		return nil
	}})
	require.NoError(t, err)
	r := httptest.NewRequest(http.MethodPost, "/identities?api-version=2023-10-01", nil)
	r.Header.Set("Authorization", "Bearer good.app.token")
	assert.Equal(t, http.StatusCreated, status(s, r))
	r.Header.Set("Authorization", "Bearer bad.app.token")
	assert.Equal(t, http.StatusUnauthorized, status(s, r))
}
