package funchost

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"time"
)

const (
	proxyAttempts   = 10
	proxyFirstDelay = 50 * time.Millisecond
	proxyMaxDelay   = 250 * time.Millisecond
)

// errIdle is the cause of a context that ended because nothing moved.
var errIdle = errors.New("proxied request made no progress")

// unproxied headers are stripped both ways, on top of those that every proxy
// strips. The last one is a peculiarity of the host's proxy.
var unproxied = []string{"Alt-Svc", "Upgrade-Insecure-Requests", "Http2-Settings", "Strict-Transport-Security"}

// proxy passes the request through as it comes in, and the answer likewise:
// mode enableProxyingHttpRequest. A client that goes away cancels the request.
func (inv *invocation) proxy(ctx context.Context, w http.ResponseWriter) error {
	h, in := inv.host, inv.request
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// When the client leaves, so does the request. Its values stay: the proxy
	// looks for the server among them before it aborts a response.
	defer context.AfterFunc(in.Context(), func() { cancel(in.Context().Err()) })()
	idle := &idleTimer{after: h.config.ProxyIdleTimeout}
	idle.timer = time.AfterFunc(idle.after, func() { cancel(errIdle) })
	defer idle.timer.Stop()

	var failure error
	p := &httputil.ReverseProxy{
		Rewrite:       inv.rewrite,
		Transport:     &retryTransport{next: h.transport, idle: idle},
		FlushInterval: -1,
		ErrorLog:      log.New(io.Discard, "", 0), // failures are in the host's own log
		ModifyResponse: func(res *http.Response) error {
			for _, name := range unproxied {
				res.Header.Del(name)
			}
			return checkStatus(res)
		},
		ErrorHandler: func(_ http.ResponseWriter, _ *http.Request, err error) { failure = err },
	}
	func() {
		defer func() {
			if r := recover(); r != nil {
				if err, ok := r.(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
					panic(r)
				}
				failure = abortError{errors.New("the response broke off")}
			}
		}()
		p.ServeHTTP(finalWriter{w}, in.WithContext(valuesOf{ctx, in.Context()}))
	}()
	if failure == nil {
		return nil
	}
	if in.Context().Err() != nil {
		return fmt.Errorf("%w: %w", errCallerGone, in.Context().Err())
	}
	if cause := context.Cause(ctx); cause != nil && !errors.Is(failure, cause) {
		return fmt.Errorf("%w: %w", failure, cause)
	}
	return failure
}

// finalWriter leaves out what the host's proxy keeps to itself: interim answers.
type finalWriter struct{ http.ResponseWriter }

func (w finalWriter) WriteHeader(status int) {
	if status >= http.StatusOK || status == http.StatusSwitchingProtocols {
		w.ResponseWriter.WriteHeader(status)
	}
}

// Unwrap is what http.ResponseController looks for.
func (w finalWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// valuesOf is a context with the values of another one.
type valuesOf struct {
	context.Context
	values context.Context
}

func (c valuesOf) Value(key any) any {
	if v := c.Context.Value(key); v != nil {
		return v
	}
	return c.values.Value(key)
}

// rewrite overwrites whatever a client said in the name of the platform. The
// User-Agent and the bytes of the query stay. The real host first takes
// DISGUISED-HOST and X-Forwarded-Proto of its front end for the host and the
// scheme; here the client's connection speaks for itself.
func (inv *invocation) rewrite(pr *httputil.ProxyRequest) {
	pr.SetURL(&url.URL{Scheme: "http", Host: inv.host.handlerAddr()})
	pr.Out.Host = inv.host.handlerAddr()
	pr.Out.URL.RawQuery = pr.In.URL.RawQuery
	pr.SetXForwarded()
	header := pr.Out.Header
	header.Del("X-Forwarded-Prefix")
	for _, name := range unproxied {
		header.Del(name)
	}
	header.Set(headerHostVersion, inv.host.config.HostVersion)
	header.Set(headerInvocationID, inv.id)
	header.Set("X-Ms-Invocation-Id", inv.id)
}

// retryTransport hides a handler that is being restarted: it tries ten times,
// and so may send a request twice. A body that has been read from can't be sent
// again.
type retryTransport struct {
	next http.RoundTripper
	idle *idleTimer
}

func (t *retryTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	var body *onceBody
	if r.Body != nil && r.Body != http.NoBody {
		body = &onceBody{ReadCloser: r.Body, idle: t.idle}
		r = r.Clone(r.Context())
		r.Body = body
	}
	delay := proxyFirstDelay
	for attempt := 1; ; attempt++ {
		res, err := t.next.RoundTrip(r)
		if err == nil {
			t.idle.reset()
			if res.StatusCode != http.StatusSwitchingProtocols { // whose body is written to as well
				res.Body = &activeBody{res.Body, t.idle}
			}
			return res, nil
		}
		if attempt == proxyAttempts || body != nil && body.read.Load() {
			return nil, err
		}
		select {
		case <-r.Context().Done():
			return nil, err
		case <-time.After(delay):
		}
		delay = min(2*delay, proxyMaxDelay)
	}
}

// idleTimer fires when nothing has moved for a while.
type idleTimer struct {
	timer *time.Timer
	after time.Duration
}

func (t *idleTimer) reset() { t.timer.Reset(t.after) }

// onceBody is a request body that outlives an attempt to send it.
type onceBody struct {
	io.ReadCloser
	idle *idleTimer
	read atomic.Bool
}

func (b *onceBody) Read(p []byte) (int, error) {
	b.read.Store(true)
	n, err := b.ReadCloser.Read(p)
	b.idle.reset()
	return n, err
}

// Close does nothing: an attempt that failed closes its body. ReverseProxy
// closes the real one in the end.
func (b *onceBody) Close() error { return nil }

type activeBody struct {
	io.ReadCloser
	idle *idleTimer
}

func (b *activeBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.idle.reset()
	return n, err
}
