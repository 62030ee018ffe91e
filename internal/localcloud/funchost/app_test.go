package funchost

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"acsauth/internal/freeport"
)

func TestPoint01StartNamesEachFaultOfTheApp(t *testing.T) {
	for name, row := range map[string]struct {
		app  setup
		want string
	}{
		"no customHandler":               {setup{host: object{"customHandler": nil}}, "customHandler is missing"},
		"no description":                 {setup{custom: object{"description": nil}}, "missing worker description"},
		"no executable":                  {setup{custom: object{"description": object{"defaultExecutablePath": ""}}}, "defaultExecutablePath cannot be empty"},
		"another version":                {setup{host: object{"version": "1.0"}}, `expected "2.0", got "1.0"`},
		"no version":                     {setup{host: object{"version": nil}}, `expected "2.0", got ""`},
		"a time span that is none":       {setup{host: object{"functionTimeout": "five minutes"}}, "functionTimeout"},
		"a start limit of nothing":       {setup{custom: object{"initializationTimeout": "00:00:00"}}, "initializationTimeout"},
		"a port that is none":            {setup{custom: object{"port": 65536}}, "port: expected 1 to 65535"},
		"routes in host.json":            {setup{custom: object{"http": object{"routes": []object{{"route": "x"}}}}}, "routes is not supported"},
		"a profile":                      {setup{host: object{"configurationProfile": "web-app-custom-handler"}}, "not supported"},
		"a body limit of nothing":        {setup{env: []string{"FUNCTIONS_REQUEST_BODY_SIZE_LIMIT=0"}}, "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT"},
		"a function named host":          {setup{functions: map[string]object{"host": doFunction}}, "can't be the name"},
		"a function with a digit first":  {setup{functions: map[string]object{"1st": doFunction}}, "can't be the name"},
		"no trigger":                     {setup{functions: map[string]object{"a": {"bindings": []object{}}}}, "expected one trigger binding, got none"},
		"two triggers":                   {setup{functions: map[string]object{"a": {"bindings": []object{{"type": "httpTrigger"}, {"type": "timerTrigger"}}}}}, "got more"},
		"an unknown authLevel":           {setup{functions: map[string]object{"a": httpFunction(object{"authLevel": "user"})}}, "authLevel"},
		"a reserved route":               {setup{functions: map[string]object{"a": httpFunction(object{"route": "Admin/x"})}}, "reserved"},
		"a constraint":                   {setup{functions: map[string]object{"a": httpFunction(object{"route": "x/{id:int}"})}}, "not supported"},
		"an unbalanced brace":            {setup{functions: map[string]object{"a": httpFunction(object{"route": "x/{id"})}}, "malformed"},
		"a catch-all that is not last":   {setup{functions: map[string]object{"a": httpFunction(object{"route": "{*x}/y"})}}, "must be the last"},
		"CORS for anyone with cookies":   {setup{config: func(c *Config) { c.CORS = CORS{[]string{"*"}, true} }}, "credentials"},
		"an executable that isn't there": {setup{config: func(c *Config) { c.Executable = "" }}, "executable of the handler"},
		"two functions on one route": {setup{functions: map[string]object{
			"a": httpFunction(object{"route": "x", "methods": []string{"get"}}),
			"b": httpFunction(object{"route": "X"}),
		}}, "belongs to function a already"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Start(t.Context(), row.app.write(t))
			assert.ErrorContains(t, err, row.want)
		})
	}
}

func TestPoint01StartReportsAllFaultsTogether(t *testing.T) {
	_, err := Start(t.Context(), setup{
		host:      object{"version": "1.0"},
		custom:    object{"description": nil},
		functions: map[string]object{"1st": doFunction, "a": {"bindings": []object{}}},
	}.write(t))
	for _, want := range []string{"version", "description", "1st", "got none"} {
		assert.ErrorContains(t, err, want)
	}
}

