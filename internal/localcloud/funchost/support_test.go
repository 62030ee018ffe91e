package funchost

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type object = map[string]any

// Functions that most apps of the tests are made of.
var (
	doFunction = httpFunction(object{"authLevel": "anonymous", "route": "do/{*what}"})
	sweepTimer = object{"bindings": []object{{"type": "timerTrigger", "direction": "in", "name": "timer", "schedule": "0 0 * * * *"}}}
)

// httpFunction has one httpTrigger, with these properties, and one http output.
func httpFunction(trigger object) object {
	b := object{"type": "httpTrigger", "direction": "in", "name": "req"}
	maps.Copy(b, trigger)
	return object{"bindings": []object{b, {"type": "http", "direction": "out", "name": "res"}}}
}

// setup is an app to be. Its zero value has the function do in no mode.
type setup struct {
	host      object            // added to host.json
	custom    object            // added to its customHandler
	functions map[string]object // folder to function.json; nil is do alone
	env       []string
	config    func(*Config)
}

func forwarding() setup { return setup{custom: object{"enableForwardingHttpRequest": true}} }
func proxying() setup   { return setup{custom: object{"enableProxyingHttpRequest": true}} }

// write makes the app folder and the configuration to run it.
func (s setup) write(t *testing.T) Config {
	t.Helper()
	root := t.TempDir()
	custom := object{"description": object{"defaultExecutablePath": "handler"}}
	maps.Copy(custom, s.custom)
	file := object{"version": "2.0", "customHandler": custom}
	maps.Copy(file, s.host)
	writeJSON(t, filepath.Join(root, "host.json"), file)
	if s.functions == nil {
		s.functions = map[string]object{"do": doFunction}
	}
	for name, f := range s.functions {
		require.NoError(t, os.Mkdir(filepath.Join(root, name), 0o700))
		writeJSON(t, filepath.Join(root, name, "function.json"), f)
	}
	executable, err := os.Executable()
	require.NoError(t, err)
	config := Config{
		Root:       root,
		Executable: executable,
		Env:        append(append(os.Environ(), roleVariable+"=handler"), s.env...),
	}
	if s.config != nil {
		s.config(&config)
	}
	return config
}

func writeJSON(t *testing.T, path string, v any) {
	t.Helper()
	b, err := json.Marshal(v)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, b, 0o600))
}

// running is a host with a server in front.
type running struct {
	*Host
	url    string
	client *http.Client
}

func (s setup) start(t *testing.T) running {
	t.Helper()
	h, err := Start(t.Context(), s.write(t))
	require.NoError(t, err)
	server := httptest.NewServer(h)
	transport := &http.Transport{DisableCompression: true}
	t.Cleanup(func() {
		h.Stop()
		transport.CloseIdleConnections()
		server.Close()
	})
	return running{h, server.URL, &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// response is an answer that has been read.
type response struct {
	status int
	header http.Header
	body   string
}

func (r running) request(t *testing.T, method, target, body string) *http.Request {
	t.Helper()
	var content io.Reader
	if body != "" {
		content = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, r.url+target, content)
	require.NoError(t, err)
	return req
}

func (r running) do(t *testing.T, req *http.Request) response {
	t.Helper()
	res, err := r.client.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return response{res.StatusCode, res.Header, string(body)}
}

// doLater sends req in the background. Without an answer, its status is zero.
func (r running) doLater(req *http.Request) <-chan response {
	answer := make(chan response, 1)
	go func() {
		var got response
		defer func() { answer <- got }()
		res, err := r.client.Do(req)
		if err != nil {
			return
		}
		defer res.Body.Close()
		if body, err := io.ReadAll(res.Body); err == nil {
			got = response{res.StatusCode, res.Header, string(body)}
		}
	}()
	return answer
}

func (r running) send(t *testing.T, method, target, body string) response {
	t.Helper()
	return r.do(t, r.request(t, method, target, body))
}

// echo sends req and returns how the handler saw it.
func (r running) echo(t *testing.T, req *http.Request) echo {
	t.Helper()
	res := r.do(t, req)
	require.Equal(t, http.StatusOK, res.status, res.body)
	var e echo
	require.NoError(t, json.Unmarshal([]byte(res.body), &e), res.body)
	return e
}

// crash has the handler exit with a code, in the middle of a request.
func (r running) crash(t *testing.T, code string) response {
	t.Helper()
	return r.send(t, http.MethodPost, "/api/do/exit?code="+code, "")
}

// eventually polls a condition.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	require.Eventually(t, condition, time.Minute, time.Millisecond, what)
}

// replaced waits for another process than the given one.
func (r running) replaced(t *testing.T, pid int) {
	t.Helper()
	eventually(t, "another process", func() bool { now := r.PID(); return now != 0 && now != pid })
}

// logged waits for a record whose text contains text.
func (r running) logged(t *testing.T, text string) Record {
	t.Helper()
	var found Record
	eventually(t, "a record with "+text, func() bool {
		for _, record := range r.Records() {
			if strings.Contains(record.Text, text) {
				found = record
				return true
			}
		}
		return false
	})
	return found
}

// touch makes a file that does not exist yet.
func touch(t *testing.T, file string) {
	t.Helper()
	require.NoError(t, os.WriteFile(file, nil, 0o600))
}

func assertEmpty(t *testing.T, status int, res response) {
	t.Helper()
	assert.Equal(t, status, res.status)
	assert.Empty(t, res.body)
}
