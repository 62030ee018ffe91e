package acsidentity

import (
	"crypto/rsa"
	"fmt"
	"slices"
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

// What begins the ids of the resource's users, and of users of Teams.
const (
	acsPrefix   = "8:acs:"
	teamsPrefix = "8:orgid:"
)

// newIdentityID returns a communication user id. The user part must not hold an
// underscore, or clients take it for a Teams Phone Extensibility user.
func (s *Server) newIdentityID() string { return acsPrefix + s.ResourceID() + "_" + wire.NewGUID() }

// mint makes the token of that number for the user with the given communication
// user id. Microsoft asks not to depend on the form; this is one that was seen.
func (s *Server) mint(userID string, scopes []string, expires time.Time, number int64) accessToken {
	now, a := s.now(), s.account.Load()
	token := a.signer.Sign(map[string]any{"x5t": a.signer.ID}, map[string]any{
		"skypeid": strings.TrimPrefix(userID, "8:"),
		"scp":     1792,
		"csi":     strconv.FormatInt(now.Unix(), 10),
		"exp":     expires.Unix(),
		// Assumed: a scope that is asked for twice is in the token once.
		"acsScope":   strings.Join(unique(scopes), ","),
		"resourceId": a.id,
		"iat":        now.Unix(),
		// Assumed: tokens have a claim jti. None has been seen; it tells two of
		// one second apart.
		"jti": tokenID(number),
	})
	return accessToken{Token: token, ExpiresOn: expires.UTC().Format(expiresOnFormat)}
}

func unique(scopes []string) (once []string) {
	for _, scope := range scopes {
		if !slices.Contains(once, scope) {
			once = append(once, scope)
		}
	}
	return once
}

// tokenID hides the number of a token in a GUID.
func tokenID(number int64) string { return wire.NewGUID()[:24] + fmt.Sprintf("%012x", number) }

// issueFor makes a token of an identity, or finds that it is gone.
func (s *Server) issueFor(id string, scopes []string, minutes *int) (accessToken, *apiError) {
	number, ok := s.state.nextToken(id, s.now())
	if !ok {
		return accessToken{}, unknownIdentity()
	}
	lifetime := identity.MaxExpiresIn
	if minutes != nil {
		lifetime = time.Duration(*minutes) * time.Minute
	}
	return s.mint(id, scopes, s.now().Add(lifetime), number), nil
}

// TokenActive reports whether a token was issued here and is still good: not
// expired, not revoked, its identity not deleted. Revoking works at once here;
// the real service takes up to 15 minutes.
func (s *Server) TokenActive(token string) bool {
	claims, err := wire.Verify(token, func(kid string) *rsa.PublicKey {
		if signer := s.account.Load().signer; kid == signer.ID {
			return signer.Public()
		}
		return nil
	})
	if err != nil {
		return false
	}
	expires, _ := claims["exp"].(float64)
	if !s.now().Before(time.Unix(int64(expires), 0)) {
		return false
	}
	user, _ := claims["skypeid"].(string)
	id := "8:" + user
	if strings.HasPrefix(id, teamsPrefix) {
		return true // no identity of this resource, and nothing revokes it
	}
	jti, _ := claims["jti"].(string)
	number, err := strconv.ParseInt(jti[max(0, len(jti)-12):], 16, 64)
	r, ok := s.state.find(id)
	return err == nil && ok && number > r.ValidFrom
}