func TestPoint10OneRouteMayBelongToTwoFunctionsWithOtherMethods(t *testing.T) {
	a, err := readApp(setup{functions: map[string]object{
		"a": httpFunction(object{"route": "x", "methods": []string{"get"}}),
		"b": httpFunction(object{"route": "x", "methods": []string{"post"}}),
	}}.write(t).Root, nil)
	require.NoError(t, err)
	get, _ := a.find(http.MethodGet, "/api/x")
	post, _ := a.find(http.MethodPost, "/api/x")
	assert.Equal(t, []string{"a", "b"}, []string{get.name, post.name})
}

func TestPoint01TimeSpansAreReadAsDotNETDoes(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"00:10:00":     10 * time.Minute,
		"01:02":        time.Hour + 2*time.Minute,
		"1.00:00:01":   24*time.Hour + time.Second,
		"00:00:00.250": 250 * time.Millisecond,
		"2":            48 * time.Hour,
		"":             time.Second,
	} {
		got := time.Second
		assert.NoError(t, setTimeSpan(&got, text), text)
		assert.Equal(t, want, got, text)
	}
	for _, text := range []string{"00:60:00", "24:00", "1:2:3:4", "-00:01:00", "00:00:00", "x"} {
		got := time.Second
		assert.Error(t, setTimeSpan(&got, text), text)
	}
}

func TestPoint02TheCommandIsResolvedAsTheHostDoes(t *testing.T) {
	root := t.TempDir()
	for _, file := range []string{"handler", "sub/other"} {
		path := filepath.Join(root, file)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, nil, 0o700))
	}
	onPath, err := filepath.Abs(filepath.Join(root, "elsewhere"))
	require.NoError(t, err)
	require.NoError(t, os.Mkdir(onPath, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(onPath, "tool"), nil, 0o700))
	t.Setenv("PATH", onPath)

	for name, row := range map[string]struct {
		in   description
		path string
		dir  string
		args []string
	}{
		"a file of the app":              {description{DefaultExecutablePath: "handler"}, "handler", "", nil},
		"not below the workingDirectory": {description{DefaultExecutablePath: "sub/other", WorkingDirectory: "sub"}, "sub/other", "sub", nil},
		"below the workerDirectory":      {description{DefaultExecutablePath: "other", WorkerDirectory: "sub"}, "sub/other", "", nil},
		"a program on the PATH":          {description{DefaultExecutablePath: "tool"}, "elsewhere/tool", "", nil},
		"an app setting in its name":     {description{DefaultExecutablePath: "%NAME%"}, "handler", "", nil},
		"arguments are joined unquoted": {description{
			DefaultExecutablePath: "handler",
			Arguments:             []string{"--a=%NAME%", "two words", "%UNSET%", "x%UNSET%y", `"three more words"`},
			DefaultWorkerPath:     "my worker",
			WorkerArguments:       []string{"-w"},
		}, "handler", "", []string{"--a=handler", "two", "words", "xy", "three more words", "my worker", "-w"}},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := newCommand(Config{Root: root, Env: []string{"NAME=handler"}}, &app{description: row.in}, 1)
			require.NoError(t, err)
			assert.Equal(t, filepath.Join(root, row.path), c.path)
			assert.Equal(t, filepath.Join(root, row.dir), c.dir)
			assert.Equal(t, row.args, c.args)
		})
	}
}

func TestPoint03APortInHostJSONIsKeptAndMustBeFree(t *testing.T) {
	port, err := freeport.Find()
	require.NoError(t, err)
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	require.NoError(t, err)
	app := setup{custom: object{"port": strconv.Itoa(port), "enableForwardingHttpRequest": true}} // a string binds too

	_, err = Start(t.Context(), app.write(t))
	assert.ErrorContains(t, err, "unable to bind")

	require.NoError(t, l.Close())
	r := app.start(t)
	assert.Equal(t, port, r.Port())
	assert.Equal(t, http.StatusOK, r.send(t, http.MethodGet, "/api/do/echo", "").status)
}

func TestAnAppWithoutFunctionsStartsNoHandler(t *testing.T) {
	r := setup{functions: map[string]object{}}.start(t)
	assert.Zero(t, r.PID())
	assert.Error(t, r.Restart())
	assertEmpty(t, http.StatusNotFound, r.send(t, http.MethodGet, "/api/do", ""))
}
