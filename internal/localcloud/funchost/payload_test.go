package funchost

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// payloads has a function with an extra output, so that it gets a payload even
// when the host proxies, and a timer.
func payloads() setup {
	custom := httpFunction(object{"authLevel": "anonymous", "route": "custom/{id}"})
	custom["bindings"] = append(custom["bindings"].([]object), object{"type": "queue", "direction": "out", "name": "q"})
	odd := httpFunction(object{"authLevel": "anonymous"})
	odd["bindings"] = odd["bindings"].([]object)[:1]
	app := proxying()
	app.functions = map[string]object{"Custom": custom, "odd": odd, "sweep": sweepTimer}
	return app
}

func TestPoint23AFunctionWithMoreBindingsGetsAPayload(t *testing.T) {
	r := payloads().start(t)
	req := r.request(t, http.MethodPost, "/api/CUSTOM/7?x=1&x=2&code=key", "text")
	req.Header.Set("Content-Type", "text/plain")
	got := r.echo(t, req)
	assert.Equal(t, "POST", got.Method)
	assert.Equal(t, "/Custom", got.URI)
	assert.Equal(t, "application/json; charset=utf-8", got.Header.Get("Content-Type"))
	assert.Equal(t, "Azure-Functions-Host/"+DefaultHostVersion, got.Header.Get("User-Agent"))
	assert.Regexp(t, guid, got.Header.Get(headerInvocationID))

	var in struct {
		Data struct {
			Req struct {
				URL, Method, Body string
				Query, Params     map[string]string
				Headers           map[string][]string
				Identities        []any
			}
		}
		Metadata map[string]any
	}
	require.NoError(t, json.Unmarshal([]byte(got.Body), &in))
	assert.Equal(t, r.url+"/api/CUSTOM/7?x=1&x=2&code=key", in.Data.Req.URL)
	assert.Equal(t, "POST", in.Data.Req.Method)
	assert.Equal(t, "text", in.Data.Req.Body)
	assert.Equal(t, map[string]string{"x": "1,2", "code": "key"}, in.Data.Req.Query)
	assert.Equal(t, map[string]string{"id": "7"}, in.Data.Req.Params)
	assert.Equal(t, []string{"text/plain"}, in.Data.Req.Headers["Content-Type"])
	assert.Equal(t, `"7"`, in.Metadata["id"])
	assert.Equal(t, `"1,2"`, in.Metadata["x"])
	assert.NotContains(t, in.Metadata, "code")
	assert.Contains(t, in.Metadata, "sys")

	record := r.logged(t, "another")
	assert.Equal(t, "Function.Custom.User", record.Category)

	req = r.request(t, http.MethodPost, "/api/custom/7", "\x00\x01")
	req.Header.Set("Content-Type", "application/octet-stream")
	assert.Contains(t, r.echo(t, req).Body, `"Body":"AAE="`)
	assert.NotContains(t, r.echo(t, r.request(t, http.MethodGet, "/api/custom/7", "")).Body, `"Body"`)
}

func TestPoint23TheHTTPOutputIsTheResponse(t *testing.T) {
	r := payloads().start(t)
	for name, row := range map[string]struct {
		reply, kind, status string
		want                int
		body                string
	}{
		"a status as text":           {`{"Outputs":{"res":{"statusCode":"201","status":"","body":"made"}}}`, "", "", 201, "made"},
		"a status as a number":       {`{"Outputs":{"res":{"status":202}}}`, "", "", 202, ""},
		"a body that is an object":   {`{"Outputs":{"res":{"body":{"a":1}}}}`, "", "", 200, `{"a":1}`},
		"a body of null":             {`{"Outputs":{"res":{"body":null}}}`, "", "", 200, ""},
		"no such output":             {`{"Outputs":{}}`, "", "", 200, "{}"},
		"another type of JSON":       {`{"Outputs":{"res":{"body":"x"}}}`, "application/json; charset=utf-8", "201", 200, "x"},
		"an output that is a string": {`{"Outputs":{"res":"text"}}`, "", "", 500, ""},
		"a status that is none":      {`{"Outputs":{"res":{"statusCode":"fine"}}}`, "", "", 500, ""},
		"no JSON":                    {`fine`, "", "", 500, ""},
		"not said to be JSON":        {`{"Outputs":{}}`, "text/plain", "", 500, ""},
		"not 2xx":                    {`{"Outputs":{}}`, "", "404", 500, ""},
	} {
		t.Run(name, func(t *testing.T) {
			q := url.Values{"reply": {row.reply}, "type": {row.kind}, "status": {row.status}}
			res := r.send(t, http.MethodGet, "/api/custom/1?"+q.Encode(), "")
			assert.Equal(t, row.want, res.status)
			assert.Equal(t, row.body, res.body)
		})
	}
	withHeader := `{"Outputs":{"res":{"body":"{}","headers":{"content-type":"application/json","X-N":7}}}}`
	res := r.send(t, http.MethodGet, "/api/custom/1?reply="+url.QueryEscape(withHeader), "")
	assert.Equal(t, "application/json", res.header.Get("Content-Type"))
	assert.Equal(t, "7", res.header.Get("X-N"))
	assert.Equal(t, "text/plain; charset=utf-8", r.send(t, http.MethodGet, "/api/custom/1", "").header.Get("Content-Type"))

	assertEmpty(t, http.StatusOK, r.send(t, http.MethodGet, "/api/odd", "")) // it has no http output
}

func TestPoint23ATimerIsTriggeredByHand(t *testing.T) {
	r := payloads().start(t)
	require.NoError(t, r.Trigger(t.Context(), "Sweep"))
	told := r.logged(t, "IsPastDue").Text
	assert.True(t, strings.HasPrefix(told, "payload "))
	assert.Contains(t, told, `"URI":"/sweep"`)
	assert.Contains(t, told, `\"timer\"`)

	assert.ErrorContains(t, r.Trigger(t.Context(), "Custom"), "no function of that name")
	assert.ErrorContains(t, r.Trigger(t.Context(), "none"), "no function of that name")
	r.Stop()
	assert.ErrorIs(t, r.Trigger(t.Context(), "sweep"), errNotRunning)
}
