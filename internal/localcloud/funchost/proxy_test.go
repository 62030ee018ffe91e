package funchost

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPoint21ProxyingWinsOverForwarding(t *testing.T) {
	app := forwarding()
	app.custom["enableProxyingHttpRequest"] = true
	r := app.start(t)
	assert.NotEmpty(t, r.echo(t, r.request(t, http.MethodGet, "/api/do/echo", "")).Header.Get("X-Ms-Invocation-Id"))
}

func TestPoint21ProxyingOverwritesWhatIsThePlatforms(t *testing.T) {
	r := proxying().start(t)
	req := r.request(t, http.MethodPost, "/API/do/a%2Fb/echo?a=1&a=2&&bad=%zz;x", "body")
	req.Host = "public.example"
	for _, name := range []string{
		headerInvocationID, headerHostVersion, "X-Ms-Invocation-Id", "X-Forwarded-For", "X-Forwarded-Host",
		"X-Forwarded-Proto", "X-Forwarded-Prefix", "Forwarded",
	} {
		req.Header.Set(name, "of the client")
	}
	e := r.echo(t, req)
	assert.Equal(t, "/API/do/a%2Fb/echo?a=1&a=2&&bad=%zz;x", e.URI)
	assert.Equal(t, fmt.Sprintf("127.0.0.1:%d", r.Port()), e.Host)
	assert.Equal(t, []string{"127.0.0.1"}, e.Header["X-Forwarded-For"])
	assert.Equal(t, []string{"public.example"}, e.Header["X-Forwarded-Host"])
	assert.Equal(t, []string{"http"}, e.Header["X-Forwarded-Proto"])
	assert.NotContains(t, e.Header, "X-Forwarded-Prefix")
	assert.NotContains(t, e.Header, "Forwarded")
	require.Len(t, e.Header[headerInvocationID], 1)
	assert.Regexp(t, guid, e.Header.Get(headerInvocationID))
	assert.Equal(t, e.Header[headerInvocationID], e.Header["X-Ms-Invocation-Id"])
	assert.Equal(t, []string{DefaultHostVersion}, e.Header[headerHostVersion])
}

func TestPoint21ProxyingKeepsTheRestButWhatIsForOneHop(t *testing.T) {
	r := proxying().start(t)
	req := r.request(t, http.MethodPost, "/api/do/echo", "body")
	kept := map[string]string{
		"User-Agent": "client/1", "Content-Encoding": "x", "Expires": "0", "Accept-Encoding": "br",
		"X-Functions-Key": "k", "X-Ms-Client-Principal": "p", "Traceparent": "t",
	}
	dropped := []string{
		"Keep-Alive", "Proxy-Authorization", "Proxy-Connection", "Te",
		"Alt-Svc", "Upgrade-Insecure-Requests", "Http2-Settings", "Strict-Transport-Security",
	}
	for name, value := range kept {
		req.Header.Set(name, value)
	}
	for _, name := range dropped {
		req.Header.Set(name, "x")
	}
	e := r.echo(t, req)
	for name, value := range kept {
		assert.Equal(t, []string{value}, e.Header[name], name)
	}
	for _, name := range dropped {
		assert.NotContains(t, e.Header, name)
	}

	req.Header.Set("User-Agent", "")
	assert.NotContains(t, r.echo(t, req).Header, "User-Agent", "none is made up")

	res := r.send(t, http.MethodGet, "/api/do/headers", "")
	assert.Equal(t, http.StatusTeapot, res.status)
	assert.Equal(t, []string{"a=1", "b=2"}, res.header["Set-Cookie"])
	assert.NotContains(t, res.header, "Strict-Transport-Security")
	assert.Equal(t, "as it is", res.body)
	assert.Equal(t, http.StatusFound, r.send(t, http.MethodGet, "/api/do/redirect", "").status)
}

func TestPoint22ProxyingStreamsBothWays(t *testing.T) {
	r := proxying().start(t)
	body, lines := io.Pipe()
	req := r.request(t, http.MethodPost, "/api/do/stream", "")
	req.Body, req.ContentLength = body, -1
	res, err := r.client.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	answers := bufio.NewReader(res.Body)
	for i := range 3 {
		_, err := fmt.Fprintf(lines, "%d\n", i)
		require.NoError(t, err)
		answer, err := answers.ReadString('\n')
		require.NoError(t, err)
		assert.Equal(t, fmt.Sprintf("got %d\n", i), answer)
	}
	require.NoError(t, lines.Close())
	_, err = io.Copy(io.Discard, answers)
	require.NoError(t, err)
	assert.Equal(t, "yes", res.Trailer.Get("X-End"))
}

func TestPoint22ProxyingCancelsWhenTheClientLeaves(t *testing.T) {
	r := proxying().start(t)
	ctx, leave := context.WithCancel(t.Context())
	req := r.request(t, http.MethodGet, "/api/do/hang", "").WithContext(ctx)
	answer := r.doLater(req)
	r.logged(t, "hanging")
	leave()
	assert.Zero(t, (<-answer).status)
	r.logged(t, "hung up")
	r.logged(t, "the caller has gone")
}

func TestPoint22ProxyingHidesARestart(t *testing.T) {
	r := proxying().start(t)
	once := "?code=200&once=" + url.QueryEscape(filepath.Join(t.TempDir(), "once"))
	pid := r.PID()
	e := r.echo(t, r.request(t, http.MethodPost, "/api/do/exit"+once, ""))
	assert.NotEqual(t, pid, e.PID, "sent twice")

	r = proxying().start(t)
	once = "?code=200&once=" + url.QueryEscape(filepath.Join(t.TempDir(), "once"))
	assertEmpty(t, http.StatusInternalServerError, r.send(t, http.MethodPost, "/api/do/exit"+once, "a body can be read once"))
}

func TestPoint22ProxyingGivesUpWhenNothingMoves(t *testing.T) {
	app := proxying()
	app.config = func(c *Config) { c.ProxyIdleTimeout = 100 * time.Millisecond }
	r := app.start(t)
	pid := r.PID()
	assertEmpty(t, http.StatusInternalServerError, r.send(t, http.MethodGet, "/api/do/hang", ""))
	r.logged(t, "no progress")
	assert.Equal(t, pid, r.PID(), "the handler lives on")
}
