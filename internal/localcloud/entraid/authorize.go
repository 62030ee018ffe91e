package entraid

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"acsauth/internal/localcloud/wire"
)

// authorization is a request to sign a user in, as far as it has been checked.
type authorization struct {
	client      Client
	redirectURI string
	fragment    bool // response_mode
	state       string
	clientInfo  bool
	grant       grant
}

// authorize serves the sign-in: a page with the users to choose from, or with
// prompt=none and a login_hint no page at all.
func (s *Server) authorize(w http.ResponseWriter, r *http.Request, tenant string) {
	w.Header().Set("Cache-Control", "no-store, no-cache")
	if err := r.ParseForm(); err != nil {
		s.showError(w, r, &stsError{code: "invalid_request", number: 9000410, message: "The request is malformed."})
		return
	}
	a, refusal := s.startAuthorization(r)
	if refusal != nil {
		// Where to send the user back to is not known or not to be trusted.
		s.showError(w, r, refusal)
		return
	}
	if refusal := s.checkAuthorization(r, &a); refusal != nil {
		s.sendError(w, r, a, refusal)
		return
	}
	users := s.usersAt(tenant)
	if r.Form.Get("prompt") == "none" {
		user, ok := find(users, func(u User) bool { return strings.EqualFold(u.UPN, r.Form.Get("login_hint")) })
		if !ok {
			s.sendError(w, r, a, &stsError{code: "login_required", number: 50058,
				message: "A silent sign-in request was sent but no user is signed in."})
			return
		}
		s.complete(w, r, a, user)
		return
	}
	if r.Method != http.MethodPost || !r.PostForm.Has(choiceField) {
		s.showUsers(w, r, a, users)
		return
	}
	choice := r.PostForm.Get(choiceField)
	if choice == "" {
		s.sendError(w, r, a, &stsError{code: "access_denied", number: 65004, message: "User declined to consent to access the app."})
		return
	}
	user, ok := find(users, func(u User) bool { return u.TenantID+"."+u.ObjectID == choice })
	if !ok {
		s.showError(w, r, invalidGrant(50034, "The user account does not exist in the directory."))
		return
	}
	s.complete(w, r, a, user)
}

// startAuthorization checks what decides where an error may be sent.
func (s *Server) startAuthorization(r *http.Request) (authorization, *stsError) {
	id, redirectURI := r.Form.Get("client_id"), r.Form.Get("redirect_uri")
	if id == "" {
		return authorization{}, missing("client_id")
	}
	client, ok := s.client(id)
	if !ok {
		return authorization{}, &stsError{code: "unauthorized_client", number: 700016,
			message: "Application with identifier '" + id + "' was not found in the directory."}
	}
	if redirectURI == "" && len(client.RedirectURIs) == 1 {
		redirectURI = client.RedirectURIs[0]
	}
	if !registered(client.RedirectURIs, redirectURI) {
		return authorization{}, &stsError{code: "invalid_request", number: 50011,
			message: "The redirect URI '" + redirectURI + "' specified in the request does not match the redirect URIs configured for the application '" + client.ID + "'."}
	}
	return authorization{
		client:      client,
		redirectURI: redirectURI,
		fragment:    r.Form.Get("response_mode") == "fragment",
		state:       r.Form.Get("state"),
		clientInfo:  r.Form.Get("client_info") == "1",
	}, nil
}

// registered reports whether uri is one of the client's.
func registered(uris []string, uri string) bool {
	if slices.Contains(uris, uri) && uri != "" {
		return true
	}
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "http" || u.Hostname() != "localhost" {
		return false
	}
	u.Host = "localhost"
	return slices.Contains(uris, strings.TrimSuffix(u.String(), "/"))
}

