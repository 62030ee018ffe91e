package main

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"acsauth/internal/config"
	"acsauth/internal/freeport"
	"acsauth/internal/localcloud/acsidentity"
)

// opened returns the parts that serve would run on.
func (p *Program) opened(t *testing.T) *service {
	t.Helper()
	cfg, err := config.Load(p.Environ)
	require.NoError(t, err)
	s, err := open(cfg, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	return s
}

// outcome runs the program to its end.
func outcome(environ []string, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	p := Program{Args: args, Environ: environ, Stdout: &out, Stderr: &errs}
	code = p.Run(context.Background())
	return code, out.String(), errs.String()
}

func TestFaultySettingsAreNamedTogether(t *testing.T) {
	code, out, errs := outcome([]string{"ENTRA_TENANT_ID=x", "ACS_CONNECTION_STRING=endpoint=https://a.example;accesskey=s3cr3t!"})
	assert.Equal(t, 2, code)
	assert.Empty(t, out)
	for _, name := range []string{"ENTRA_TENANT_ID is not", "ENTRA_CLIENT_ID is missing", "ACS_CONNECTION_STRING is wrong", "TABLES_CONNECTION_STRING is missing"} {
		assert.Contains(t, errs, name)
	}
	assert.NotContains(t, errs, "s3cr3t")
}

func TestArguments(t *testing.T) {
	code, out, _ := outcome(nil, "version")
	assert.Equal(t, 0, code)
	assert.Regexp(t, `^acsauth \S+.* go1\.`, out)
	code, out, _ = outcome(nil, "help")
	assert.Equal(t, 0, code)
	assert.Contains(t, out, "handler check")
	code, _, errs := outcome(nil, "serve", "now")
	assert.Equal(t, 2, code)
	assert.Contains(t, errs, "no such command")
	assert.Contains(t, errs, "usage:")
	for _, command := range []string{"check", "mappings", "teams"} {
		code, out, errs = outcome(nil, command, "-help")
		assert.Equal(t, 0, code, command)
		assert.Contains(t, out, "handler "+command)
		assert.Empty(t, errs)
	}
	code, _, errs = outcome(nil, "check", "s3cr3t")
	assert.Equal(t, 2, code)
	assert.NotContains(t, errs, "s3cr3t")
}

func TestAStoreThatCannotBeOpenedEndsTheProgram(t *testing.T) {
	code, _, errs := outcome(settings(t, map[string]string{"LOCAL_STORE_PATH": filepath.Join("/dev/null", "x", "y.db")}))
	assert.Equal(t, 1, code)
	assert.Contains(t, errs, "acsauth: ")
	assert.Contains(t, errs, "LOCAL_STORE_PATH must be a file that it may write", "the cure")
	h := start(t, map[string]string{"LOCAL_STORE_PATH": filepath.Join(t.TempDir(), "a.db")})
	_ = h
	code, _, errs = outcome(settings(t, map[string]string{"PORT": h.URL[strings.LastIndex(h.URL, ":")+1:]}))
	assert.Equal(t, 1, code)
	assert.Contains(t, errs, "can't listen where PORT")
}

func TestUnderTheHost(t *testing.T) {
	free, err := freeport.Find()
	require.NoError(t, err)
	port := strconv.Itoa(free)
	h := start(t, map[string]string{"FUNCTIONS_CUSTOMHANDLER_PORT": port, "CORS_ALLOWED_ORIGINS": `["https://portal.azure.com"]`})
	assert.Equal(t, "http://127.0.0.1:"+port, h.URL)
	const client, host = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
	for _, values := range [][]string{{host}, {client, host}, {client + ", " + host}, {strings.ToUpper(host)}} {
		r, err := http.NewRequest("GET", h.URL+"/api/getUser", nil)
		require.NoError(t, err)
		r.Header["X-Azure-Functions-Invocationid"] = values
		resp, err := h.client.Do(r)
		require.NoError(t, err)
		_ = resp.Body.Close()
		assert.Equal(t, host, resp.Header.Get("X-Request-Id"), "%q", values)
	}
	a := h.do(request{path: "/api/getUser", header: map[string]string{"X-Azure-Functions-InvocationId": "../../etc"}})
	assert.Regexp(t, `^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`, a.header.Get("X-Request-Id"))
	a = h.do(request{method: "OPTIONS", path: "/api/getUser", header: map[string]string{"Origin": "https://a.example", "Access-Control-Request-Method": "GET"}})
	assert.Empty(t, a.header.Get("Access-Control-Allow-Origin"), "CORS is the platform's")
}

func TestUnderTheHostOnlyThisMachineIsListenedTo(t *testing.T) {
	assert.Equal(t, "127.0.0.1:7000", address(config.Config{UnderHost: true, Port: 7000}))
	assert.Equal(t, ":7000", address(config.Config{Port: 7000}))
}

func TestKeysAndConnectionsAreThereBeforeTheFirstRequest(t *testing.T) {
	before := cloud.Entra.Requests()["keys"]
	start(t, nil)
	assert.Eventually(t, func() bool { return cloud.Entra.Requests()["keys"] > before }, time.Minute, time.Millisecond)
}

func TestTheLogHasWhatCouldNotBeWarmedUp(t *testing.T) {
	hangs := map[string]func(context.Context) error{"store": func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }}
	for name, row := range map[string]struct {
		stops time.Duration // the process, after that long
		want  string
	}{
		"a part that hangs": {time.Hour, `"part":"store","error":"context deadline exceeded"`},
		"the process stops": {time.Second, `^$`},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				ctx, stop := context.WithCancel(t.Context())
				defer time.AfterFunc(row.stops, stop).Stop()
				warm(ctx, hangs, slog.New(slog.NewJSONHandler(&log, nil)))
				assert.Regexp(t, row.want, log.String())
			})
		})
	}
}

