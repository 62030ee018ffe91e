package acs

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"acsauth/internal/identity"
	"acsauth/internal/upstream"
)

// Error is a refusal by ACS, without its message, which may quote the request.
type Error struct {
	Status int    // HTTP status
	Code   string // ACS's own, such as ValidationError; empty where the body was no error of ACS
	Target string // the field that Code is about, or empty
}

func (e *Error) Error() string {
	s := fmt.Sprintf("acs answered %d", e.Status)
	if e.Code != "" {
		s += " " + upstream.Plain(e.Code)
	}
	if e.Target != "" {
		s += " about " + upstream.Plain(e.Target)
	}
	return s
}

// codeNotOwned is what ACS says, with 401, of an identity that is not of this
// resource: https://github.com/Azure/azure-sdk-for-js/tree/main/sdk/communication/communication-identity
// has recorded it.
const codeNotOwned = "IdentityNotOwned"

// refusal turns an answer that is not 2xx into the error that the domain knows.
func refusal(op operation, resp *http.Response, body []byte) error {
	var a errorAnswer
	_ = unmarshal(body, &a) // a gateway in between answers in HTML
	e := &Error{resp.StatusCode, a.Error.Code, a.Error.Target}

	if op.creates && outcomeUnknown(resp, nil) {
		return unavailable(fmt.Errorf("%w: %w", identity.ErrOutcomeUnknown, e), retryAfter(resp))
	}
	switch {
	case resp.StatusCode >= 500, resp.StatusCode == http.StatusTooManyRequests, resp.StatusCode == http.StatusRequestTimeout:
		return unavailable(e, retryAfter(resp))
	case op.unknown != nil && e.Status == http.StatusNotFound && (e.Code != "" || len(body) == 0 && !op.erases),
		op.unknown != nil && e.Status == http.StatusUnauthorized && e.Code == codeNotOwned:
		// Any other 404 is a gateway's: it must not pass for an identity that has
		// gone, least of all for one that was to be erased.
		return fmt.Errorf("%w: %w", op.unknown, e)
	case op.exchanges:
		if err := teamsRefusal(e, !op.bearer.Empty()); err != nil {
			return err
		}
	}
	return identity.Errorf(identity.CodeUpstreamRejected, "The communication service refused this service's request.").Because(e)
}

// teamsRefusal returns nil where the refusal is not about the user's token. Where
// that token is the only authority, byUser, every refusal of authority is.
//
// Codes and targets are those that the service is known to answer, which spells
// targets in two ways. What it says to a user without an assignment is not known:
// 403 is what HTTP has for it.
func teamsRefusal(e *Error, byUser bool) error {
	var t *identity.Error
	target := strings.ToLower(e.Target)
	switch {
	case e.Status == http.StatusForbidden && byUser:
		t = identity.Errorf(identity.CodeTeamsTokenNotAssigned,
			"The user has no access to Teams Phone through this service with this application. An administrator of the service grants it.")
	case e.Status == http.StatusUnauthorized && (e.Code == "InvalidAccessToken" || byUser), e.Status == http.StatusBadRequest && target == "token":
		t = identity.Errorf(identity.CodeTeamsTokenRejected,
			"Microsoft refused the Teams user's token. It may have been revoked, or belong to a user without a Teams licence.")
	case e.Status == http.StatusBadRequest && target == "appid":
		t = identity.Errorf(identity.CodeTeamsTokenWrongClient, "The Teams user's token was issued to another application.")
	case e.Status == http.StatusBadRequest && target == "userid":
		t = identity.Errorf(identity.CodeTeamsTokenWrongUser, "The Teams user's token was issued for another user.")
	default:
		return nil
	}
	return t.Because(e)
}

// transportError is for requests that got no whole answer.
func transportError(ctx context.Context, op operation, err error) error {
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	cause := upstream.Brief(err)
	if op.creates && outcomeUnknown(nil, err) {
		return unavailable(fmt.Errorf("%w: %w", identity.ErrOutcomeUnknown, cause), 0)
	}
	if ctx.Err() == nil && errors.As(err, new(interface{ NonRetriable() })) { // a credential got no token
		return identity.Errorf(identity.CodeUpstreamRejected, "This service could not sign in to the communication service.").Because(cause)
	}
	return unavailable(cause, 0)
}

// afterwards is for a request that ACS has done: what was made is now unknown.
func (op operation) afterwards(err *identity.Error) error {
	if op.creates {
		err.Err = fmt.Errorf("%w: %w", identity.ErrOutcomeUnknown, err.Err)
	}
	return err
}

func unavailable(cause error, retryAfter time.Duration) *identity.Error {
	e := identity.Errorf(identity.CodeUpstreamUnavailable, "The communication service is not available just now.").Because(cause)
	e.RetryAfter = retryAfter
	return e
}

func unexpected(cause error) *identity.Error {
	return identity.Errorf(identity.CodeUpstreamRejected, "The communication service gave an unexpected answer.").Because(cause)
}
