package identity

import (
	"errors"
	"fmt"
	"time"
)

// Code is the machine-readable reason of an Error. Clients see it as the member
// "code" of a problem document, so a code, once published, keeps its meaning.
type Code string

const (
	CodeInvalidRequest       Code = "invalid_request"
	CodeInvalidScope         Code = "invalid_scope"
	CodeInvalidToken         Code = "invalid_token"
	CodeInsufficientScope    Code = "insufficient_scope"
	CodeUserTokenRequired    Code = "user_token_required"
	CodeTenantNotAllowed     Code = "tenant_not_allowed"
	CodeClientNotAllowed     Code = "client_not_allowed"
	CodeInteractionRequired  Code = "interaction_required"
	CodeConsentRequired      Code = "consent_required"
	CodeAccessBlocked        Code = "access_blocked"
	CodeIdentityNotFound     Code = "identity_not_found"
	CodeNotFound             Code = "not_found"
	CodeMethodNotAllowed     Code = "method_not_allowed"
	CodeBodyTooLarge         Code = "body_too_large"
	CodeUnsupportedMediaType Code = "unsupported_media_type"
	CodeRateLimited          Code = "rate_limited"
	CodeUpstreamRejected     Code = "upstream_rejected"
	CodeUpstreamUnavailable  Code = "upstream_unavailable"
	CodeInternal             Code = "internal"

	// The Teams user's token can't be exchanged; the code says why.
	CodeTeamsTokenMalformed     Code = "teams_token_malformed"
	CodeTeamsTokenWrongAudience Code = "teams_token_wrong_audience"
	CodeTeamsTokenWrongUser     Code = "teams_token_wrong_user"
	CodeTeamsTokenWrongTenant   Code = "teams_token_wrong_tenant"
	CodeTeamsTokenWrongClient   Code = "teams_token_wrong_client"
	CodeTeamsTokenWrongScope    Code = "teams_token_wrong_scope"
	CodeTeamsTokenExpired       Code = "teams_token_expired"
	CodeTeamsTokenNotAssigned   Code = "teams_token_not_assigned"
	CodeTeamsTokenRejected      Code = "teams_token_rejected"
)

// Error is a failure that a client may be told of. An error that is none is
// CodeInternal.
type Error struct {
	Code       Code
	Detail     string        // one sentence for the caller; never holds input, secrets or an upstream's words
	RetryAfter time.Duration // when to try again; zero where waiting does not help or nobody knows
	Challenge  Challenge     // with CodeInteractionRequired
	Err        error         // the cause, for the log alone
}

// Errorf returns an Error whose detail is the formatted text.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Detail: fmt.Sprintf(format, args...)}
}

// Because returns e with cause as its Err.
func (e *Error) Because(cause error) *Error {
	e.Err = cause
	return e
}

func (e *Error) Error() string {
	s := string(e.Code)
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// CodeOf returns the code of the Error in err's tree, else CodeInternal.
func CodeOf(err error) Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return CodeInternal
}

var (
	// ErrNotFound: the user has no mapping.
	ErrNotFound = errors.New("no such mapping")
	// ErrExists: the user has a mapping already.
	ErrExists = errors.New("the user has a mapping already")
	// ErrClaimed: the ACS identity is another user's.
	ErrClaimed = errors.New("the ACS identity is another user's")
	// ErrUnclaimed: the ACS identity has not been entered as anybody's.
	ErrUnclaimed = errors.New("the ACS identity is not recorded as anybody's")
	// ErrRetired: the ACS identity is nobody's any more.
	ErrRetired = errors.New("the ACS identity has been erased, or a note says that it is to be")
	// ErrVersion: the mapping has changed since it was read.
	ErrVersion = errors.New("the mapping has changed since it was read")
	// ErrNeedsCaller: the store takes only the user's own word for what is asked,
	// and the context carries no call of that user.
	ErrNeedsCaller = errors.New("the store can be asked on behalf of the user alone")
	// ErrUnordered: the store lists its mappings in no order.
	ErrUnordered = errors.New("the store lists in no order, so a list can't begin in the middle")
	// ErrUnknownIdentity: ACS does not know the identity, or no longer.
	ErrUnknownIdentity = errors.New("no such ACS identity")
	// ErrNoCredentials: the request carries no access token at all.
	ErrNoCredentials = errors.New("no access token")
	// ErrBadCredentials: the request carries more than one access token, or one
	// in a form that can't be read.
	ErrBadCredentials = errors.New("mangled credentials")
	// ErrOutcomeUnknown: the request left, the answer never came.
	ErrOutcomeUnknown = errors.New("request was sent but its outcome is not known")
)
