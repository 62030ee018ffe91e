package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"acsauth"
	"acsauth/internal/localcloud/acsidentity"
	"acsauth/internal/localcloud/funchost"
)

// hosted runs this program under the stand-in of the Functions host. hostJSON
// takes the place of the app's own where it is not empty.
func hosted(t *testing.T, hostJSON string) *funchost.Host {
	t.Helper()
	root := t.TempDir()
	require.NoError(t, os.CopyFS(root, acsauth.AppFolder))
	if hostJSON != "" {
		require.NoError(t, os.WriteFile(filepath.Join(root, "host.json"), []byte(hostJSON), 0o600))
	}
	exe, err := os.Executable()
	require.NoError(t, err)
	h, err := funchost.Start(t.Context(), funchost.Config{Root: root, Executable: exe,
		Env: append(settings(t, nil), asHandler+"=1", "SSL_CERT_FILE="+cloud.CACertFile)})
	require.NoError(t, err)
	t.Cleanup(h.Stop)
	return h
}

func ask(h http.Handler, method, path, token string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func logged(h *funchost.Host) string {
	var b strings.Builder
	for _, r := range h.Records() {
		fmt.Fprintln(&b, r.Text)
	}
	return b.String()
}

func TestTheTimerFinishesErasures(t *testing.T) {
	h := hosted(t, "")
	before := cloud.ACS.Identities()
	const users = 20
	var tokens []string
	for range users {
		tokens = append(tokens, tokenFor(t, newUser(t)))
		require.Equal(t, 201, ask(h, "GET", "/api/getUser", tokens[len(tokens)-1]).Code)
	}
	disturb(t, acsidentity.OpDelete, answers(503, ""))
	atOnce(users, func(i int) { assert.Equal(t, 204, ask(h, "DELETE", "/api/deleteUser", tokens[i]).Code) })
	require.NoError(t, h.Trigger(t.Context(), "sweepIdentities"), "ACS refuses still")
	assert.Len(t, identitiesSince(before), users)
	cloud.ACS.SetFault(nil)

	atOnce(2, func(int) { assert.NoError(t, h.Trigger(t.Context(), "sweepIdentities")) })
	assert.Empty(t, identitiesSince(before))
	require.NoError(t, h.Trigger(t.Context(), "sweepIdentities"), "nothing to do")
	assert.Eventually(t, func() bool {
		return strings.Contains(logged(h), fmt.Sprintf(`"msg":"swept noted erasures","finished":0,"failed":%d,"pending":%d,"overdue":0`, users, users))
	}, time.Minute, time.Millisecond)
	for _, token := range tokens {
		assert.Equal(t, 201, ask(h, "GET", "/api/getUser", token).Code, "they come back")
	}
}

func TestOnlyTheHostsTimerSweeps(t *testing.T) {
	const name = "sweepIdentities"
	for _, hostJSON := range []string{
		"",
		`{"version":"2.0","customHandler":{"description":{"defaultExecutablePath":"x"},"enableForwardingHttpRequest":true},"extensions":{"http":{"routePrefix":""}}}`,
		`{"version":"2.0","customHandler":{"description":{"defaultExecutablePath":"x"},"enableProxyingHttpRequest":true},"extensions":{"http":{"routePrefix":""}}}`,
	} {
		h := hosted(t, hostJSON)
		for _, path := range []string{"/", "/api/", "/API/", "//", "/api/../", "/%2e/", "/api/getUser/../../", "/getUser/../", "/token/", "/api/token/", "/token/..%5c", "/api/token/..%5C..%5c"} {
			for _, method := range []string{"GET", "POST"} {
				code := ask(h, method, path+name, "").Code
				assert.Contains(t, []int{301, 307, 308, 400, 401, 404, 405}, code, "%s %s", method, path+name)
			}
		}
		assert.NotContains(t, logged(h), `"function":"sweepIdentities"`)
		require.NoError(t, h.Trigger(t.Context(), name))
		assert.Eventually(t, func() bool { return strings.Contains(logged(h), `"function":"sweepIdentities"`) }, time.Minute, time.Millisecond)
	}

	outside := start(t, nil)
	for _, path := range []string{"/", "/api/"} {
		resp, err := http.Post(outside.URL+path+name, "application/json", strings.NewReader(`{"Data":{},"Metadata":{}}`))
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		assert.Equal(t, 404, resp.StatusCode)
	}
}

func TestAPayloadThatIsNoneDoesNoHarm(t *testing.T) {
	h := hosted(t, "")
	url := fmt.Sprintf("http://127.0.0.1:%d/sweepIdentities", h.Port())
	for _, row := range []struct {
		name, method, contentType, body string
		status                          int
	}{
		{"no JSON", "POST", "application/json", "<html>", 400},
		{"an array", "POST", "application/json", "[]", 400},
		{"cut short", "POST", "application/json", `{"Data":{"timer":`, 400},
		{"a form", "POST", "application/x-www-form-urlencoded", "a=b", 415},
		{"huge", "POST", "application/json", `{"Data":"` + strings.Repeat("x", 1<<20) + `"}`, 413},
		{"another method", "GET", "", "", 405},
		{"empty", "POST", "", "", 200},
		{"as the host sends it", "POST", "application/json; charset=utf-8", `{"Data":{"timer":{"IsPastDue":true}},"Metadata":{}}`, 200},
	} {
		r, err := http.NewRequest(row.method, url, bytes.NewReader([]byte(row.body)))
		require.NoError(t, err)
		r.Header.Set("Content-Type", row.contentType)
		resp, err := http.DefaultClient.Do(r)
		require.NoError(t, err, row.name)
		require.NoError(t, resp.Body.Close())
		assert.Equal(t, row.status, resp.StatusCode, row.name)
	}
	pid := h.PID()
	impatient, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
	defer cancel()
	assert.Error(t, h.Trigger(impatient, "sweepIdentities"), "a host that does not wait")
	require.NoError(t, h.Trigger(t.Context(), "sweepIdentities"))
	assert.Equal(t, pid, h.PID(), "the process lives")
}
