package entra

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	msalerrors "github.com/AzureAD/microsoft-authentication-library-for-go/apps/errors"

	"acsauth/internal/identity"
	"acsauth/internal/upstream"
)

// stsError is a refusal by Entra ID's token endpoint, without its description,
// which quotes the request.
type stsError struct {
	status     int
	retryAfter time.Duration

	Code     string `json:"error"`
	Suberror string `json:"suberror"`
	Numbers  []int  `json:"error_codes"`
	Claims   string `json:"claims"`
	TraceID  string `json:"trace_id"`
}

func (e *stsError) Error() string {
	s := fmt.Sprintf("entra answered %d %s", e.status, upstream.Plain(e.Code))
	if e.Suberror != "" {
		s += "/" + upstream.Plain(e.Suberror)
	}
	for _, n := range e.Numbers[:min(len(e.Numbers), 3)] {
		s += fmt.Sprintf(" AADSTS%d", n)
	}
	if identity.IsGUID(e.TraceID) {
		s += " trace " + e.TraceID
	}
	return s
}

// refusal turns an error of MSAL into one for the caller. MSAL's own text holds
// the answer, tokens among it: no part of that is kept.
func (o *OnBehalfOf) refusal(err error, caller identity.Caller, scopes []string) *identity.Error {
	var (
		call      msalerrors.CallErr
		assertion *assertionError
		transport *transportError
	)
	switch {
	case errors.As(err, &assertion):
		return withoutAssertion(assertion)
	case errors.As(err, &call):
		return o.refused(newSTSError(call.Resp), caller, scopes)
	case errors.As(err, &transport):
		return unreachable(transport, 0)
	}
	return identity.Errorf(identity.CodeUpstreamRejected, "Microsoft Entra ID gave an unexpected answer.").Because(fmt.Errorf("entra: an answer that MSAL does not take (%T)", err))
}

func newSTSError(resp *http.Response) *stsError {
	e := &stsError{status: resp.StatusCode, retryAfter: upstream.RetryAfter(resp.Header)}
	_ = json.NewDecoder(resp.Body).Decode(e) // a proxy in between answers in HTML
	return e
}

// refused goes by what Entra ID's clients are told to go by: not the numbers.
// https://learn.microsoft.com/entra/identity-platform/reference-error-codes
func (o *OnBehalfOf) refused(e *stsError, caller identity.Caller, scopes []string) *identity.Error {
	switch {
	case e.status == http.StatusTooManyRequests, e.status == http.StatusRequestTimeout, e.status >= 500,
		e.Code == "temporarily_unavailable", e.Code == "server_error":
		return unreachable(e, e.retryAfter)
	case e.Suberror == "consent_required", e.Code == "consent_required":
		return identity.Errorf(identity.CodeConsentRequired, "Consent is missing: the user or an administrator has to allow this service %s.", strings.Join(scopes, " ")).Because(e)
	case e.Suberror == "message_only":
		return identity.Errorf(identity.CodeAccessBlocked, "A policy of the organization keeps this user from using the service.").Because(e)
	case e.Claims != "", e.Code == "interaction_required", e.Code == "login_required", e.Code == "invalid_grant":
		refusal := identity.Errorf(identity.CodeInteractionRequired, "The user has to sign in again.").Because(e)
		refusal.Challenge = identity.NewChallenge(o.authorityHost+"/"+caller.TenantID+"/oauth2/v2.0/authorize", e.Claims)
		return refusal
	}
	return identity.Errorf(identity.CodeUpstreamRejected, "Microsoft Entra ID refused this service's request.").Because(e)
}

func withoutAssertion(e *assertionError) *identity.Error {
	cause := fmt.Errorf("%w (%T)", e, e.err)
	if errors.As(e.err, new(interface{ NonRetriable() })) { // what azidentity says is final
		return identity.Errorf(identity.CodeUpstreamRejected, "This service could not prove itself to Microsoft Entra ID.").Because(cause)
	}
	return unreachable(cause, 0)
}

func unreachable(cause error, retryAfter time.Duration) *identity.Error {
	e := identity.Errorf(identity.CodeUpstreamUnavailable, "Microsoft Entra ID is not available just now.").Because(cause)
	e.RetryAfter = retryAfter
	return e
}

// worthRepeating: a 429 that does not say when is left alone.
func worthRepeating(err error, refusal *identity.Error) bool {
	var e *stsError
	throttled := errors.As(refusal, &e) && e.status == http.StatusTooManyRequests && e.retryAfter == 0
	return refusal.Code == identity.CodeUpstreamUnavailable && !throttled && !errors.As(err, new(*assertionError))
}
