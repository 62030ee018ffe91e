package msgraph

import (
	"fmt"
	"net/http"
	"time"

	"acsauth/internal/localcloud/wire"
)

// apiError is a refusal as the service words it:
// https://learn.microsoft.com/graph/errors
type apiError struct {
	status        int
	code, message string
}

func (s *Server) refuse(w http.ResponseWriter, e *apiError, requestID, clientRequestID string) {
	if e.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize", client_id="00000003-0000-0000-c000-000000000000"`)
	}
	WriteError(w, e.status, e.code, e.message, requestID, clientRequestID, s.now())
}

// WriteError answers with an error of the form that Graph's have.
func WriteError(w http.ResponseWriter, status int, code, message, requestID, clientRequestID string, at time.Time) {
	wire.WriteJSON(w, status, "application/json", map[string]any{"error": map[string]any{
		"code":    code,
		"message": message,
		"innerError": map[string]any{
			"date":              at.UTC().Format("2006-01-02T15:04:05"),
			"request-id":        requestID,
			"client-request-id": clientRequestID,
		},
	}})
}

func noToken() *apiError {
	return &apiError{http.StatusUnauthorized, "InvalidAuthenticationToken", "Access token is empty."}
}

// badToken does not tell the kinds of bad tokens apart.
//
// Assumed: every bad token gets the one text.
func badToken() *apiError {
	return &apiError{http.StatusUnauthorized, "InvalidAuthenticationToken", "Access token validation failure."}
}

func denied() *apiError {
	return &apiError{http.StatusForbidden, "Authorization_RequestDenied", "Insufficient privileges to complete the operation."}
}

func noUser(id string) *apiError {
	return &apiError{http.StatusNotFound, "Request_ResourceNotFound",
		fmt.Sprintf("Resource '%s' does not exist or one of its queried reference-property objects are not present.", id)}
}

func noExtension() *apiError {
	return &apiError{http.StatusNotFound, "ResourceNotFound", "Extension with given id not found."}
}

// extensionExists has a code and a text that have been seen.
//
// Assumed: an extension that exists already is 400.
func extensionExists() *apiError {
	return &apiError{http.StatusBadRequest, "Request_BadRequest", "An extension already exists with given id."}
}

// tooManyExtensions has a text that has been seen.
//
// Assumed: an extension too many is 400 Request_BadRequest.
func tooManyExtensions() *apiError {
	return &apiError{http.StatusBadRequest, "Request_BadRequest", fmt.Sprintf("Maximum number of extensions values supported per application is %d.", maxExtensions)}
}

func badRequest(message string) *apiError {
	return &apiError{http.StatusBadRequest, "BadRequest", message}
}

// badExtension is for a body that is no open extension.
//
// Assumed: a body that is no open extension is 400 Request_BadRequest.
func badExtension(message string) *apiError {
	return &apiError{http.StatusBadRequest, "Request_BadRequest", message}
}

func noSegment(segment string) *apiError {
	return badRequest(fmt.Sprintf("Resource not found for the segment '%s'.", segment))
}
