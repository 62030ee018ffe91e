package acsidentity

import (
	"fmt"
	"net/http"

	"acsauth/internal/identity"
	"acsauth/internal/localcloud/wire"
)

// apiError is a refusal as the service words it.
type apiError struct {
	status    int
	code      string
	message   string
	target    string // the field at fault; empty for none
	versioned bool   // from the versioned part of the service, which lists its versions
	reason    string // for the log: the service itself gives none
}

// reasonHeader tells a developer what the real service leaves unsaid.
const reasonHeader = "X-Local-Cloud-Reason"

func (e *apiError) write(w http.ResponseWriter) {
	detail := map[string]any{"code": e.code, "message": e.message}
	if e.target != "" {
		detail["target"] = e.target
	}
	if e.reason != "" {
		w.Header().Set(reasonHeader, e.reason)
	}
	wire.WriteJSON(w, e.status, "application/json", map[string]any{"error": detail})
}

// denied is the one answer to every caller who is not let in.
//
// Assumed: a caller who is not let in gets 401 with code Denied, whatever the
// cause; only the text has been seen.
func denied(why error) *apiError {
	return &apiError{status: http.StatusUnauthorized, code: "Denied", message: "Denied by the resource provider.", reason: why.Error()}
}

// unsupportedVersion has a text that has been seen.
//
// Assumed: an unknown api-version is 400 UnsupportedApiVersion, with a text that
// has been seen, and a missing one is 400 ApiVersionUnspecified.
func unsupportedVersion(r *http.Request, version string) *apiError {
	if version == "" {
		return &apiError{status: http.StatusBadRequest, code: "ApiVersionUnspecified", message: "An API version is required, but was not specified."}
	}
	return &apiError{status: http.StatusBadRequest, code: "UnsupportedApiVersion",
		message: fmt.Sprintf("The HTTP resource that matches the request URI 'https://%s%s' does not support the API version '%s'.",
			r.Host, r.URL.EscapedPath(), version)}
}

func validation(target, message string) *apiError {
	return &apiError{status: http.StatusBadRequest, code: "ValidationError", message: message, target: target}
}

func required(field string) *apiError {
	return validation(field, fmt.Sprintf("%s: The %s field is required.", field, field))
}

// refused is a validation error that the operation itself finds, after the
// fields as such have passed.
func refused(target, message string) *apiError {
	e := validation(target, message)
	e.versioned = true
	return e
}

// malformed is for a body that is not JSON of the right kind.
//
// Assumed: a body that is not JSON of the right kind is a ValidationError without
// a target.
func malformed(why error) *apiError {
	e := validation("", "The request body is malformed.")
	e.reason = fmt.Sprintf("%.300s", why)
	return e
}

// notOwned is for an id of another resource, or of none.
func notOwned() *apiError {
	return &apiError{status: http.StatusUnauthorized, code: "IdentityNotOwned", message: "Provided identity doesn't belong to the resource.", versioned: true}
}

// unknownIdentity is for an id of the resource that was never issued, or is deleted.
//
// Assumed: to issue or revoke for an identity of the resource that is unknown or
// deleted is 404 IdentityNotFound.
func unknownIdentity() *apiError {
	return &apiError{status: http.StatusNotFound, code: "IdentityNotFound", message: "Identity not found.", versioned: true}
}

// full is for what the stand-in does not keep more of; the real service has no
// such bound.
func full() *apiError {
	return &apiError{status: http.StatusServiceUnavailable, code: "ServiceUnavailable", message: "The service is unavailable.", reason: "the stand-in keeps no more of these"}
}

// unsupportedMedia is for a body that calls itself something else than JSON.
//
// Assumed: a body whose Content-Type is not JSON is 415, after caller and version
// have been looked at; a missing Content-Type is let pass.
func unsupportedMedia(got string) *apiError {
	return &apiError{status: http.StatusUnsupportedMediaType, code: "UnsupportedMediaType", message: "Unsupported Media Type", reason: fmt.Sprintf("content type: expected application/json, got %.100q", got)}
}

// invalidAccessToken is for an Entra token that can't be exchanged.
func invalidAccessToken(why error) *apiError {
	return &apiError{status: http.StatusUnauthorized, code: "InvalidAccessToken", message: "Provided access token is not valid.", reason: why.Error()}
}

// checkExpiry takes the minutes of a token's lifetime; nil for none given.
func checkExpiry(minutes *int) *apiError {
	lowest, highest := int(identity.MinExpiresIn.Minutes()), int(identity.MaxExpiresIn.Minutes())
	if minutes == nil || *minutes >= lowest && *minutes <= highest {
		return nil
	}
	return validation("ExpiresInMinutes", fmt.Sprintf("ExpiresInMinutes value %d is invalid. Value must be within the [%d, %d] interval.", *minutes, lowest, highest))
}
