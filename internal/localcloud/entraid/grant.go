package entraid

import (
	"fmt"
	"time"

	"acsauth/internal/localcloud/wire"
)

const codeLifetime = 10 * time.Minute

// Refresh tokens live for 90 days, and longer when they are used. Those of a
// single-page app live for 24 hours, and so do those that come of them:
// https://learn.microsoft.com/entra/identity-platform/refresh-tokens.
const (
	refreshLifetime    = 90 * 24 * time.Hour
	refreshLifetimeSPA = 24 * time.Hour
)

// platform is where a client app runs, by the redirect URI that it used.
type platform string

const (
	platformSPA    platform = "spa"
	platformWeb    platform = "web"
	platformNative platform = "native"
)

// grant is what a sign-in has allowed. It is inside an authorization code, and
// then inside the refresh tokens that come of it.
type grant struct {
	TenantID, ObjectID string // the user
	ClientID           string
	Scopes             []string // as the authorization request listed them
	Platform           platform
	SteppedUp          bool // the user has given a second factor
	Generation         int  // of the user's sign-ins: see revocation
	Issued, Expires    time.Time

	// Of a code alone.
	ID          string `json:",omitempty"`
	RedirectURI string `json:",omitempty"`
	Challenge   string `json:",omitempty"` // PKCE; empty without
	Plain       bool   `json:",omitempty"` // PKCE method
	Nonce       string `json:",omitempty"`
}

// newGrant is a grant of user that begins now.
func (s *Server) newGrant(user User, clientID string, scopes []string, lifetime time.Duration) grant {
	return grant{
		TenantID: user.TenantID, ObjectID: user.ObjectID, ClientID: clientID, Scopes: scopes,
		Generation: s.revocationOf(user.key()).Generation, Issued: s.now(), Expires: s.now().Add(lifetime),
	}
}

func (s *Server) newCode(g grant) (code string) {
	g.ID = wire.NewGUID()
	return s.seal(sealedCode, g)
}

// redeem gives out a code's grant once. An attempt that fails later on, by a
// wrong verifier for one, has used the code up too.
func (s *Server) redeem(code string) (grant, *stsError) {
	var g grant
	if err := s.unseal(sealedCode, code, &g); err != nil {
		return grant{}, invalidGrant(9002313, "Invalid request. Request is malformed or invalid.")
	}
	if s.expired(g.Expires) {
		return grant{}, invalidGrant(70008, "The provided authorization code or refresh token has expired due to inactivity. Send a new interactive authorization request for this user and resource.")
	}
	if already, _ := s.redeemed.ContainsOrAdd(g.ID, true); already {
		return grant{}, invalidGrant(54005, "OAuth2 Authorization code was already redeemed, please retry with a new valid code or use an existing refresh token.")
	}
	return g, s.revoked(g)
}

func (s *Server) newRefreshToken(g grant) (token string) { return s.seal(sealedRefresh, g) }

// refreshable returns the grant behind a refresh token. Using one leads to a new
// one; the old one stays good until it expires, as at Entra.
func (s *Server) refreshable(token, clientID string) (grant, *stsError) {
	var g grant
	err := s.unseal(sealedRefresh, token, &g)
	switch {
	case err != nil:
		return grant{}, invalidGrant(9002313, "Invalid request. Request is malformed or invalid.")
	case g.ClientID != clientID:
		return grant{}, invalidGrant(700007, "The refresh token was issued to another client.")
	case s.expired(g.Expires) && g.Platform == platformSPA:
		e := invalidGrant(700084, fmt.Sprintf("The refresh token was issued to a single page app (SPA), and therefore has a fixed, limited lifetime of 1.00:00:00, which cannot be extended. It is now expired and a new sign in request must be sent by the SPA to the sign in page. The token was issued on %s.", dotNetTime(g.Issued)))
		e.suberror = "bad_token"
		return grant{}, e
	case s.expired(g.Expires):
		return grant{}, invalidGrant(700082, fmt.Sprintf("The refresh token has expired due to inactivity. The token was issued on %s and was inactive for 90.00:00:00.", dotNetTime(g.Issued)))
	}
	return g, s.revoked(g)
}

// dotNetTime is the form of times in Entra's sentences.
func dotNetTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.0000000Z") }

// revocation is how often a user's sign-ins were ended, and when last.
type revocation struct {
	Generation int
	At         time.Time
}

// RevokeRefreshTokens ends every refresh token and browser session of the user,
// as signing out everywhere does. Access tokens stay good.
func (s *Server) RevokeRefreshTokens(user User) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.revocations[user.key()] = revocation{Generation: s.revocations[user.key()].Generation + 1, At: s.now()}
}

func (s *Server) revocationOf(k userKey) revocation {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.revocations[k]
}

// revoked refuses a grant that was ended.
func (s *Server) revoked(g grant) *stsError {
	r := s.revocationOf(userKey{g.TenantID, g.ObjectID})
	if g.Generation >= r.Generation {
		return nil
	}
	return invalidGrant(50173, fmt.Sprintf("The provided grant has expired due to it being revoked, a fresh auth token is needed. The user might have changed or reset their password. The grant was issued on '%s' and the TokensValidFrom date (before which tokens are not valid) for this user is '%s'.", dotNetTime(g.Issued), dotNetTime(r.At)))
}

// expired reports whether t has come.
func (s *Server) expired(t time.Time) bool { return !s.now().Before(t) }
