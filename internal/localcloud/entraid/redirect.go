package entraid

import (
	"net/http"
	"net/url"
	"slices"
)

// redirection finds the platform that a redirect URI is registered for.
func (c Client) redirection(uri string) (platform, bool) {
	for _, of := range []struct {
		platform platform
		uris     []string
	}{{platformSPA, c.RedirectURIs}, {platformWeb, c.WebRedirectURIs}, {platformNative, c.NativeRedirectURIs}} {
		for _, registered := range of.uris {
			if sameRedirect(registered, uri) {
				return of.platform, true
			}
		}
	}
	return "", false
}

// onlyRedirect is the app's redirect URI when there is just one.
func (c Client) onlyRedirect() string {
	all := slices.Concat(c.RedirectURIs, c.WebRedirectURIs, c.NativeRedirectURIs)
	if len(all) != 1 {
		return ""
	}
	return all[0]
}

// sameRedirect compares as Entra does: any port of this machine is as good as
// another, and an empty path is as good as "/".
//
// Assumed: the port of a redirect URI does not count for 127.0.0.1 either, as it
// does not for localhost.
func sameRedirect(registered, uri string) bool {
	if registered == uri {
		return uri != ""
	}
	a, err := url.Parse(registered)
	if err != nil {
		return false
	}
	b, err := url.Parse(uri)
	if err != nil || b.User != nil || b.Fragment != "" || b.Opaque != "" {
		return false
	}
	for _, u := range []*url.URL{a, b} {
		if host := u.Hostname(); u.Scheme == "http" && (host == "localhost" || host == "127.0.0.1") {
			u.Host = host
		}
		if u.Path == "" {
			u.Path = "/"
		}
	}
	return a.String() == b.String()
}

// How an answer gets back to the client app.
const (
	modeQuery    = "query"
	modeFragment = "fragment"
	modeFormPost = "form_post"
)

// send takes the user back to the client app.
func (s *Server) send(w http.ResponseWriter, r *http.Request, a authorization, answer url.Values) {
	if a.state != "" {
		answer.Set("state", a.state)
	}
	target, err := url.Parse(a.redirectURI)
	if err != nil {
		panic(err) // it equals a registered one
	}
	if target.Path == "" {
		target.Path = "/"
	}
	switch a.mode {
	case modeFragment:
		// Escaped once, by Encode: URL.String would escape again.
		http.Redirect(w, r, target.String()+"#"+answer.Encode(), http.StatusFound)
	case modeFormPost:
		s.showPage(w, http.StatusOK, page{Title: "Working…", Action: target.String(), Hidden: pairs(answer), Submit: true})
	default:
		http.Redirect(w, r, withQuery(target.String(), answer), http.StatusFound)
	}
}

// sendError tells the client app why the user could not be signed in.
func (s *Server) sendError(w http.ResponseWriter, r *http.Request, a authorization, e *stsError) {
	trace, correlation, at := s.traced(r)
	s.logRefusal(r, e, correlation)
	answer := url.Values{
		"error":             {e.code},
		"error_description": {describe(e, trace, correlation, at)},
		"error_uri":         {s.errorURI(e)},
	}
	if e.subcode != "" {
		answer.Set("error_subcode", e.subcode)
	}
	if e.suberror != "" {
		answer.Set("suberror", e.suberror)
	}
	if e.claims != "" {
		answer.Set("claims", e.claims)
	}
	s.send(w, r, a, answer)
}
