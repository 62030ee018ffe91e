package funchost

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPoint10TemplatesMatchWholePathsInAnyCase(t *testing.T) {
	for _, row := range []struct {
		route, path string
		want        map[string]string // nil: no match
	}{
		{"api/getUser", "/api/getUser", map[string]string{}},
		{"api/getUser", "/API/getuser", map[string]string{}},
		{"api/getUser", "/api/get%55ser/", map[string]string{}},
		{"api/getUser", "/api/getUser/x", nil},
		{"api/getUser", "/api/getUse", nil},
		{"api/getUser", "/api//getUser", nil},
		{"api/getUser", "/api", nil},
		{"api/{id}/x", "/api/A%20b/X", map[string]string{"id": "A b"}},
		{"api/{id}/x", "/api/a%2Fb/x", map[string]string{"id": "a%2Fb"}},
		{"api/{id}", "/api/", nil},
		{"api/{id?}", "/api", map[string]string{}},
		{"api/{id?}", "/api/7", map[string]string{"id": "7"}},
		{"{*rest}", "/", map[string]string{}},
		{"{*rest}", "/a/b", map[string]string{"rest": "a/b"}},
		{"api/{*rest}", "/api", map[string]string{}},
		{"api/{*rest}", "/other", nil},
	} {
		tpl, err := parseTemplate(row.route)
		require.NoError(t, err)
		params, ok := tpl.match(row.path)
		assert.Equal(t, row.want != nil, ok, "%s %s", row.route, row.path)
		if row.want != nil {
			assert.Equal(t, row.want, params, "%s %s", row.route, row.path)
		}
	}
}

func TestPoint10AWrongPathAndAWrongMethodAreBothNotFound(t *testing.T) {
	app := forwarding()
	app.functions = map[string]object{
		"echo": httpFunction(object{"authLevel": "anonymous", "methods": []string{"get"}}),
		"off":  {"disabled": true, "bindings": doFunction["bindings"]},
		"OFF2": httpFunction(object{"authLevel": "anonymous", "route": "off2"}),
		"timy": sweepTimer,
	}
	app.env = []string{"AzureWebJobs.OFF2.Disabled=1"}
	r := app.start(t)
	assert.Equal(t, http.StatusOK, r.send(t, http.MethodGet, "/API/Echo/", "").status)
	for _, row := range [][2]string{
		{"POST", "/api/echo"}, {"HEAD", "/api/echo"}, {"OPTIONS", "/api/echo"},
		{"GET", "/echo"}, {"GET", "/api"}, {"GET", "/api/do/echo"}, {"GET", "/api/off2"}, {"GET", "/api/timy"}, {"POST", "/"},
	} {
		assertEmpty(t, http.StatusNotFound, r.send(t, row[0], row[1], ""))
	}
}

func TestPoint10TheRoutePrefixCanBeChangedOrEmpty(t *testing.T) {
	for prefix, path := range map[string]string{"": "/do/echo", "v1/x": "/v1/x/do/echo"} {
		app := forwarding()
		app.host = object{"extensions": object{"http": object{"routePrefix": prefix}}}
		r := app.start(t)
		assert.Equal(t, http.StatusOK, r.send(t, http.MethodGet, path, "").status)
		assertEmpty(t, http.StatusNotFound, r.send(t, http.MethodGet, "/api/do/echo", ""))
	}
}

func TestPoint11KeysOpenWhatTheirLevelAllows(t *testing.T) {
	app := forwarding()
	app.functions = map[string]object{
		"open": httpFunction(object{"authLevel": "anonymous", "route": "open/echo"}),
		"one":  httpFunction(object{"route": "one/echo"}), // function is the default
		"two":  httpFunction(object{"authLevel": "Function", "route": "two/echo"}),
		"top":  httpFunction(object{"authLevel": "admin", "route": "top/echo"}),
	}
	r := app.start(t)
	master, host, one := r.MasterKey().Reveal(), r.FunctionKey().Reveal(), r.KeyOf("one").Reveal()
	require.True(t, r.KeyOf("none").Empty())
	for _, row := range []struct {
		function, key string
		want          int
	}{
		{"open", "", 200}, {"open", "wrong", 200},
		{"one", "", 401}, {"one", "wrong", 401}, {"one", one, 200}, {"one", host, 200}, {"one", master, 200},
		{"two", one, 401}, {"two", host, 200},
		{"top", "", 401}, {"top", host, 401}, {"top", master, 200},
	} {
		name := fmt.Sprintf("%s with %q", row.function, row.key)
		withHeader := r.request(t, http.MethodGet, "/api/"+row.function+"/echo", "")
		withHeader.Header.Set("X-Functions-Key", row.key)
		res := r.do(t, withHeader)
		assert.Equal(t, row.want, res.status, name)
		assert.Equal(t, row.want, r.send(t, http.MethodGet, "/api/"+row.function+"/echo?code="+row.key, "").status, name)
		if row.want == http.StatusUnauthorized {
			assert.Empty(t, res.body)
		}
	}

	both := r.request(t, http.MethodGet, "/api/one/echo?code="+one, "")
	both.Header.Set("X-Functions-Key", "wrong")
	assertEmpty(t, http.StatusUnauthorized, r.do(t, both))

	good := r.request(t, http.MethodGet, "/api/one/echo?code=wrong", "")
	good.Header.Set("X-Functions-Key", one)
	e := r.echo(t, good)
	assert.Equal(t, one, e.Header.Get("X-Functions-Key"), "the handler sees the keys")
	assert.Contains(t, e.URI, "code=wrong")
}