func TestRoutesAreTakenFromOurOwnFolderAlone(t *testing.T) {
	t.Chdir(t.TempDir())
	require.NoError(t, os.WriteFile("host.json", []byte(`{"version":"2.0"}`), 0o600)) // somebody else's
	_, from := appFolder(nil)
	assert.Equal(t, "the program itself", from)
	_, from = appFolder([]string{"FUNCTIONS_APP_ROOT_PATH=/home/site/wwwroot"})
	assert.Equal(t, "/home/site/wwwroot", from)
	require.NoError(t, os.MkdirAll("getToken", 0o700))
	require.NoError(t, os.WriteFile(filepath.Join("getToken", "function.json"), []byte(`{}`), 0o600))
	_, from = appFolder(nil)
	assert.Equal(t, ".", from)
}

func TestAClientThatLeavesIsNoOutage(t *testing.T) {
	h := start(t, nil)
	entered, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	cloud.ACS.SetFault(func(_ http.ResponseWriter, r *http.Request) bool {
		if acsidentity.Operation(r) == acsidentity.OpCreate {
			once.Do(func() { close(entered) })
			<-release
		}
		return false
	})
	t.Cleanup(func() { cloud.ACS.SetFault(nil) })
	u := newUser(t)
	token := tokenFor(t, u)
	h.secret(token)
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.URL+"/api/getUser", nil)
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+token)
	left := make(chan error)
	go func() {
		_, err := h.client.Do(req)
		left <- err
	}()
	<-entered
	cancel()
	assert.ErrorIs(t, <-left, context.Canceled)
	assert.Eventually(t, func() bool { return strings.Contains(h.log.String(), `"status":499`) }, time.Minute, time.Millisecond)
	assert.NotContains(t, h.log.String(), `"status":503`)

	before := cloud.ACS.Identities()
	stopped := make(chan int, 1)
	go func() { stopped <- h.stop() }()
	assert.Eventually(t, func() bool { return strings.Contains(h.log.String(), `"stopping"`) }, time.Minute, time.Millisecond)
	close(release)
	assert.Equal(t, 0, <-stopped)
	assert.Len(t, identitiesSince(before), 1)
	assert.NotContains(t, h.log.String(), "may have been created", "a clean stop waits until the identity is recorded")
}

