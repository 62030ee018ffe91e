// Package trace carries a W3C trace context (https://www.w3.org/TR/trace-context/)
// from an incoming request to the requests made because of it. It makes no
// spans of its own and exports nothing: the log lines and the upstreams' records
// find each other by the trace id. A tracestate is not handed on: it is free text
// of somebody who need not have signed in.
package trace

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"strings"
)

// Context is a position in a trace.
type Context struct {
	TraceID string // 32 lower-case hexadecimal digits
	spanID  string // 16
	flags   string // 2
}

const (
	noTrace = "00000000000000000000000000000000"
	noSpan  = "0000000000000000"
)

// FromRequest continues the trace of a request, or begins one where it has none
// or one that is malformed. The span id is new in any case.
func FromRequest(r *http.Request) Context {
	c := Context{spanID: randomHex(8), flags: "00"}
	if values := r.Header["Traceparent"]; len(values) == 1 {
		if traceID, flags, ok := parse(values[0]); ok {
			c.TraceID, c.flags = traceID, flags
			return c
		}
	}
	c.TraceID = randomHex(16)
	return c
}

// parse reads version-traceID-spanID-flags. Only version 00 is known; a later
// version begins in the same way.
func parse(s string) (traceID, flags string, ok bool) {
	const length = 2 + 1 + 32 + 1 + 16 + 1 + 2
	if len(s) < length || s[2] != '-' || s[35] != '-' || s[52] != '-' {
		return "", "", false
	}
	version, traceID, spanID, flags, more := s[:2], s[3:35], s[36:52], s[53:length], s[length:]
	for _, part := range []string{version, traceID, spanID, flags} {
		if strings.Trim(part, "0123456789abcdef") != "" {
			return "", "", false
		}
	}
	switch {
	case version == "ff", version == "00" && more != "", more != "" && more[0] != '-', traceID == noTrace, spanID == noSpan:
		return "", "", false
	}
	return traceID, flags, true
}

func randomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

type contextKey struct{}

// With returns a context that Transport finds c in.
func With(ctx context.Context, c Context) context.Context {
	return context.WithValue(ctx, contextKey{}, c)
}

// Transport adds the trace of a request's context to the request.
type Transport struct{ Next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (t Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if c, ok := r.Context().Value(contextKey{}).(Context); ok {
		r = r.WithContext(r.Context()) // a RoundTripper may not change its request
		r.Header = r.Header.Clone()
		r.Header.Set("Traceparent", "00-"+c.TraceID+"-"+c.spanID+"-"+c.flags)
	}
	return t.Next.RoundTrip(r)
}
