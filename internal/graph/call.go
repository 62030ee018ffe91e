package graph

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"

	"acsauth/internal/identity"
	"acsauth/internal/upstream"
)

// request is one request and what its failures mean.
type request struct {
	method, path string
	body         any
	creates      bool // so 400 and 409 are errRefusedCreate
}

// errRefusedCreate: the extension is there already, or Graph does not take it.
var errRefusedCreate = errors.New("graph refused to create the extension")

// Error is a refusal by Graph.
type Error struct {
	Status    int
	Code      string // Graph's own, such as ResourceNotFound
	RequestID string // which Microsoft's support asks for
}

// Error leaves Graph's message out: it may quote the request.
func (e *Error) Error() string {
	s := fmt.Sprintf("graph answered %d", e.Status)
	if e.Code != "" {
		s += " " + upstream.Plain(e.Code)
	}
	if identity.IsGUID(e.RequestID) {
		s += ", request-id " + e.RequestID
	}
	return s
}

// call makes a request on behalf of caller. answer takes the body where it is
// not nil.
func (s *Store) call(ctx context.Context, caller identity.Caller, r request, answer any) error {
	token, err := s.tokens.Token(ctx, caller, s.scopes)
	if err != nil {
		return tokenError(err)
	}
	resp, body, err := s.send(ctx, r, "Bearer "+token.Reveal())
	if err != nil {
		return err
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return refusal(r, resp, body)
	}
	if answer == nil {
		return nil
	}
	if err := json.Unmarshal(body, answer); err != nil && !isOfOneProperty(err) {
		return identity.Errorf(identity.CodeUpstreamRejected, "Microsoft Graph gave an unexpected answer.").Because(errors.New("graph: the answer is not the JSON that was expected"))
	}
	return nil
}

// isOfOneProperty tells a property of another type than expected, which its user may
// have given it and which stays empty, from an answer that makes no sense.
func isOfOneProperty(err error) bool {
	mismatch := (*json.UnmarshalTypeError)(nil)
	return errors.As(err, &mismatch) && mismatch.Field != ""
}

// Ping implements identity.Store. Without a user Graph says only that it is
// there: 401, in its own words.
func (s *Store) Ping(ctx context.Context) error {
	r := request{method: http.MethodGet, path: "/v1.0/me"}
	resp, body, err := s.send(ctx, r, "")
	if err != nil {
		return err
	}
	err = refusal(r, resp, body)
	var refused *Error
	if errors.As(err, &refused) && refused.Status == http.StatusUnauthorized && refused.Code != "" {
		return nil
	}
	return err
}

func (s *Store) send(ctx context.Context, r request, authorization string) (*http.Response, []byte, error) {
	req, err := runtime.NewRequest(ctx, r.method, s.endpoint+r.path)
	if err != nil {
		return nil, nil, err
	}
	req.Raw().Header.Set("Accept", "application/json")
	if authorization != "" {
		req.Raw().Header.Set("Authorization", authorization)
	}
	if r.body != nil {
		b, err := json.Marshal(r.body)
		if err != nil {
			return nil, nil, err
		}
		if err := req.SetBody(streaming.NopCloser(strings.NewReader(string(b))), "application/json"); err != nil {
			return nil, nil, err
		}
	}
	resp, err := s.pipeline.Do(req)
	if err != nil {
		return nil, nil, unavailable(ctx, err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, nil, unavailable(ctx, err)
	}
	return resp, body, nil
}

// tokenError gives what comes from a context the code that the Store promises.
func tokenError(err error) error {
	if e := (*identity.Error)(nil); errors.As(err, &e) {
		return err
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return notNow(err)
	}
	return err
}

func unavailable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return notNow(ctx.Err())
	}
	return notNow(upstream.Brief(err))
}

func notNow(cause error) *identity.Error {
	return identity.Errorf(identity.CodeUpstreamUnavailable, "Microsoft Graph is not available just now.").Because(cause)
}

// refusal turns an answer that is not 2xx into the error that the domain knows:
// https://learn.microsoft.com/graph/errors
func refusal(r request, resp *http.Response, body []byte) error {
	var a struct{ Error struct{ Code string } }
	_ = json.Unmarshal(body, &a) // a gateway in between answers in HTML
	e := &Error{resp.StatusCode, a.Error.Code, resp.Header.Get("request-id")}
	switch {
	case e.Status == http.StatusTooManyRequests, e.Status == http.StatusRequestTimeout, e.Status >= 500:
		err := notNow(e)
		err.RetryAfter = upstream.RetryAfter(resp.Header)
		return err
	case e.Status == http.StatusNotFound && e.Code == "ResourceNotFound":
		// Any other 404 is about the user, or a gateway's: it must not pass for a
		// user without a mapping.
		return fmt.Errorf("%w: %w", identity.ErrNotFound, e)
	case r.creates && e.Code != "" && (e.Status == http.StatusBadRequest || e.Status == http.StatusConflict):
		return fmt.Errorf("%w: %w", errRefusedCreate, e)
	case e.Status == http.StatusUnauthorized, e.Status == http.StatusForbidden:
		if challenge := challengeOf(resp.Header); challenge.Claims != "" {
			err := identity.Errorf(identity.CodeInteractionRequired, "The user has to sign in again.").Because(e)
			err.Challenge = challenge
			return err
		}
	}
	if e.Status == http.StatusForbidden && e.Code != "" {
		return identity.Errorf(identity.CodeAccessBlocked, "Microsoft Graph does not let this user keep data in their profile.").Because(e)
	}
	return identity.Errorf(identity.CodeUpstreamRejected, "Microsoft Graph refused this service's request.").Because(e)
}

var (
	claimsParameter        = regexp.MustCompile(`[ ,]claims="([A-Za-z0-9+/=_-]+)"`)
	authorizationParameter = regexp.MustCompile(`[ ,]authorization_uri="(https://[^"]+)"`)
)

// challengeOf reads the claims challenge of a resource, which has its claims in
// base64: https://learn.microsoft.com/entra/identity-platform/claims-challenge
func challengeOf(h http.Header) identity.Challenge {
	for _, header := range h.Values("WWW-Authenticate") {
		found := claimsParameter.FindStringSubmatch(header)
		if found == nil {
			continue
		}
		text := strings.TrimRight(strings.NewReplacer("-", "+", "_", "/").Replace(found[1]), "=")
		claims, err := base64.RawStdEncoding.DecodeString(text)
		if err != nil {
			continue
		}
		where := ""
		if found := authorizationParameter.FindStringSubmatch(header); found != nil {
			where = found[1]
		}
		return identity.NewChallenge(where, string(claims))
	}
	return identity.Challenge{}
}
