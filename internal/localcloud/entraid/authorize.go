package entraid

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"acsauth/internal/localcloud/wire"
)

// maxQuery bounds the query of a request to sign in.
//
// Assumed: a query of more than 16 KiB is too long; Entra has that error and
// publishes no bound.
const maxQuery = 16 << 10

// authorization is a request to sign a user in, as far as it has been checked.
type authorization struct {
	authority   string
	client      Client
	redirectURI string
	platform    platform
	mode        string // response_mode
	state       string
	clientInfo  bool

	scopes    []string
	prompt    string
	loginHint string
	challenge string
	plain     bool
	nonce     string
	stepUp    bool // a claims challenge asks for a second factor
}

// authorize serves the sign-in: pages to choose a user and to consent on, or no
// page at all where the browser's session will do.
func (s *Server) authorize(w http.ResponseWriter, r *http.Request, authority string) {
	w.Header().Set("Cache-Control", "no-store, no-cache")
	w.Header().Set("Pragma", "no-cache")
	if len(r.URL.RawQuery) > maxQuery {
		s.showError(w, r, &stsError{code: "invalid_request", number: 90015, message: "Requested query string is too long."})
		return
	}
	if err := r.ParseForm(); err != nil {
		s.showError(w, r, malformedRequest())
		return
	}
	a, refusal := s.startAuthorization(r, authority)
	if refusal != nil {
		// Where to send the user back to is not known or not to be trusted.
		s.showError(w, r, refusal)
		return
	}
	if refusal := s.checkAuthorization(r, &a); refusal != nil {
		s.sendError(w, r, a, refusal)
		return
	}
	s.signIn(w, r, a)
}

// startAuthorization checks what decides where an error may be sent.
func (s *Server) startAuthorization(r *http.Request, authority string) (authorization, *stsError) {
	id, redirectURI := r.Form.Get("client_id"), r.Form.Get("redirect_uri")
	if id == "" {
		return authorization{}, missing("client_id")
	}
	client, ok := s.client(id)
	if !ok {
		return authorization{}, s.unknownClient(id, authority)
	}
	if authority == consumers || authority == consumerTenant {
		return authorization{}, &stsError{code: "unauthorized_client", number: 9002331,
			message: "Application '" + client.ID + "'(" + client.Name + ") is configured for use by Azure Active Directory users only. Please do not use the /consumers endpoint to serve this request."}
	}
	if redirectURI == "" {
		redirectURI = client.onlyRedirect()
	}
	kind, ok := client.redirection(redirectURI)
	if !ok {
		return authorization{}, &stsError{code: "invalid_request", number: 50011,
			message: "The redirect URI '" + redirectURI + "' specified in the request does not match the redirect URIs configured for the application '" + client.ID + "'. Make sure the redirect URI sent in the request matches one added to your application in the Azure portal."}
	}
	mode := r.Form.Get("response_mode")
	if !slices.Contains(responseModes(), mode) {
		mode = modeQuery // an unknown one is refused in a moment
	}
	return authorization{
		authority:   authority,
		client:      client,
		redirectURI: redirectURI,
		platform:    kind,
		mode:        mode,
		state:       r.Form.Get("state"),
		clientInfo:  r.Form.Get("client_info") == "1",
		loginHint:   r.Form.Get("login_hint"),
	}, nil
}

func responseModes() []string { return []string{modeQuery, modeFragment, modeFormPost} }

// checkAuthorization checks the rest: what it finds is told to the client app.
func (s *Server) checkAuthorization(r *http.Request, a *authorization) *stsError {
	form := r.Form
	if mode := form.Get("response_mode"); mode != "" && !slices.Contains(responseModes(), mode) {
		return &stsError{code: "invalid_request", number: 70007, message: "'" + mode + "' is not a supported value of 'response_mode' when requesting a token."}
	}
	switch kind := form.Get("response_type"); kind {
	case "code":
	case "":
		return missing("response_type")
	case "id_token", "code id_token", "id_token token", "token":
		number := 700054
		if !strings.Contains(kind, "id_token") {
			number = 700051
		}
		return &stsError{code: "unsupported_response_type", number: number, message: "response_type '" + kind + "' is not enabled for the application."}
	default:
		return &stsError{code: "unsupported_response_type", number: 70005, message: "response_type '" + kind + "' is not supported."}
	}
	if a.scopes = strings.Fields(form.Get("scope")); len(a.scopes) == 0 {
		return missing("scope")
	}
	// Scopes of several resources may be consented to at once; a token is for
	// one.
	for _, scope := range a.scopes {
		if _, refusal := s.parseScopes([]string{scope}); refusal != nil {
			return refusal
		}
	}
	if a.prompt = form.Get("prompt"); !slices.Contains([]string{"", "none", "login", "consent", "select_account"}, a.prompt) {
		return &stsError{code: "invalid_request", number: 90023, message: "Unsupported 'prompt' value."}
	}
	if claims := form.Get("claims"); claims != "" {
		if !json.Valid([]byte(claims)) {
			return malformedRequest()
		}
		a.stepUp = asksStepUp(claims)
	}
	a.nonce = form.Get("nonce")
	return a.checkPKCE(form)
}

// checkPKCE reads the challenge of RFC 7636. Entra takes both methods.
func (a *authorization) checkPKCE(form url.Values) *stsError {
	a.challenge = form.Get("code_challenge")
	method := form.Get("code_challenge_method")
	switch {
	case a.challenge == "" && method != "":
		return &stsError{code: "invalid_request", number: 50147, message: "Missing code challenge."}
	case a.challenge == "" && a.platform == platformSPA:
		return &stsError{code: "invalid_request", number: 9002325, message: "Proof Key for Code Exchange is required for cross-origin authorization code redemption."}
	case a.challenge == "":
	case method != "" && method != "plain" && method != "S256":
		return &stsError{code: "invalid_request", number: 501491, message: "Invalid Code_Challenge_method parameter."}
	case len(a.challenge) < 43 || len(a.challenge) > 128 || method == "S256" && len(a.challenge) != 43:
		return &stsError{code: "invalid_request", number: 501491, message: "Invalid size of Code_Challenge parameter."}
	}
	a.plain = method != "S256"
	return nil
}

// complete sends the user back with a code.
func (s *Server) complete(w http.ResponseWriter, r *http.Request, a authorization, held session, user User, steppedUp bool) {
	s.remember(w, held, user, a.client.ID, steppedUp)
	g := s.newGrant(user, a.client.ID, a.scopes, codeLifetime)
	g.Platform, g.SteppedUp = a.platform, steppedUp
	g.RedirectURI, g.Challenge, g.Plain, g.Nonce = a.redirectURI, a.challenge, a.plain, a.nonce
	answer := url.Values{"code": {s.newCode(g)}, "session_state": {held.ID}}
	if a.clientInfo {
		answer.Set("client_info", clientInfo(user))
	}
	wire.SetCaller(r, user.Name+" in "+a.client.Name)
	s.send(w, r, a, answer)
}
