package main

import (
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"acsauth/internal/azurite"
	"acsauth/internal/localcloud/acsidentity"
)

// disturb has fault look at each call of one operation until the test ends.
func disturb(t *testing.T, operation string, fault func(http.ResponseWriter)) {
	t.Helper()
	cloud.ACS.SetFault(func(w http.ResponseWriter, r *http.Request) bool {
		if acsidentity.Operation(r) != operation {
			return false
		}
		fault(w)
		return true
	})
	t.Cleanup(func() { cloud.ACS.SetFault(nil) })
}

func answers(status int, body string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func TestWhenACSFails(t *testing.T) {
	h := start(t, map[string]string{"RATE_LIMIT_PER_USER": "0"})
	token := tokenFor(t, newUser(t))
	require.Equal(t, 200, h.do(request{path: "/api/getToken", token: token}).status)
	for _, row := range []struct {
		name   string
		fault  func(http.ResponseWriter)
		status int
		code   string
		retry  string
	}{
		{"it is down", answers(503, ""), 503, "upstream_unavailable", "1"},
		{"it throttles for long", func(w http.ResponseWriter) { w.Header().Set("Retry-After", "17"); w.WriteHeader(429) }, 503, "upstream_unavailable", "17"},
		{"it refuses our key", answers(401, `{"error":{"code":"Denied","message":"Denied by the resource provider. s3cr3t-upstream-text"}}`), 502, "upstream_rejected", ""},
		{"it answers nonsense", answers(200, "<html>s3cr3t-upstream-text</html>"), 502, "upstream_rejected", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			disturb(t, acsidentity.OpIssue, row.fault)
			a := h.do(request{method: "POST", path: "/api/refreshToken", token: token})
			assert.Equal(t, row.status, a.status)
			assert.Equal(t, row.code, a.code())
			assert.Equal(t, row.retry, a.header.Get("Retry-After"))
			assert.NotContains(t, a.text, "s3cr3t")
			assert.NotContains(t, h.log.String(), "s3cr3t")
		})
	}
	assert.Equal(t, 200, h.do(request{path: "/api/getToken", token: token}).status, "it recovers")
}

func TestACreateWithoutAnAnswerIsRepeatedAndLogged(t *testing.T) {
	h := start(t, nil)
	u := newUser(t)
	before := cloud.ACS.Identities()
	var lost atomic.Int32
	cloud.ACS.SetFaultAfter(func(w http.ResponseWriter, _ *http.Request) bool {
		if lost.Add(1) > 2 {
			return false
		}
		panic(http.ErrAbortHandler) // resets the connection
	})
	t.Cleanup(func() { cloud.ACS.SetFaultAfter(nil) })
	a := h.do(request{path: "/api/getUser", token: tokenFor(t, u)})
	assert.Equal(t, 201, a.status)
	assert.Len(t, identitiesSince(before), 3, "two of them had their answers lost")
	assert.Equal(t, 2, strings.Count(h.log.String(), "may have been created and is not recorded"))
}

func TestWithoutEntraAndACSTheProcessIsUpAllTheSame(t *testing.T) {
	const nobody = "http://127.0.0.1:1" // listens there
	h := start(t, map[string]string{"ENTRA_AUTHORITY_HOST": nobody, "ENTRA_CLIENT_SECRET": "", "ACS_CONNECTION_STRING": "endpoint=" + nobody + ";accesskey=a2V5"})
	assert.Equal(t, 200, h.do(request{path: "/"}).status)
	assert.Equal(t, 200, h.do(request{path: "/api/health"}).status)
	a := h.do(request{path: "/api/health?ready=1"})
	assert.Equal(t, 503, a.status)
	assert.JSONEq(t, `{"status":"unavailable","checks":{"keys":"unavailable","store":"ok"}}`, a.text)
	iss := nobody + "/" + newUser(t).TenantID + "/v2.0"
	a = h.do(request{path: "/api/getToken", token: signClaims(newUser(t), map[string]any{"iss": iss})})
	assert.Equal(t, 503, a.status, "no keys is our trouble, not the token's")
	assert.NotEmpty(t, a.header.Get("Retry-After"))
	assert.Equal(t, 401, h.do(request{path: "/api/getToken"}).status)
}

