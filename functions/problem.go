package functions

import (
	"context"
	"encoding/base64"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"acsauth/internal/identity"
)

// problem is an error on the wire: RFC 9457.
type problem struct {
	Type      string        `json:"type"`
	Title     string        `json:"title"`
	Status    int           `json:"status"`
	Detail    string        `json:"detail,omitempty"`
	Code      identity.Code `json:"code"`
	RequestID string        `json:"requestId"`
	// Claims is the JSON that WWW-Authenticate has too, in base64. Browsers show
	// scripts a header only where CORS exposes it; the platform's CORS does not.
	Claims string `json:"claims,omitempty"`
}

// problemType and a code make the type URI of a problem.
const problemType = "urn:acsauth:problem:"

type kind struct {
	status int
	title  string
}

var badTeamsToken = kind{http.StatusBadRequest, "The Teams user's token can't be exchanged"}

// byCode is what HTTP makes of each code. Nothing changes it.
var byCode = map[identity.Code]kind{
	identity.CodeInvalidRequest:          {http.StatusBadRequest, "The request is malformed"},
	identity.CodeInvalidScope:            {http.StatusBadRequest, "The scopes can't be granted"},
	identity.CodeTeamsTokenMalformed:     badTeamsToken,
	identity.CodeTeamsTokenWrongAudience: badTeamsToken,
	identity.CodeTeamsTokenWrongUser:     badTeamsToken,
	identity.CodeTeamsTokenWrongTenant:   badTeamsToken,
	identity.CodeTeamsTokenWrongClient:   badTeamsToken,
	identity.CodeTeamsTokenWrongScope:    badTeamsToken,
	identity.CodeTeamsTokenExpired:       badTeamsToken,
	identity.CodeTeamsTokenNotAssigned:   badTeamsToken,
	identity.CodeTeamsTokenRejected:      badTeamsToken,
	identity.CodeInvalidToken:            {http.StatusUnauthorized, "A valid access token is needed"},
	identity.CodeInsufficientScope:       {http.StatusForbidden, "The access token lacks a scope"},
	identity.CodeUserTokenRequired:       {http.StatusForbidden, "An access token of a user is needed"},
	identity.CodeTenantNotAllowed:        {http.StatusForbidden, "The tenant may not call this API"},
	identity.CodeClientNotAllowed:        {http.StatusForbidden, "The client application may not call this API"},
	identity.CodeInteractionRequired:     {http.StatusUnauthorized, "The user has to sign in again"},
	identity.CodeConsentRequired:         {http.StatusForbidden, "Consent is missing"},
	identity.CodeAccessBlocked:           {http.StatusForbidden, "The organization or the user's profile blocks the user"},
	identity.CodeIdentityNotFound:        {http.StatusNotFound, "There is no communication identity"},
	identity.CodeNotFound:                {http.StatusNotFound, "There is nothing here"},
	identity.CodeMethodNotAllowed:        {http.StatusMethodNotAllowed, "The method is not served here"},
	identity.CodeBodyTooLarge:            {http.StatusRequestEntityTooLarge, "The request body is too large"},
	identity.CodeUnsupportedMediaType:    {http.StatusUnsupportedMediaType, "The media type is not supported"},
	identity.CodeRateLimited:             {http.StatusTooManyRequests, "Too many calls"},
	identity.CodeUpstreamRejected:        {http.StatusBadGateway, "An upstream service refused this service"},
	identity.CodeUpstreamUnavailable:     {http.StatusServiceUnavailable, "An upstream service is not available"},
	identity.CodeInternal:                {http.StatusInternalServerError, "Something went wrong in this service"},
}

// fail answers with a problem document, or with an error of the hero samples.
func (c *call) fail(a *app, err error) {
	c.drain()
	e := publicError(err)
	k := byCode[e.Code]
	c.code, c.err = e.Code, err
	h := c.w.Header()
	if challenge := a.challenge(e); challenge != "" {
		h.Set("WWW-Authenticate", challenge)
	}
	if k.status == http.StatusServiceUnavailable || k.status == http.StatusTooManyRequests {
		h.Set("Retry-After", strconv.Itoa(wholeSeconds(e.RetryAfter)))
	}
	if c.hero {
		err = c.json(k.status, heroError{Code: k.status, Message: e.Detail, Claims: e.Challenge.Claims})
	} else {
		err = c.write(k.status, "application/problem+json", problem{
			Type: problemType + string(e.Code), Title: k.title, Status: k.status, Detail: e.Detail, Code: e.Code, RequestID: c.id, Claims: e.Challenge.Claims,
		})
	}
	if err != nil {
		panic(err) // both always encode
	}
}

// publicError is what the client is told of err.
func publicError(err error) *identity.Error {
	var e *identity.Error
	if errors.As(err, &e) {
		if _, known := byCode[e.Code]; known {
			return e
		}
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return identity.Errorf(identity.CodeUpstreamUnavailable, "The request took too long.")
	}
	return identity.Errorf(identity.CodeInternal, "The log has the details under the request id.")
}

// wholeSeconds rounds up and is at least one.
func wholeSeconds(d time.Duration) int { return max(1, int(math.Ceil(d.Seconds()))) }

// challenge is the WWW-Authenticate header of RFC 6750 §3 that goes with e; empty
// for errors that concern no credentials.
func (a *app) challenge(e *identity.Error) string {
	bare := `Bearer realm="acsauth"`
	if a.metadata.url != "" {
		bare += `, resource_metadata="` + a.metadata.url + `"`
	}
	var code string
	switch {
	case errors.Is(e, identity.ErrNoCredentials):
		return bare
	case errors.Is(e, identity.ErrBadCredentials):
		code = "invalid_request"
	case e.Code == identity.CodeInvalidToken:
		code = "invalid_token"
	case e.Code == identity.CodeInteractionRequired:
		return bare + interaction(e)
	case e.Code == identity.CodeConsentRequired:
		code = "insufficient_scope"
	case e.Code == identity.CodeInsufficientScope, e.Code == identity.CodeUserTokenRequired:
		return bare + `, error="insufficient_scope", error_description="` + quotable(e.Detail) + `", scope="` + a.RequiredScope + `"`
	case e.Code == identity.CodeTenantNotAllowed, e.Code == identity.CodeClientNotAllowed, e.Code == identity.CodeAccessBlocked:
		code = "access_denied"
	default:
		return ""
	}
	return bare + `, error="` + code + `", error_description="` + quotable(e.Detail) + `"`
}

// interaction continues a challenge in the dialect of Entra ID's clients: what
// claims holds goes into the claims of their next token request.
func interaction(e *identity.Error) string {
	var s string
	code := "invalid_token"
	if e.Challenge.AuthorizationURI != "" {
		s += `, authorization_uri="` + quotable(e.Challenge.AuthorizationURI) + `"`
	}
	if claims := e.Challenge.Claims; claims != "" {
		// Many clients split the header at "=": spaces, which JSON allows, take
		// the place of base64's padding.
		claims += strings.Repeat(" ", (3-len(claims)%3)%3)
		s += `, claims="` + base64.StdEncoding.EncodeToString([]byte(claims)) + `"`
		code = "insufficient_claims"
	}
	return s + `, error="` + code + `", error_description="` + quotable(e.Detail) + `"`
}

// quotable drops what would end a quoted string, and commas, at which some
// clients split the header whatever is around them.
func quotable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '"' || r == '\\' || r == ',' || r < ' ' || r > '~' {
			return -1
		}
		return r
	}, s)
}
