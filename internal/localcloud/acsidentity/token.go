package acsidentity

import (
	"strconv"
	"strings"
	"time"

	"acsauth/internal/identity"
	"acsauth/internal/localcloud/wire"
)

// expiresOnFormat is how .NET writes a time: seven digits and a numeric offset.
const expiresOnFormat = "2006-01-02T15:04:05.0000000-07:00"

// accessToken is the body that carries a token.
type accessToken struct {
	Token     string `json:"token"`
	ExpiresOn string `json:"expiresOn"`
}

// newIdentityID returns a communication user id. The user part must not hold an
// underscore, or clients take it for a Teams Phone Extensibility user.
func (s *Server) newIdentityID() string { return "8:acs:" + s.resourceID + "_" + wire.NewGUID() }

// mint makes a token for the user with the given communication user id.
// Microsoft asks not to depend on the form; this is one that was seen.
func (s *Server) mint(userID string, scopes []string, expires time.Time) (token string, body accessToken) {
	now := s.now()
	token = s.signer.Sign(map[string]any{"x5t": s.signer.ID}, map[string]any{
		"skypeid":    strings.TrimPrefix(userID, "8:"),
		"scp":        1792,
		"csi":        strconv.FormatInt(now.Unix(), 10),
		"exp":        expires.Unix(),
		"acsScope":   strings.Join(scopes, ","),
		"resourceId": s.resourceID,
		"iat":        now.Unix(),
		// Assumed: no claim of this name has been seen. It tells two tokens of
		// one second apart.
		"jti": wire.NewGUID(),
	})
	return token, accessToken{Token: token, ExpiresOn: expires.UTC().Format(expiresOnFormat)}
}

// issueFor makes and remembers a token of an identity, or finds that it is gone.
func (s *Server) issueFor(id string, scopes []string, minutes *int) (accessToken, *apiError) {
	if !s.state.exists(id) {
		return accessToken{}, unknownIdentity()
	}
	lifetime := identity.MaxExpiresIn
	if minutes != nil {
		lifetime = time.Duration(*minutes) * time.Minute
	}
	expires := s.now().Add(lifetime)
	token, body := s.mint(id, scopes, expires)
	if !s.state.keep(token, id, expires) {
		return accessToken{}, unknownIdentity() // deleted in between
	}
	return body, nil
}