func TestAnIdentityThatACSForgotIsReplacedOnce(t *testing.T) {
	h := start(t, nil)
	u := newUser(t)
	token := tokenFor(t, u)
	old := h.do(request{path: "/api/getToken", token: token}).userID()
	deleteInACS(t, old)
	before := cloud.ACS.Identities()

	a := h.do(request{method: "POST", path: "/api/refreshToken", token: token})
	assert.Equal(t, 404, a.status)
	var ids sync.Map
	atOnce(32, func(int) {
		a, err := h.try(request{path: "/api/getToken", token: token})
		if assert.NoError(t, err) && assert.Equal(t, 200, a.status, a.text) {
			ids.Store(a.userID(), true)
		}
	})
	left := identitiesSince(before)
	require.Len(t, left, 1)
	ids.Range(func(id, _ any) bool { return assert.Equal(t, left[0], id) })
	assert.NotEqual(t, old, left[0])
}

// deleteInACS erases an identity behind the service's back.
func deleteInACS(t *testing.T, id string) {
	t.Helper()
	p := Program{Environ: settings(t, nil)}
	s := p.opened(t)
	defer s.close()
	require.NoError(t, s.acs.DeleteIdentity(t.Context(), id))
}

func TestAnErasureThatACSRefusedIsFinishedAfterARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "identities.db")
	h := start(t, map[string]string{"LOCAL_STORE_PATH": path})
	u := newUser(t)
	token := tokenFor(t, u)
	id := h.do(request{path: "/api/getToken", token: token}).userID()

	disturb(t, acsidentity.OpDelete, answers(503, ""))
	a := h.do(request{method: "DELETE", path: "/api/deleteUser", token: token})
	assert.Equal(t, 204, a.status, "the intent is durable")
	assert.Contains(t, h.log.String(), "will be finished later")
	for _, q := range []request{{path: "/api/getToken"}, {path: "/api/getUser"}} {
		q.token = token
		assert.Equal(t, 503, h.do(q).status, "nothing is issued for an identity that is being erased")
	}
	assert.Equal(t, 404, h.do(request{method: "POST", path: "/api/refreshToken", token: token}).status)
	assert.Contains(t, cloud.ACS.Identities(), id)
	h.stop()

	cloud.ACS.SetFault(nil)
	again := start(t, map[string]string{"LOCAL_STORE_PATH": path})
	assert.Eventually(t, func() bool { return strings.Contains(again.log.String(), `"msg":"swept noted erasures","finished":1`) }, time.Minute, 5*time.Millisecond)
	assert.NotContains(t, cloud.ACS.Identities(), id)
	a = again.do(request{path: "/api/getToken", token: token})
	assert.Equal(t, 200, a.status)
	assert.NotEqual(t, id, a.userID())
}

func TestManyCallersOfANewUserShareOneIdentity(t *testing.T) {
	for _, row := range []struct {
		name    string
		changes []map[string]string
	}{
		{"one process, file", []map[string]string{nil}},
		{"two processes, one table", tableTwice(t)},
	} {
		t.Run(row.name, func(t *testing.T) {
			var handlers []*running
			for _, changes := range row.changes {
				handlers = append(handlers, start(t, changes))
			}
			for range 10 {
				u := newUser(t)
				token := tokenFor(t, u)
				before := cloud.ACS.Identities()
				var created atomic.Int32
				var ids sync.Map
				atOnce(64, func(i int) {
					path := "/api/getUser"
					if i%4 >= 2 {
						path = "/api/getToken"
					}
					a, err := handlers[i%len(handlers)].try(request{path: path, token: token})
					if !assert.NoError(t, err) || !assert.Contains(t, []int{200, 201}, a.status, a.text) {
						return
					}
					if a.status == 201 {
						created.Add(1)
					}
					ids.Store(a.userID(), true)
				})
				left := identitiesSince(before)
				require.Len(t, left, 1, "identities in ACS")
				ids.Range(func(id, _ any) bool { return assert.Equal(t, left[0], id) })
				assert.LessOrEqual(t, created.Load(), int32(1))
			}
		})
	}
}

