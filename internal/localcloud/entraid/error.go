package entraid

import (
	"fmt"
	"log/slog"
	"net/http"

	"acsauth/internal/localcloud/wire"
)

// stsError is a refusal as Entra words it. The numbers are those that Microsoft
// lists at https://learn.microsoft.com/entra/identity-platform/reference-error-codes;
// clients are told there to go by code, not by number or text.
//
// Assumed: which AADSTS number, error code and text go together, where neither
// Microsoft's list nor a published answer of the real service says it.
type stsError struct {
	status   int    // zero is 400
	code     string // OAuth 2.0 error
	suberror string
	subcode  string // error_subcode, in a redirect
	number   int    // AADSTS number
	message  string
	claims   string // claims challenge, JSON
}

func (e *stsError) Error() string {
	return fmt.Sprintf("%s: AADSTS%d: %s", e.code, e.number, e.message)
}

func missing(parameter string) *stsError {
	return &stsError{code: "invalid_request", number: 900144,
		message: fmt.Sprintf("The request body must contain the following parameter: '%s'.", parameter)}
}

func malformedRequest() *stsError {
	return &stsError{code: "invalid_request", number: 9002313, message: "Invalid request. Request is malformed or invalid."}
}

func invalidGrant(number int, message string) *stsError {
	return &stsError{code: "invalid_grant", number: number, message: message}
}

func (s *Server) unknownClient(id, authority string) *stsError {
	return &stsError{code: "unauthorized_client", number: 700016,
		message: fmt.Sprintf("Application with identifier '%s' was not found in the directory '%s'. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You may have sent your authentication request to the wrong tenant.", id, authority)}
}

// errorURI is where a human may read more.
func (s *Server) errorURI(e *stsError) string {
	return fmt.Sprintf("%s/error?code=%d", s.baseURL, e.number)
}

// refuse answers with e as JSON.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, e *stsError) {
	trace, correlation, at := s.traced(r)
	body := map[string]any{
		"error":             e.code,
		"error_description": describe(e, trace, correlation, at),
		"error_codes":       []int{e.number},
		"timestamp":         at,
		"trace_id":          trace,
		"correlation_id":    correlation,
		"error_uri":         s.errorURI(e),
	}
	if e.suberror != "" {
		body["suberror"] = e.suberror
	}
	if e.claims != "" {
		body["claims"] = e.claims
	}
	s.logRefusal(r, e, correlation)
	s.setHeaders(w, r, trace)
	status := e.status
	if status == 0 {
		status = http.StatusBadRequest
	}
	wire.WriteJSON(w, status, "application/json; charset=utf-8", body)
}

// setHeaders sets those that every answer of the token endpoint has.
func (s *Server) setHeaders(w http.ResponseWriter, r *http.Request, trace string) {
	h := w.Header()
	h.Set("Cache-Control", "no-store, no-cache")
	h.Set("Pragma", "no-cache")
	h.Set("Expires", "-1")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("x-ms-request-id", trace)
	h.Set("x-ms-ests-server", "local cloud, not for production")
	if id := r.Header.Get("client-request-id"); id != "" && r.Header.Get("return-client-request-id") == "true" {
		h.Set("client-request-id", id)
	}
}

// maxCorrelation is longer than any GUID.
const maxCorrelation = 64

// traced returns the three values that every refusal of Entra carries.
func (s *Server) traced(r *http.Request) (trace, correlation, at string) {
	correlation = r.Header.Get("client-request-id")
	if correlation == "" {
		correlation = r.FormValue("client-request-id")
	}
	if correlation == "" || len(correlation) > maxCorrelation {
		correlation = wire.NewGUID()
	}
	return wire.NewGUID(), correlation, s.now().UTC().Format("2006-01-02 15:04:05Z")
}

func describe(e *stsError, trace, correlation, at string) string {
	return fmt.Sprintf("AADSTS%d: %s Trace ID: %s Correlation ID: %s Timestamp: %s", e.number, e.message, trace, correlation, at)
}

func (s *Server) logRefusal(r *http.Request, e *stsError, correlation string) {
	reason := fmt.Sprintf("%.300s", e.Error()) // it may quote the request
	wire.SetReason(r, reason)
	s.log.LogAttrs(r.Context(), slog.LevelInfo, "entra refused a request",
		slog.String("error", reason), slog.String("correlationId", correlation))
}