func TestCORSOutsideTheHost(t *testing.T) {
	h := start(t, map[string]string{"CORS_ALLOWED_ORIGINS": "https://app.example"})
	preflight := request{method: "OPTIONS", path: "/api/getToken", header: map[string]string{
		"Origin": "https://app.example", "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}}
	a := h.do(preflight)
	assert.Equal(t, "https://app.example", a.header.Get("Access-Control-Allow-Origin"))
	assert.Empty(t, a.header.Get("Access-Control-Allow-Credentials"))
	a = h.do(request{path: "/api/getToken", header: map[string]string{"Origin": "https://app.example"}})
	assert.Equal(t, 401, a.status)
	assert.Contains(t, strings.ToLower(a.header.Get("Access-Control-Expose-Headers")), "www-authenticate")
	preflight.header["Origin"] = "https://evil.example"
	assert.Empty(t, h.do(preflight).header.Get("Access-Control-Allow-Origin"))
}

func TestTheLogHasOneLineForARequest(t *testing.T) {
	h := start(t, nil)
	u := newUser(t)
	token := tokenFor(t, u)
	const traceID = "4bf92f3577b34da6a3ce929d0e0e4736"
	var upstream string
	cloud.ACS.SetFault(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Traceparent") != "" {
			upstream = r.Header.Get("Traceparent")
		}
		return false
	})
	a := h.do(request{path: "/api/getToken?scopes=chat&secret=querysecret", token: token, header: map[string]string{"Traceparent": "00-" + traceID + "-00f067aa0ba902b7-01"}})
	cloud.ACS.SetFault(nil)
	require.Equal(t, 200, a.status)
	assert.Equal(t, traceID, strings.Split(upstream, "-")[1], "the trace goes on to ACS")

	var lines []map[string]any
	for line := range strings.Lines(h.log.String()) {
		var m map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &m), line)
		if m["msg"] == "request" {
			lines = append(lines, m)
		}
	}
	require.Len(t, lines, 2)
	assert.Equal(t, "openapi", lines[0]["function"], "the contract that start asks for")
	line := lines[1]
	assert.Equal(t, "getToken", line["function"])
	assert.Equal(t, "GET", line["method"])
	assert.EqualValues(t, 200, line["status"])
	assert.Equal(t, traceID, line["traceId"])
	assert.Equal(t, a.header.Get("X-Request-Id"), line["requestId"])
	assert.Equal(t, u.TenantID, line["tenant"])
	assert.Regexp(t, `^[0-9a-f]{16}$`, line["user"])
	assert.Greater(t, line["durationMs"], 0.0)
	for _, s := range []string{u.ObjectID, u.UPN, u.Name, "querysecret"} {
		assert.NotContains(t, h.log.String(), s)
	}
}

func TestACleanStopLetsRequestsEnd(t *testing.T) {
	h := start(t, nil)
	entered, release := make(chan struct{}), make(chan struct{})
	cloud.ACS.SetFault(func(_ http.ResponseWriter, r *http.Request) bool {
		if acsidentity.Operation(r) == acsidentity.OpCreate {
			close(entered)
			<-release
		}
		return false
	})
	t.Cleanup(func() { cloud.ACS.SetFault(nil) })
	done := make(chan answer, 1)
	token := tokenFor(t, newUser(t))
	go func() {
		a, err := h.try(request{path: "/api/getUser", token: token})
		assert.NoError(t, err)
		done <- a
	}()
	<-entered
	stopped := make(chan int, 1)
	go func() { stopped <- h.stop() }()
	assert.Eventually(t, func() bool {
		c, err := net.DialTimeout("tcp", strings.TrimPrefix(h.URL, "http://"), time.Second)
		if err == nil {
			_ = c.Close()
		}
		return err != nil
	}, time.Minute, 5*time.Millisecond, "it takes no new connections")
	close(release)
	assert.Equal(t, 201, (<-done).status)
	assert.Equal(t, 0, <-stopped)
}

func TestTheProgramHoldsNoneOfTheStandIns(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "acsauth/handler").Output()
	require.NoError(t, err)
	packages := strings.Fields(string(out))
	assert.Contains(t, packages, "acsauth/internal/entra")
	for _, p := range packages {
		assert.NotContains(t, p, "localcloud")
		assert.NotContains(t, p, "testify")
		assert.NotContains(t, p, "kin-openapi")
		assert.NotEqual(t, "testing", p)
	}
}
