package acsidentity

import (
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"acsauth/internal/localcloud/wire"
)

// maxBody is far above what any operation takes.
const maxBody = 1 << 20

// maxRequestID is far longer than the GUIDs that clients send.
const maxRequestID = 256

// call is a request that has been let in.
type call struct {
	r       *http.Request
	ids     []string // from the path
	version string
	body    []byte
}

// has reports whether the call's version is at least v.
func (c call) has(v string) bool { return c.version >= v }

// answer is what a call that succeeded is told.
type answer struct {
	status int
	body   any // nil for none
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	started := time.Now()
	method := r.Method
	if method == http.MethodOptions {
		method = r.Header.Get("Access-Control-Request-Method")
	}
	op, ids, known := route(method, r.URL)
	// Assumed: scripts of any origin may call the exchange for Teams Phone, since
	// the official client for that runs in browsers; and nothing else.
	if op.byToken && wire.CORS(w, r, "POST, OPTIONS") {
		return
	}
	if r.Method == http.MethodOptions {
		op = operation{}
	}
	if op.name != "" {
		s.calls.Add(op.name)
	}
	if s.fault.Handled(w, r) {
		return
	}
	got, refusal := s.serve(w, r, op, ids, known)

	h := w.Header()
	h.Set("MS-CV", strings.ReplaceAll(wire.NewGUID(), "-", "")[:22]+".0")
	h.Set("X-Azure-Ref", "local-"+wire.NewGUID())
	h.Set("X-Cache", "CONFIG_NOCACHE")
	h.Set("Request-Context", "appId=")
	// Assumed: answers carry x-ms-request-id, as those of other Azure services do.
	h.Set("x-ms-request-id", wire.NewGUID())
	h.Set("X-Processing-Time", strconv.FormatInt(time.Since(started).Milliseconds(), 10)+"ms")
	if id := r.Header.Get("x-ms-client-request-id"); id != "" && len(id) <= maxRequestID {
		h.Set("x-ms-client-request-id", id)
	}
	if refusal == nil || refusal.versioned {
		h.Set("api-supported-versions", strings.Join(op.versions(), ", "))
	}
	if refusal != nil {
		wire.SetReason(r, strings.TrimPrefix(refusal.code+": "+refusal.reason, ": "))
		s.log.LogAttrs(r.Context(), slog.LevelInfo, "acs refused a call", slog.String("operation", op.name),
			slog.Int("status", refusal.status), slog.String("code", refusal.code), slog.String("reason", refusal.reason))
		refusal.write(w)
		return
	}
	s.log.LogAttrs(r.Context(), slog.LevelDebug, "acs call", slog.String("operation", op.name), slog.Int("status", got.status))
	if s.faultAfter.Handled(w, r) {
		return
	}
	if got.body == nil {
		w.WriteHeader(got.status)
		return
	}
	wire.WriteJSON(w, got.status, "application/json; charset=utf-8", got.body)
}

// serve lets the caller in and does the work.
func (s *Server) serve(w http.ResponseWriter, r *http.Request, op operation, ids []string, known bool) (answer, *apiError) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		// Assumed: a body of more than 1 MiB is 413 RequestEntityTooLarge.
		return answer{}, &apiError{status: http.StatusRequestEntityTooLarge, code: "RequestEntityTooLarge", message: "The request body is too large."}
	} else if err != nil {
		return answer{}, malformed(err)
	}
	// Assumed: a path or method that does not exist is 404 NotFound or 405
	// MethodNotAllowed, before the caller is looked at.
	if op.name == "" && known {
		return answer{}, &apiError{status: http.StatusMethodNotAllowed, code: "MethodNotAllowed", message: "The method is not allowed here."}
	} else if op.name == "" {
		return answer{}, &apiError{status: http.StatusNotFound, code: "NotFound", message: "The resource does not exist."}
	}
	// Assumed: limits are looked at before the caller is, and refused calls count.
	if wait, ok := s.limiter.take(op.name, s.now()); !ok {
		return answer{}, tooMany(w, wait)
	}
	if !op.byToken {
		if err := s.authenticate(r, body); err != nil {
			return answer{}, denied(err)
		}
	}
	// Assumed: the version is looked at after the caller is.
	version := r.URL.Query().Get("api-version")
	if !slices.Contains(op.versions(), version) {
		return answer{}, unsupportedVersion(r, version)
	}
	if kind := r.Header.Get("Content-Type"); kind != "" && len(body) > 0 && r.Method != http.MethodDelete && !isJSON(kind) {
		return answer{}, unsupportedMedia(kind)
	}
	// Assumed: whose an identity is, is looked at before the body is.
	if op.path[0] == "identities" && len(ids) == 1 && !strings.HasPrefix(ids[0], acsPrefix+s.ResourceID()+"_") {
		return answer{}, notOwned()
	}
	return op.run(s, call{r: r, ids: ids, version: version, body: body})
}

func isJSON(contentType string) bool {
	kind, _, err := mime.ParseMediaType(contentType)
	return err == nil && (kind == "application/json" || kind == "text/json" || strings.HasSuffix(kind, "+json"))
}
