package functions

import (
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func folder(files map[string]string) fstest.MapFS {
	fs := fstest.MapFS{}
	for name, content := range files {
		fs[name] = &fstest.MapFile{Data: []byte(content)}
	}
	return fs
}

func httpFunction(route string) string {
	return `{"bindings":[{"type":"httpTrigger","name":"req","route":"` + route + `"},{"type":"http","direction":"out","name":"res"}]}`
}

const (
	oneFunction = `{"version":"2.0"}`
	noPrefix    = `{"version":"2.0","extensions":{"http":{"routePrefix":""}}}`
)

func TestPathsFollowTheAppFolder(t *testing.T) {
	three := []function{{name: "a"}, {name: "b"}, {name: "h", hero: true, parameter: "kind"}}
	for _, row := range []struct {
		name  string
		files map[string]string
		want  []string
		err   string
	}{
		{"default prefix", map[string]string{"host.json": oneFunction, "a/function.json": httpFunction("x/y"), "b/function.json": `{"bindings":[{"type":"httpTrigger"}]}`},
			[]string{"/api/x/y", "/api/b"}, ""},
		{"no prefix", map[string]string{"host.json": noPrefix, "a/function.json": httpFunction("A"), "b/function.json": httpFunction("/B/")},
			[]string{"/a", "/b"}, ""},
		{"an optional folder", map[string]string{"host.json": oneFunction, "a/function.json": httpFunction("a"), "b/function.json": httpFunction("b"), "h/function.json": httpFunction("v1/h/{kind?}")},
			[]string{"/api/a", "/api/b", "/api/v1/h"}, ""},
		{"a parameter that is missing", map[string]string{"host.json": oneFunction, "a/function.json": httpFunction("a"), "b/function.json": httpFunction("b"), "h/function.json": httpFunction("h")},
			nil, "function h does not take the parameters of route \"h\""},
		{"a parameter too many", map[string]string{"host.json": oneFunction, "a/function.json": httpFunction("a/{id}"), "b/function.json": httpFunction("b")},
			nil, "function a does not take the parameters"},
		{"another parameter", map[string]string{"host.json": oneFunction, "a/function.json": httpFunction("a"), "b/function.json": httpFunction("b"), "h/function.json": httpFunction("{tenant}/h/{kind?}")},
			nil, "function h does not take the parameters"},
		{"a folder too many", map[string]string{"host.json": oneFunction, "a/function.json": httpFunction("a"), "b/function.json": httpFunction("b"), "c/function.json": httpFunction("c")},
			nil, "folder c has a function.json but there is no function"},
		{"a folder too few", map[string]string{"host.json": oneFunction, "a/function.json": httpFunction("a")}, nil, "function b has no folder"},
		{"one route for two", map[string]string{"host.json": oneFunction, "a/function.json": httpFunction("x"), "b/function.json": httpFunction("X")}, nil, "same route"},
		{"no trigger", map[string]string{"host.json": oneFunction, "a/function.json": `{"bindings":[]}`}, nil, "a/function.json: has neither"},
		{"no host.json", nil, nil, "host.json"},
		{"another version", map[string]string{"host.json": `{}`}, nil, "want 2.0"},
		{"broken host.json", map[string]string{"host.json": `{`}, nil, "host.json"},
		{"broken function.json", map[string]string{"host.json": oneFunction, "a/function.json": `[]`}, nil, "a/function.json"},
	} {
		t.Run(row.name, func(t *testing.T) {
			table, err := ReadRouteTable(folder(row.files))
			var paths map[string]function
			if err == nil {
				paths, err = table.bind(three, true)
			}
			if row.err != "" {
				require.ErrorContains(t, err, row.err)
				return
			}
			require.NoError(t, err)
			var got []string
			for path := range paths {
				got = append(got, path)
			}
			assert.ElementsMatch(t, row.want, got)
		})
	}
}

const timer = `{"bindings":[{"type":"timerTrigger","name":"timer","schedule":"0 */5 * * * *"}]}`

func TestATimerIsForTheHostAlone(t *testing.T) {
	functions := []function{{name: "a"}, {name: "sweep", timer: true}}
	for _, host := range []string{oneFunction, noPrefix} {
		table, err := ReadRouteTable(folder(map[string]string{"host.json": host, "a/function.json": httpFunction("a"), "sweep/function.json": timer}))
		require.NoError(t, err)
		paths, err := table.bind(functions, true)
		require.NoError(t, err)
		assert.Equal(t, "sweep", paths["/sweep"].name, "without the prefix")
		paths, err = table.bind(functions, false)
		require.NoError(t, err)
		assert.Len(t, paths, 1)
	}
	for name, row := range map[string]struct {
		files map[string]string
		err   string
	}{
		"no folder":                  {map[string]string{"a/function.json": httpFunction("a")}, "function sweep has no folder"},
		"a route in place of it":     {map[string]string{"a/function.json": httpFunction("a"), "sweep/function.json": httpFunction("sweep")}, "function sweep has no folder"},
		"a timer in place of a":      {map[string]string{"a/function.json": timer, "sweep/function.json": timer}, "function a has no folder"},
		"a client's way to it":       {map[string]string{"a/function.json": httpFunction("Sweep"), "sweep/function.json": timer}, "same route"},
		"a client's way to much":     {map[string]string{"a/function.json": httpFunction("{*all}"), "sweep/function.json": timer}, "does not take the parameters"},
		"a timer without a function": {map[string]string{"a/function.json": httpFunction("a"), "sweep/function.json": timer, "b/function.json": timer}, "folder b"},
	} {
		row.files["host.json"] = noPrefix
		table, err := ReadRouteTable(folder(row.files))
		require.NoError(t, err, name)
		_, err = table.bind(functions, true)
		assert.ErrorContains(t, err, row.err, name)
	}
}

func TestAFunctionIsFoundByItsPath(t *testing.T) {
	a := &app{paths: map[string]function{"/api/token": {name: "token", parameter: "kind"}, "/api/user": {name: "user"}}}
	for _, row := range []struct{ path, name, parameter string }{
		{"/api/user", "user", ""},
		{"/API/User/", "user", ""},
		{"/api/user/x", "", ""},
		{"/api/token", "token", ""},
		{"/api/token/", "token", ""},
		{"/api/Token/Teams", "token", "teams"},
		{"/api/token/teams/", "token", "teams"},
		{"/api/token/teams/x", "", ""},
		{"/api/token//teams", "", ""},
		{"/api/token//", "", ""},
		{"/api/tokenteams", "", ""},
		{"token/teams", "", ""},
		{"/", "", ""},
		{"", "", ""},
	} {
		f, parameter, ok := a.find(row.path)
		assert.Equal(t, row.name, f.name, row.path)
		assert.Equal(t, row.parameter, parameter, row.path)
		assert.Equal(t, row.name != "", ok, row.path)
	}
}
