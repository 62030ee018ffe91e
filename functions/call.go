package functions

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"time"

	"acsauth/internal/identity"
	"acsauth/internal/trace"
)

// statusClientGone stands in the log where the client did not wait.
const statusClientGone = 499

const (
	// maxBody is room for a Teams user's token, which has 2 to 3 KiB.
	maxBody = 16 << 10
	// maxDrain is how much of a body is read that nobody wants.
	maxDrain = 16 << 20
)

// call is one request on its way through.
type call struct {
	w         http.ResponseWriter
	r         *http.Request
	id        string
	trace     trace.Context
	began     time.Time
	client    context.Context // ends when the client goes
	function  string
	hero      bool       // errors take the hero samples' form
	parameter string     // of the path, in lower case
	values    url.Values // of the query
	caller    identity.Caller
	body      []byte // a JSON object, or empty

	status int
	code   identity.Code
	err    error
}

// newCall begins a call whose work ends with ctx.
func (a *app) newCall(ctx context.Context, w http.ResponseWriter, r *http.Request) *call {
	c := &call{w: w, trace: trace.FromRequest(r), began: a.Now(), client: r.Context()}
	c.r = r.WithContext(trace.With(ctx, c.trace))
	c.id = a.requestID(r)
	h := w.Header()
	h.Set("X-Request-Id", c.id)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	return c
}

// requestID is the invocation id that the Functions host gives a request. It
// stands last: in front of it there may be one that a client made up. Without
// the host an id of our own is used, whatever the client sends.
func (a *app) requestID(r *http.Request) string {
	if values := r.Header["X-Azure-Functions-Invocationid"]; a.UnderHost && len(values) > 0 {
		last := values[len(values)-1]
		last = strings.TrimSpace(last[strings.LastIndexByte(last, ',')+1:])
		if identity.IsGUID(last) {
			return strings.ToLower(last)
		}
	}
	return identity.NewGUID()
}

// finish logs the call; a panic in it becomes an answer like any other error.
func (a *app) finish(c *call) {
	if p := recover(); p != nil {
		if p == http.ErrAbortHandler {
			panic(p)
		}
		err := fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		if c.status == 0 {
			c.fail(a, err)
		} else {
			c.err = err
		}
	}
	a.logCall(c)
}

func (a *app) logCall(c *call) {
	level := slog.LevelInfo
	if c.err != nil && errors.Is(c.err, context.Canceled) && c.client.Err() != nil {
		// Nobody reads the answer, and it says nothing of the upstream.
		c.status, c.code = statusClientGone, ""
	}
	switch {
	case c.status == http.StatusServiceUnavailable:
		level = slog.LevelWarn
	case c.status >= 500:
		level = slog.LevelError
	}
	attrs := append(make([]slog.Attr, 0, 11),
		slog.String("requestId", c.id),
		slog.String("traceId", c.trace.TraceID),
		slog.String("function", c.function),
		slog.String("method", knownMethod(c.r.Method)),
		slog.Int("status", c.status),
		slog.Float64("durationMs", float64(a.Now().Sub(c.began).Microseconds())/1000),
	)
	if c.code != "" {
		attrs = append(attrs, slog.String("code", string(c.code)))
	}
	if c.caller.User != (identity.User{}) {
		attrs = append(attrs, slog.String("tenant", c.caller.TenantID), slog.String("user", a.UserHash(c.caller.User)),
			slog.String("client", c.caller.ClientID))
	}
	if c.err != nil {
		attrs = append(attrs, slog.String("error", c.err.Error()))
	}
	a.Log.LogAttrs(c.r.Context(), level, "request", attrs...)
}

// knownMethod keeps what a client makes up out of the log.
func knownMethod(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return m
	}
	return "other"
}

// otherMethod answers a method that the function does not serve.
func (c *call) otherMethod(f function) error {
	c.w.Header().Set("Allow", strings.Join(append(f.methods[:len(f.methods):len(f.methods)], http.MethodOptions), ", "))
	if c.r.Method == http.MethodOptions {
		return c.empty()
	}
	return identity.Errorf(identity.CodeMethodNotAllowed, "This function serves %s.", strings.Join(f.methods, ", "))
}

// readBody reads the body, which every function takes as a JSON object or not
// at all.
func (c *call) readBody() error {
	if c.r.Body == http.NoBody {
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(c.r.Body, maxBody+1))
	if err != nil {
		return identity.Errorf(identity.CodeInvalidRequest, "The request body could not be read.").Because(err)
	}
	if len(body) > maxBody {
		return tooLarge()
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	mediaType, params, err := mime.ParseMediaType(c.r.Header.Get("Content-Type"))
	charset := params["charset"]
	if mediaType == "application/x-www-form-urlencoded" && bytes.Contains(body, []byte("access_token=")) {
		return &identity.Error{Code: identity.CodeInvalidRequest, Detail: "Send the access token in the Authorization header alone.", Err: identity.ErrBadCredentials}
	}
	if err != nil || mediaType != "application/json" || charset != "" && !strings.EqualFold(charset, "utf-8") {
		return identity.Errorf(identity.CodeUnsupportedMediaType, "Send the request body as application/json in UTF-8.")
	}
	c.body = body
	return c.decodeBody(&struct{}{})
}

// drain reads what is left of the body, so that a client which sends first and
// listens later gets its answer instead of a broken connection.
func (c *call) drain() {
	if c.r.Header.Get("Expect") == "" { // else the client waits to be asked for it
		_, _ = io.CopyN(io.Discard, c.r.Body, maxDrain)
	}
}

func tooLarge() error {
	return identity.Errorf(identity.CodeBodyTooLarge, "The request body has more than %d bytes.", maxBody)
}

// query returns the values of a query parameter, whose name counts in any case
// of ASCII, as the Functions host takes it.
func (c *call) query(name string) []string {
	var found []string
	for key, v := range c.values {
		if lower(key) == lower(name) {
			found = append(found, v...)
		}
	}
	return found
}

// json answers with a JSON body.
func (c *call) json(status int, body any) error {
	return c.write(status, "application/json; charset=utf-8", body)
}

func (c *call) write(status int, contentType string, body any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(body); err != nil {
		return err
	}
	c.bytes(status, contentType, b.Bytes())
	return nil
}

func (c *call) bytes(status int, contentType string, body []byte) {
	c.status = status
	c.w.Header().Set("Content-Type", contentType)
	c.w.WriteHeader(status)
	_, _ = c.w.Write(body) // the client may have gone
}

// empty answers 204.
func (c *call) empty() error {
	c.status = http.StatusNoContent
	c.w.WriteHeader(c.status)
	return nil
}
