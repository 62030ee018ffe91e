package entraid

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// logout ends the browser's session, of one account when logout_hint names it,
// tells the apps of the session in hidden frames, and goes where it is asked to
// as long as that is a redirect URI of some app.
//
// Assumed: front-channel logout is called with parameters sid and iss; and nobody
// is asked which account to sign out, while Entra asks where there is no hint.
func (s *Server) logout(w http.ResponseWriter, r *http.Request, authority string) {
	if err := r.ParseForm(); err != nil {
		s.showError(w, r, malformedRequest())
		return
	}
	held := s.session(r)
	hint := r.Form.Get("logout_hint")
	left := slices.DeleteFunc(slices.Clone(held.Accounts), func(a account) bool {
		user, _ := s.User(a.TenantID, a.ObjectID)
		return hint == "" || strings.EqualFold(user.UPN, hint)
	})
	if hint != "" && len(left) > 0 {
		held.Accounts = left
		s.setCookie(w, s.seal(sealedSession, held))
	} else {
		s.setCookie(w, "")
	}
	p := page{Title: "You signed out of your account", Message: "It’s a good idea to close all browser windows."}
	for _, c := range s.clients {
		if c.LogoutURL != "" && slices.Contains(held.Clients, c.ID) {
			p.Frames = append(p.Frames, withQuery(c.LogoutURL, url.Values{"sid": {held.ID}, "iss": {s.issuerV2(authority)}}))
		}
	}
	p.Next = s.afterLogout(r.Form)
	if p.Next != "" && len(p.Frames) == 0 {
		http.Redirect(w, r, p.Next, http.StatusFound)
		return
	}
	s.showPage(w, http.StatusOK, p)
}

// afterLogout is where the app wants the user to go, if it may.
func (s *Server) afterLogout(form url.Values) string {
	target := form.Get("post_logout_redirect_uri")
	for _, c := range s.clients {
		if _, ok := c.redirection(target); !ok {
			continue
		}
		if state := form.Get("state"); state != "" {
			return withQuery(target, url.Values{"state": {state}})
		}
		return target
	}
	return ""
}

// withQuery adds parameters to a URL that is registered.
func withQuery(target string, more url.Values) string {
	u, err := url.Parse(target)
	if err != nil {
		return target
	}
	query := u.Query()
	for name, values := range more {
		query[name] = values
	}
	u.RawQuery = query.Encode()
	return u.String()
}