func TestPoint12TheRootIsAHomepageUnlessAFunctionTakesIt(t *testing.T) {
	r := forwarding().start(t)
	res := r.send(t, http.MethodGet, "/", "")
	assert.Equal(t, http.StatusOK, res.status)
	assert.Contains(t, res.header.Get("Content-Type"), "text/html")
	assert.Contains(t, res.body, "<html")

	quiet := forwarding()
	quiet.env = []string{"AzureWebJobsDisableHomepage=true"}
	assertEmpty(t, http.StatusNoContent, quiet.start(t).send(t, http.MethodGet, "/", ""))

	taken := forwarding()
	taken.host = object{"extensions": object{"http": object{"routePrefix": ""}}}
	taken.functions = map[string]object{"all": httpFunction(object{"authLevel": "anonymous", "route": "{*any}"})}
	assertEmpty(t, http.StatusNotFound, taken.start(t).send(t, http.MethodGet, "/", "")) // the handler's own
}

func TestPoint13CORSIsThePlatformsOwn(t *testing.T) {
	app := forwarding()
	app.config = func(c *Config) { c.CORS = CORS{[]string{"https://app.example"}, true} }
	r := app.start(t)
	ask := func(method, path, origin string) response {
		req := r.request(t, method, path, "")
		req.Header.Set("Origin", origin)
		if method == http.MethodOptions {
			req.Header.Set("Access-Control-Request-Method", "PUT")
			req.Header.Set("Access-Control-Request-Headers", "x-a, x-b")
		}
		return r.do(t, req)
	}

	preflight := ask(http.MethodOptions, "/nowhere", "https://app.example")
	assertEmpty(t, http.StatusNoContent, preflight)
	assert.Equal(t, "https://app.example", preflight.header.Get("Access-Control-Allow-Origin"))
	assert.Equal(t, "PUT", preflight.header.Get("Access-Control-Allow-Methods"))
	assert.Equal(t, "x-a, x-b", preflight.header.Get("Access-Control-Allow-Headers"))
	assert.Equal(t, "true", preflight.header.Get("Access-Control-Allow-Credentials"))

	foreign := ask(http.MethodOptions, "/api/do/echo", "https://other.example")
	assertEmpty(t, http.StatusNoContent, foreign)
	assert.Empty(t, foreign.header.Get("Access-Control-Allow-Origin"))

	assert.Equal(t, []string{"https://app.example"}, ask(http.MethodGet, "/api/do/echo", "https://app.example").header["Access-Control-Allow-Origin"])
	assert.Equal(t, http.StatusOK, ask(http.MethodGet, "/api/do/echo", "https://other.example").status)
	assert.Equal(t, []string{"https://app.example", "https://handler.example"},
		ask(http.MethodGet, "/api/do/headers", "https://app.example").header["Access-Control-Allow-Origin"],
		"a handler that does CORS too makes duplicates")

	app.config = func(c *Config) { c.CORS.AllowedOrigins = []string{"*"} }
	r = app.start(t)
	assert.Equal(t, "*", ask(http.MethodGet, "/api/do/echo", "https://any.example").header.Get("Access-Control-Allow-Origin"))

	app.config = nil
	r = app.start(t)
	assert.Equal(t, http.StatusOK, ask(http.MethodOptions, "/api/do/echo", "https://app.example").status, "off: OPTIONS is a method like any other")
}

func TestPoint14ABodyOfMoreThanTheLimitIsRejected(t *testing.T) {
	r := forwarding().start(t)
	conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	require.NoError(t, err)
	defer conn.Close()
	_, err = fmt.Fprintf(conn, "POST /api/do/echo HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", 100<<20+1)
	require.NoError(t, err)
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	defer res.Body.Close()
	assert.Equal(t, http.StatusRequestEntityTooLarge, res.StatusCode)

	small := proxying()
	small.env = []string{"FUNCTIONS_REQUEST_BODY_SIZE_LIMIT=10"}
	r = small.start(t)
	assert.Equal(t, http.StatusOK, r.send(t, http.MethodPost, "/api/do/echo", "0123456789").status)
	assert.Equal(t, http.StatusRequestEntityTooLarge, r.send(t, http.MethodPost, "/api/do/echo", "0123456789a").status)
	chunked := r.request(t, http.MethodPost, "/api/do/echo", "0123456789a")
	chunked.ContentLength = -1
	assert.Equal(t, http.StatusRequestEntityTooLarge, r.do(t, chunked).status)
}
