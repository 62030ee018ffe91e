package tables

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"

	"acsauth/internal/identity"
	"acsauth/internal/upstream"
)

func unavailable(cause error) *identity.Error {
	return identity.Errorf(identity.CodeUpstreamUnavailable, "The mapping store is not available just now.").Because(cause)
}

func rejected(cause error) *identity.Error {
	return identity.Errorf(identity.CodeUpstreamRejected, "The mapping store refuses this service.").Because(cause)
}

// fail turns an error of the client into one of identity's. The client's own
// text has the URL, with a signature in its query, and the body of the answer:
// no part of it is kept, nor is the error itself wrapped.
func (s *Store) fail(ctx context.Context, op string, err error) error {
	var (
		answer    *azcore.ResponseError
		token     *tokenError
		transport *transportError
	)
	switch {
	case errors.As(err, &answer):
		return s.answered(op, answer)
	case ctx.Err() != nil:
		return unavailable(fmt.Errorf("%s at %s: %w", op, s.host, ctx.Err()))
	case errors.As(err, &token):
		cause := fmt.Errorf("%s at %s: the credential gave no token (%T)", op, s.host, token.err)
		if errors.As(token.err, new(interface{ NonRetriable() })) {
			return rejected(cause) // what azidentity says is final
		}
		return unavailable(cause)
	case errors.As(err, &transport):
		return unavailable(fmt.Errorf("%s at %s: %s", op, s.host, transport.reason()))
	}
	return rejected(fmt.Errorf("%s at %s: the answer is not a table service's", op, s.host))
}

func (s *Store) answered(op string, answer *azcore.ResponseError) error {
	switch status := answer.StatusCode; {
	case isMissing(answer):
		return identity.ErrNotFound
	case hasCode(answer, http.StatusConflict, aztables.EntityAlreadyExists):
		return identity.ErrExists
	case status == http.StatusPreconditionFailed:
		return identity.ErrVersion
	case status == http.StatusRequestTimeout, status == http.StatusTooManyRequests, status >= 500,
		hasCode(answer, http.StatusConflict, aztables.TableBeingDeleted): // which takes it some 40 s
		e := unavailable(s.refusal(op, answer))
		if answer.RawResponse != nil {
			e.RetryAfter = upstream.RetryAfter(answer.RawResponse.Header)
		}
		return e
	default:
		return rejected(s.refusal(op, answer))
	}
}

// errorCode is what the service's codes look like. Others are somebody's text.
var errorCode = regexp.MustCompile(`^[A-Za-z]+$`)

func (s *Store) refusal(op string, answer *azcore.ResponseError) error {
	code := "no error code"
	if len(answer.ErrorCode) <= 50 && errorCode.MatchString(answer.ErrorCode) {
		code = answer.ErrorCode
	}
	return fmt.Errorf("%s: %s answered %d (%s)", op, s.host, answer.StatusCode, code)
}

// isMissing reports a 404 of the table service itself: no such row or no such
// table. Any other server's 404 must not pass for "this user has no mapping".
func isMissing(err error) bool {
	return hasCode(err, http.StatusNotFound, aztables.ResourceNotFound, aztables.TableNotFound, aztables.EntityNotFound)
}

func hasCode(err error, status int, codes ...aztables.TableErrorCode) bool {
	var answer *azcore.ResponseError
	return errors.As(err, &answer) && answer.StatusCode == status &&
		slices.Contains(codes, aztables.TableErrorCode(answer.ErrorCode))
}

// marking wraps the transport's errors, so that fail can tell them from an answer
// that makes no sense.
type marking struct{ next upstream.Guard }

func (m marking) Do(req *http.Request) (*http.Response, error) {
	resp, err := m.next.Do(req)
	if err != nil {
		return nil, &transportError{err}
	}
	return resp, nil
}

type transportError struct{ err error }

func (e *transportError) Error() string { return "transport: " + e.reason() }
func (e *transportError) Unwrap() error { return e.err }

// reason is for the log: the parts of the error that quote neither the request
// nor the answer.
func (e *transportError) reason() string {
	var (
		op          *net.OpError
		certificate *tls.CertificateVerificationError
	)
	switch {
	case errors.As(e.err, &certificate):
		return certificate.Error()
	case errors.Is(e.err, context.DeadlineExceeded):
		return fmt.Sprintf("no answer within %v", tryTimeout)
	case errors.As(e.err, &op):
		return op.Error()
	case errors.Is(e.err, io.EOF), errors.Is(e.err, io.ErrUnexpectedEOF):
		return "the connection was closed before the answer was complete"
	}
	return "the connection failed"
}

// credential marks the errors of the caller's credential.
type credential struct{ next azcore.TokenCredential }

func (c credential) GetToken(ctx context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
	token, err := c.next.GetToken(ctx, o)
	if err != nil {
		return azcore.AccessToken{}, &tokenError{err}
	}
	return token, nil
}

type tokenError struct{ err error }

func (e *tokenError) Error() string { return "the credential gave no token" }
func (e *tokenError) Unwrap() error { return e.err }
