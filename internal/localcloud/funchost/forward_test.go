package funchost

import (
	"context"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

const (
	guid        = `^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`
	traceparent = `^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$`
)

func TestPoint15ForwardingKeepsTheClientsPathAndRebuildsItsQuery(t *testing.T) {
	r := forwarding().start(t)
	for sent, want := range map[string]string{
		"/api/do/echo":                   "/api/do/echo",
		"/API/Do/ECHO":                   "/API/Do/ECHO",
		"/api/do/a%20b/echo":             "/api/do/a%20b/echo",
		"/api/do/%61/echo":               "/api/do/a/echo",
		"/api/do/a%2Fb/echo":             "/api/do/a%2Fb/echo",
		"/api/do/echo%3Fx/y":             "/api/do/echo",
		"/api/do/x%5c..%5Ca/echo":        "/api/do/a/echo",
		"/api/do/..%5c..%5c../..%5cecho": "/echo",
		"/api/do/echo%23x":               "/api/do/echo",
		"/api/do/echo?a=1&a=2":           "/api/do/echo?a=1%2C2",
		"/api/do/echo?a=1&b=2&A=3":       "/api/do/echo?a=1%2C3&b=2",
		"/api/do/echo?code=key&x=a+b%2b": "/api/do/echo?code=key&x=a%20b%2B",
		"/api/do/echo?flag":              "/api/do/echo?flag=",
		"/api/do/echo?bad=%zz&&":         "/api/do/echo?bad=%25zz",
	} {
		assert.Equal(t, want, r.echo(t, r.request(t, http.MethodGet, sent, "")).URI, sent)
	}
	for _, method := range []string{"GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"} {
		assert.Equal(t, method, r.echo(t, r.request(t, method, "/api/do/echo", "")).Method)
	}
}

func TestPoint16ForwardingCopiesHeadersButThoseOfContent(t *testing.T) {
	r := forwarding().start(t)
	req := r.request(t, http.MethodPost, "/api/do/echo", "{}")
	req.Host = "public.example"
	copied := map[string]string{
		"Authorization": "Bearer x", "Cookie": "a=b", "Accept-Encoding": "br", "Connection": "keep-alive",
		"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Host": "h", "X-Forwarded-Proto": "https",
		"X-Ms-Client-Principal": "p", "Content-Type": "application/json",
	}
	dropped := []string{
		"Content-Encoding", "Content-Language", "Content-Disposition", "Content-Range", "Content-Md5",
		"Content-Location", "Allow", "Expires", "Last-Modified",
	}
	for name, value := range copied {
		req.Header.Set(name, value)
	}
	for _, name := range dropped {
		req.Header.Set(name, "x")
	}
	e := r.echo(t, req)
	assert.Equal(t, "public.example", e.Host)
	assert.Equal(t, "{}", e.Body)
	assert.EqualValues(t, 2, e.Length)
	for name, value := range copied {
		assert.Equal(t, []string{value}, e.Header[name], name)
	}
	for _, name := range dropped {
		assert.NotContains(t, e.Header, name)
	}

	bare := r.request(t, http.MethodPost, "/api/do/echo", "")
	bare.Header.Set("Content-Type", "application/json")
	assert.NotContains(t, r.echo(t, bare).Header, "Content-Type", "no body, no type")
}

func TestPoint17ForwardingAppendsWhatTheHostSaysOfItself(t *testing.T) {
	r := forwarding().start(t)
	req := r.request(t, http.MethodGet, "/api/do/echo", "")
	req.Header.Set(headerInvocationID, "of the client")
	req.Header.Set(headerHostVersion, "9.9")
	req.Header.Set("User-Agent", "client/1")
	header := r.echo(t, req).Header

	ids := header[headerInvocationID]
	assert.Len(t, ids, 2)
	assert.Equal(t, "of the client", ids[0])
	assert.Regexp(t, guid, ids[1])
	assert.Equal(t, []string{"9.9", DefaultHostVersion}, header[headerHostVersion])
	assert.Equal(t, "client/1 Azure-Functions-Host/"+DefaultHostVersion, header.Get("User-Agent"))

	req.Header.Set("User-Agent", "") // not sent at all
	again := r.echo(t, req).Header
	assert.Equal(t, "Azure-Functions-Host/"+DefaultHostVersion, again.Get("User-Agent"))
	assert.NotEqual(t, ids[1], again[headerInvocationID][1], "each invocation has its own")
}

func TestPoint18ATraceparentIsAddedOnlyWhenThereIsNone(t *testing.T) {
	r := forwarding().start(t)
	req := r.request(t, http.MethodGet, "/api/do/echo", "")
	assert.Regexp(t, traceparent, r.echo(t, req).Header.Get("Traceparent"))
	req.Header.Set("Traceparent", "of the client")
	assert.Equal(t, []string{"of the client"}, r.echo(t, req).Header["Traceparent"])

	never := forwarding()
	never.config = func(c *Config) { c.NoTraceparent = true }
	r = never.start(t)
	assert.NotContains(t, r.echo(t, r.request(t, http.MethodGet, "/api/do/echo", "")).Header, "Traceparent")
}

func TestPoint19ForwardingAChunkedRequestFails(t *testing.T) {
	r := forwarding().start(t)
	req := r.request(t, http.MethodPost, "/api/do/print?out=was+called%0A", "body")
	req.ContentLength = -1
	assertEmpty(t, http.StatusInternalServerError, r.do(t, req))
	r.logged(t, "chunked")
	for _, record := range r.Records() {
		assert.NotContains(t, record.Text, "was called")
	}
}

func TestPoint20ForwardingCopiesTheAnswerAsItIs(t *testing.T) {
	r := forwarding().start(t)
	redirect := r.send(t, http.MethodGet, "/api/do/redirect", "")
	assert.Equal(t, http.StatusFound, redirect.status)
	assert.Equal(t, "/elsewhere", redirect.header.Get("Location"))

	req := r.request(t, http.MethodGet, "/api/do/headers", "")
	req.Header.Set("Accept-Encoding", "gzip")
	res := r.do(t, req)
	assert.Equal(t, http.StatusTeapot, res.status)
	assert.Equal(t, []string{"a=1", "b=2"}, res.header["Set-Cookie"])
	assert.Equal(t, "max-age=1", res.header.Get("Strict-Transport-Security"))
	assert.Equal(t, "gzip", res.header.Get("Content-Encoding"))
	assert.Equal(t, "as it is", res.body)

	assertEmpty(t, http.StatusTeapot, r.send(t, http.MethodHead, "/api/do/headers", ""))
}

func TestPoint20ForwardingDoesNotTellTheHandlerThatTheClientLeft(t *testing.T) {
	r := forwarding().start(t)
	gate := filepath.Join(t.TempDir(), "gate")
	ctx, leave := context.WithCancel(t.Context())
	req := r.request(t, http.MethodGet, "/api/do/hang?until="+gate, "").WithContext(ctx)
	answer := r.doLater(req)
	r.logged(t, "hanging")
	leave()
	assert.Zero(t, (<-answer).status)
	touch(t, gate)
	r.logged(t, "finished")
	for _, record := range r.Records() {
		assert.False(t, strings.HasPrefix(record.Text, "hung up"))
	}
}
