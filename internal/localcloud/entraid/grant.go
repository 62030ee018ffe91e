package entraid

import "time"

const codeLifetime = 10 * time.Minute

// Refresh tokens live for 90 days, but for 24 hours in a single-page app:
// https://learn.microsoft.com/entra/identity-platform/refresh-tokens. A public
// client counts as a single-page app here.
const (
	refreshLifetime    = 90 * 24 * time.Hour
	refreshLifetimeSPA = 24 * time.Hour
)

// grant is what a sign-in has allowed: behind an authorization code, and then
// behind the refresh tokens that come of it.
type grant struct {
	user     User
	clientID string
	scopes   []string // as the authorization request listed them
	// steppedUp: the user has given a second factor.
	steppedUp bool
	expires   time.Time

	// Of a code alone.
	redirectURI string
	challenge   string // PKCE, method S256; empty without
	nonce       string
	redeemed    bool
}

func (s *Server) newCode(g grant) (code string) {
	g.expires = s.now().Add(codeLifetime)
	return s.keep(s.codes, &g)
}

func (s *Server) newRefreshToken(g grant) (token string) {
	return s.keep(s.refreshTokens, &g)
}

// keep files g under a new name and clears out what has expired.
func (s *Server) keep(where map[string]*grant, g *grant) (name string) {
	name = "1." + randomText(64)
	s.mu.Lock()
	defer s.mu.Unlock()
	for old, held := range where {
		// An expired code stays a while, so that a late client is told why.
		if s.expired(held.expires.Add(time.Hour)) {
			delete(where, old)
		}
	}
	where[name] = g
	return name
}

// redeem gives out a code's grant once. An attempt that fails later on, by a
// wrong verifier for one, has used the code up too.
func (s *Server) redeem(code string) (grant, *stsError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, ok := s.codes[code]
	switch {
	case !ok:
		return grant{}, invalidGrant(70000, "The provided value for the 'code' parameter is not valid.")
	case g.redeemed:
		return grant{}, invalidGrant(54005, "OAuth2 Authorization code was already redeemed, please retry with a new valid code or use an existing refresh token.")
	case s.expired(g.expires):
		return grant{}, invalidGrant(70008, "The provided authorization code or refresh token has expired due to inactivity. Send a new interactive authorization request for this user and resource.")
	}
	g.redeemed = true
	return *g, nil
}

// refreshable returns the grant behind a refresh token. Using one leads to a new
// one; the old one stays good until it expires, as at Entra.
func (s *Server) refreshable(token, clientID string) (grant, *stsError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, ok := s.refreshTokens[token]
	switch {
	case !ok:
		return grant{}, invalidGrant(70000, "The provided value for the 'refresh_token' parameter is not valid.")
	case g.clientID != clientID:
		return grant{}, invalidGrant(700007, "The refresh token was issued to another client.")
	case s.expired(g.expires):
		return grant{}, invalidGrant(700082, "The refresh token has expired due to inactivity or age. Send a new interactive authorization request for this user and resource.")
	}
	return *g, nil
}

// RevokeRefreshTokens ends every refresh token of the user, as signing out
// everywhere does.
func (s *Server) RevokeRefreshTokens(user User) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for token, g := range s.refreshTokens {
		if g.user.TenantID == user.TenantID && g.user.ObjectID == user.ObjectID {
			delete(s.refreshTokens, token)
		}
	}
}

// expired reports whether t has come.
func (s *Server) expired(t time.Time) bool { return !s.now().Before(t) }