func TestManyCallersOfANewUserShareOneIdentityAlsoWhenACSFails(t *testing.T) {
	for _, row := range []struct {
		name    string
		changes []map[string]string
	}{
		{"one process, file", []map[string]string{nil}},
		{"three processes, one table", append(tableTwice(t), nil)},
	} {
		t.Run(row.name, func(t *testing.T) {
			if last := len(row.changes) - 1; last > 0 {
				row.changes[last] = row.changes[0]
			}
			var handlers []*running
			for _, changes := range row.changes {
				handlers = append(handlers, start(t, changes))
			}
			before := cloud.ACS.Identities()
			var lostCreates atomic.Int32
			cloud.ACS.SetFault(func(w http.ResponseWriter, _ *http.Request) bool {
				switch n := rand.IntN(100); {
				case n < 20:
					w.WriteHeader(http.StatusServiceUnavailable)
					return true
				case n < 25:
					panic(http.ErrAbortHandler)
				}
				return false
			})
			cloud.ACS.SetFaultAfter(func(w http.ResponseWriter, r *http.Request) bool {
				if rand.IntN(75) >= 5 {
					return false
				}
				if acsidentity.Operation(r) == acsidentity.OpCreate {
					lostCreates.Add(1)
				}
				panic(http.ErrAbortHandler)
			})
			t.Cleanup(func() { cloud.ACS.SetFault(nil); cloud.ACS.SetFaultAfter(nil) })
			const users = 10
			ids := map[string]bool{}
			for range users {
				token := tokenFor(t, newUser(t))
				var mu sync.Mutex
				answered := map[string]bool{}
				atOnce(64, func(i int) {
					a, err := handlers[i%len(handlers)].try(request{path: []string{"/api/getUser", "/api/getToken"}[i/8%2], token: token})
					if assert.NoError(t, err) && assert.Contains(t, []int{200, 201}, a.status, a.text) {
						mu.Lock()
						defer mu.Unlock()
						answered[a.userID()] = true
					}
				})
				require.Len(t, answered, 1)
				maps.Copy(ids, answered)
			}
			cloud.ACS.SetFault(nil)
			cloud.ACS.SetFaultAfter(nil)
			for _, h := range handlers {
				h.stop()
			}
			require.Len(t, ids, users)
			start(t, row.changes[0]) // which sweeps
			assert.Eventually(t, func() bool { return len(identitiesSince(before)) == users+int(lostCreates.Load()) },
				time.Minute, 10*time.Millisecond, "an orphan beside the identities whose making was never answered")
		})
	}
}

func tableTwice(t *testing.T) []map[string]string {
	t.Helper()
	changes := map[string]string{"IDENTITY_STORE": "tables", "TABLES_CONNECTION_STRING": azurite.Start(t, azurite.Options{}).ConnectionString, "LOCAL_STORE_PATH": ""}
	return []map[string]string{changes, changes}
}

func TestAnAnswerReachesAClientThatIsStillSending(t *testing.T) {
	h := start(t, nil)
	for _, chunked := range []bool{false, true} {
		for range 5 {
			a, err := h.try(request{method: "POST", path: "/api/getToken", token: "not.a.token", body: strings.Repeat("x", 10<<20), chunked: chunked})
			if assert.NoError(t, err) {
				assert.Contains(t, []int{401, 413}, a.status)
			}
		}
	}
}

func TestASlowClientOrABrokenOneHarmsNobody(t *testing.T) {
	h := start(t, nil)
	address := strings.TrimPrefix(h.URL, "http://")
	for _, text := range []string{"", "\x16\x03\x01", "GET /api/getUser HTTP/1.1\r\n\r\n", "GET /api/getUser HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer \x00\r\n\r\n",
		"POST /api/getUser HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", "POST /api/getUser HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"GET /api/getUser HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("x", 1<<20) + "\r\n\r\n"} {
		c, err := net.Dial("tcp", address)
		require.NoError(t, err)
		_, _ = io.WriteString(c, text)
		_ = c.(*net.TCPConn).CloseWrite()
		answer, _ := io.ReadAll(c)
		_ = c.Close()
		if len(text) > 1<<19 {
			assert.Contains(t, string(answer), "431")
		} else if strings.HasPrefix(text, "GET") || strings.HasPrefix(text, "POST") {
			assert.True(t, strings.HasPrefix(string(answer), "HTTP/1.1 4"), "%.40q was answered %.40q", text, answer)
		}
	}
	assert.Equal(t, 201, h.do(request{path: "/api/getUser", token: tokenFor(t, newUser(t))}).status)
}
