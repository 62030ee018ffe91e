package entraid

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	sessionLifetime = 24 * time.Hour
	// A session cookie has to fit into what browsers keep.
	maxAccounts       = 5
	maxSessionClients = 10
)

// session is what the browser's cookie says: who has signed in.
type session struct {
	ID       string
	Accounts []account
	Clients  []string // apps that were signed in to
}

type account struct {
	TenantID, ObjectID string
	SteppedUp          bool
	Generation         int // see revocation
	Expires            time.Time
}

// session reads the browser's cookie and keeps of it what still holds.
func (s *Server) session(r *http.Request) session {
	var held session
	for _, c := range r.CookiesNamed(s.cookie) {
		if s.unseal(sealedSession, c.Value, &held) == nil {
			break
		}
	}
	held.Accounts = slices.DeleteFunc(held.Accounts, func(a account) bool {
		_, known := s.User(a.TenantID, a.ObjectID)
		return !known || s.expired(a.Expires) || a.Generation < s.revocationOf(userKey{a.TenantID, a.ObjectID}).Generation
	})
	return held
}

// account finds the user's place in the session.
func (held session) account(user User) (account, bool) {
	i := slices.IndexFunc(held.Accounts, func(a account) bool { return a.TenantID == user.TenantID && a.ObjectID == user.ObjectID })
	if i < 0 {
		return account{}, false
	}
	return held.Accounts[i], true
}

// remember puts the user and the app into the browser's session.
func (s *Server) remember(w http.ResponseWriter, held session, user User, clientID string, steppedUp bool) {
	old, _ := held.account(user)
	held.Accounts = slices.DeleteFunc(held.Accounts, func(a account) bool { return a == old })
	held.Accounts = append(held.Accounts, account{
		TenantID: user.TenantID, ObjectID: user.ObjectID, SteppedUp: steppedUp || old.SteppedUp,
		Generation: s.revocationOf(user.key()).Generation, Expires: s.now().Add(sessionLifetime),
	})
	held.Accounts = held.Accounts[max(0, len(held.Accounts)-maxAccounts):]
	if !slices.Contains(held.Clients, clientID) {
		held.Clients = append(held.Clients, clientID)
		held.Clients = held.Clients[max(0, len(held.Clients)-maxSessionClients):]
	}
	s.setCookie(w, s.seal(sealedSession, held))
}

// setCookie sets the session cookie; an empty value takes it away. Pages of
// other sites that hold a sign-in frame have to get it too, which browsers allow
// over TLS alone.
func (s *Server) setCookie(w http.ResponseWriter, value string) {
	c := &http.Cookie{Name: s.cookie, Value: value, Path: "/", HttpOnly: true}
	if strings.HasPrefix(s.baseURL, "https:") {
		c.Secure, c.SameSite = true, http.SameSiteNoneMode
	}
	if value == "" {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}
