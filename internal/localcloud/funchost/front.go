package funchost

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"
)

const homepage = `<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Functions host stand-in</title></head>
<body><h1>The function app is running</h1>
<p>This is a stand-in for the Azure Functions host, for development only.</p></body></html>
`

// maxBufferedBody is how much of a request the server here reads by itself
// before it sends an answer.
const maxBufferedBody = 256 << 10

// errCallerGone means that nobody waits for the answer any more.
var errCallerGone = errors.New("the caller has gone")

// errFunctionTimeout is the cause of a context that functionTimeout ended.
var errFunctionTimeout = errors.New("function timed out")

// invocation is one call of a function.
type invocation struct {
	host    *Host
	id      string
	fn      *function
	params  map[string]string // of the route, decoded
	request *http.Request
}

// ServeHTTP is the front of the app: what a client of the deployed app talks to.
func (h *Host) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h.ctx.Err() != nil {
		notRunning(w)
		return
	}
	r = r.WithContext(r.Context()) // a copy, to be changed
	if h.config.Hostile {
		r.Header = r.Header.Clone()
		forge(r.Header)
	}
	if h.config.CORS.enabled() && h.config.CORS.Handle(w, r) {
		return
	}
	if r.ContentLength > h.app.bodyLimit {
		// The real host's status is not known for sure.
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, h.app.bodyLimit)

	fn, params := h.app.find(r.Method, r.URL.EscapedPath())
	switch {
	case fn != nil && !h.keys.admit(fn, r):
		w.WriteHeader(http.StatusUnauthorized)
	case fn != nil:
		inv := &invocation{h, newGUID(), fn, params, r}
		if fn.direct && h.app.proxying && (r.ContentLength < 0 || r.ContentLength > maxBufferedBody) {
			// The answer may begin before the request has ended. The connection
			// is not used again: what is left of the request would be in the way.
			_ = http.NewResponseController(w).EnableFullDuplex() // not every server can
			w.Header().Set("Connection", "close")
		}
		if h.config.FrontEndTimeout > 0 {
			inv.serveWithin(w, h.config.FrontEndTimeout)
			return
		}
		inv.serve(w)
	case r.Method == http.MethodGet && r.URL.Path == "/" && h.app.homepage:
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, homepage)
	case r.Method == http.MethodGet && r.URL.Path == "/":
		w.WriteHeader(http.StatusNoContent)
	default: // a wrong method is no better than a wrong path
		w.WriteHeader(http.StatusNotFound)
	}
}

func notRunning(w http.ResponseWriter) {
	http.Error(w, "Function host is not running.", http.StatusServiceUnavailable)
}

// serve runs the function in the mode that its bindings and host.json call for.
// Proxying wins over forwarding.
func (inv *invocation) serve(w http.ResponseWriter) {
	h := inv.host
	mode := inv.post
	switch {
	case inv.fn.direct && h.app.proxying:
		mode = inv.proxy
	case inv.fn.direct && h.app.forwarding:
		mode = inv.forward
	}
	err := h.run(inv.request.Context(), inv.fn, func(ctx context.Context) error { return mode(ctx, w) })
	var started abortError
	var tooLarge *http.MaxBytesError
	switch {
	case err == nil:
	case errors.As(err, &started), errors.Is(err, errCallerGone):
		panic(http.ErrAbortHandler)
	case errors.As(err, &tooLarge):
		w.WriteHeader(http.StatusRequestEntityTooLarge)
	case errors.Is(err, errNotRunning), errors.Is(err, context.Canceled): // by Stop
		notRunning(w)
	default:
		w.WriteHeader(http.StatusInternalServerError)
	}
}

// abortError is a failure after the response has begun.
type abortError struct{ error }

func (e abortError) Unwrap() error { return e.error }

// run waits for the handler, gives call as long as functionTimeout allows, and
// logs a failure. The wait ends with ctx, but nothing else does: call decides
// what a client that goes away means. What the wait takes is not counted.
func (h *Host) run(ctx context.Context, fn *function, call func(context.Context) error) error {
	err := func() error {
		p, err := h.super.await(ctx, startsPerRequest)
		if ctx.Err() != nil {
			return fmt.Errorf("%w: %w", errCallerGone, ctx.Err())
		}
		if err != nil {
			return err
		}
		ctx, cancel := context.WithCancel(h.ctx)
		defer cancel()
		if limit := h.app.functionTimeout; limit > 0 {
			ctx, cancel = context.WithTimeoutCause(ctx, limit, errFunctionTimeout)
			defer cancel()
		}
		err = call(ctx)
		if errors.Is(context.Cause(ctx), errFunctionTimeout) && err != nil {
			// Requests of others die with the process, as in the real host.
			h.console.host(slog.LevelError, "%s: no answer within %s: the handler is restarted", fn.name, h.app.functionTimeout)
			h.super.recycle(p)
			return fmt.Errorf("%w: %w", errFunctionTimeout, err)
		}
		return err
	}()
	switch {
	case errors.Is(err, errCallerGone):
		h.console.add(slog.LevelInfo, "Function."+fn.name, err.Error())
	case err != nil:
		h.console.add(slog.LevelError, "Function."+fn.name, "executed (failed): "+err.Error())
	}
	return err
}

// serveWithin answers 502 when the function has not begun to answer in time. In
// Azure that is the load balancer: the function runs on and nobody listens,
// except that a proxied request sees its client leave.
func (inv *invocation) serveWithin(w http.ResponseWriter, limit time.Duration) {
	ctx, leave := context.WithCancel(inv.request.Context())
	inv.request = inv.request.WithContext(ctx)
	front := newCutoffWriter(w)
	ended := make(chan any, 1)
	go func() {
		defer leave()
		defer func() { ended <- recover() }()
		inv.serve(front)
	}()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-timer.C:
		if front.cut() {
			leave()
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		finish(<-ended)
	case r := <-ended:
		finish(r)
	}
}

// finish panics on if serve did.
func finish(recovered any) {
	if recovered != nil {
		panic(recovered)
	}
}