// checkAuthorization checks the rest: what it finds is told to the client app.
func (s *Server) checkAuthorization(r *http.Request, a *authorization) *stsError {
	form := r.Form
	if mode := form.Get("response_mode"); mode != "" && mode != "query" && mode != "fragment" {
		return &stsError{code: "invalid_request", number: 70007, message: "'" + mode + "' is not a supported value of 'response_mode'."}
	}
	if kind := form.Get("response_type"); kind == "" {
		return missing("response_type")
	} else if kind != "code" {
		return &stsError{code: "unsupported_response_type", number: 700054, message: "response_type '" + kind + "' is not enabled for the application."}
	}
	scopes := strings.Fields(form.Get("scope"))
	if len(scopes) == 0 {
		return missing("scope")
	}
	// Scopes of several resources may be consented to at once; a token is for
	// one.
	for _, scope := range scopes {
		if _, refusal := s.parseScopes([]string{scope}); refusal != nil {
			return refusal
		}
	}
	challenge, method := form.Get("code_challenge"), form.Get("code_challenge_method")
	switch {
	case challenge == "" && a.client.Secret.Empty():
		return &stsError{code: "invalid_request", number: 9002325, message: "Proof Key for Code Exchange is required for cross-origin authorization code redemption."}
	case challenge != "" && method != "S256":
		return &stsError{code: "invalid_request", number: 50147, message: "Invalid Code_Challenge parameter: only the method S256 is taken here."}
	case challenge != "" && len(challenge) != 43:
		return &stsError{code: "invalid_request", number: 501491, message: "Invalid size of Code_Challenge parameter."}
	}
	a.grant = grant{
		clientID:    a.client.ID,
		scopes:      scopes,
		redirectURI: a.redirectURI,
		challenge:   challenge,
		nonce:       form.Get("nonce"),
		steppedUp:   strings.Contains(form.Get("claims"), "polids"),
	}
	return nil
}

func (s *Server) complete(w http.ResponseWriter, r *http.Request, a authorization, user User) {
	a.grant.user = user
	for _, scope := range a.grant.scopes {
		if ss, refusal := s.parseScopes([]string{scope}); refusal == nil {
			s.consent(user, a.client, ss)
			named := len(ss.oidc) == 0
			a.grant.steppedUp = a.grant.steppedUp || named && ss.resource.microsoft && s.policyOf(user).StepUpRequired
		}
	}
	answer := url.Values{"code": {s.newCode(a.grant)}, "session_state": {wire.NewGUID()}}
	if a.clientInfo {
		answer.Set("client_info", clientInfo(user))
	}
	a.send(w, r, answer)
}

func (s *Server) sendError(w http.ResponseWriter, r *http.Request, a authorization, e *stsError) {
	trace, correlation, at := s.traced(r)
	s.logRefusal(r, e, correlation)
	a.send(w, r, url.Values{
		"error":             {e.code},
		"error_description": {describe(e, trace, correlation, at)},
	})
}

// send takes the user back to the client app.
func (a authorization) send(w http.ResponseWriter, r *http.Request, answer url.Values) {
	if a.state != "" {
		answer.Set("state", a.state)
	}
	target, err := url.Parse(a.redirectURI)
	if err != nil {
		panic(err) // it equals a registered one
	}
	if a.fragment {
		// Escaped once, by Encode: URL.String would escape again.
		http.Redirect(w, r, target.String()+"#"+answer.Encode(), http.StatusFound)
		return
	}
	query := target.Query()
	for name, values := range answer {
		query[name] = values
	}
	target.RawQuery = query.Encode()
	http.Redirect(w, r, target.String(), http.StatusFound)
}

// usersAt returns the users who can sign in at an authority.
func (s *Server) usersAt(authority string) []User {
	return slices.DeleteFunc(s.Users(), func(u User) bool { return !serves(authority, u.TenantID) })
}

func find(users []User, match func(User) bool) (User, bool) {
	if i := slices.IndexFunc(users, match); i >= 0 {
		return users[i], true
	}
	return User{}, false
}

// logout ends nothing, as there is no session, and goes where it is asked to as
// long as that is a redirect URI of some client app.
func (s *Server) logout(w http.ResponseWriter, r *http.Request, _ string) {
	target := r.FormValue("post_logout_redirect_uri")
	for _, c := range s.clients {
		if !registered(c.RedirectURIs, target) {
			continue
		}
		if state := r.FormValue("state"); state != "" {
			u, err := url.Parse(target)
			if err != nil {
				break
			}
			query := u.Query()
			query.Set("state", state)
			u.RawQuery = query.Encode()
			target = u.String()
		}
		http.Redirect(w, r, target, http.StatusFound)
		return
	}
	s.showPage(w, http.StatusOK, page{Title: "Signed out", Message: "You signed out of your account."})
}
