package entraid

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"acsauth/internal/localcloud/wire"
)

// issue is the outcome of a grant: whom tokens are for, and which.
type issue struct {
	who     subject
	scopes  scopeSet
	nonce   string
	refresh *grant // behind the new refresh token; nil for none
}

// tokenRequest is a call of the token endpoint by an app that is known.
type tokenRequest struct {
	*http.Request
	authority string
	client    Client
	auth      string // authNone, authSecret or authAssertion
}

// token serves the token endpoint.
func (s *Server) token(w http.ResponseWriter, r *http.Request, authority string) {
	if err := r.ParseForm(); err != nil {
		s.refuse(w, r, malformedRequest())
		return
	}
	grants := map[string]func(tokenRequest) (issue, *stsError){
		"authorization_code": s.redeemCode,
		"refresh_token":      s.refreshGrant,
		"client_credentials": s.clientCredentials,
		grantOnBehalfOf:      s.onBehalfOf,
		grantDeviceCode:      s.redeemDeviceCode,
		grantDeviceCodeOld:   s.redeemDeviceCode,
	}
	grantType := r.PostFormValue("grant_type")
	run, ok := grants[grantType]
	if grantType == "" {
		s.refuse(w, r, missing("grant_type"))
		return
	}
	if !ok {
		s.refuse(w, r, &stsError{code: "unsupported_grant_type", number: 70003, message: "The app requested an unsupported grant type '" + grantType + "'."})
		return
	}
	if claims := r.PostFormValue("claims"); claims != "" && !json.Valid([]byte(claims)) {
		s.refuse(w, r, malformedRequest())
		return
	}
	client, auth, refusal := s.authenticate(r, authority)
	if refusal != nil {
		s.refuse(w, r, refusal)
		return
	}
	wire.SetCaller(r, client.Name)
	issued, refusal := run(tokenRequest{r, authority, client, auth})
	if refusal != nil {
		s.refuse(w, r, refusal)
		return
	}
	if issued.who.isUser {
		wire.SetCaller(r, issued.who.user.Name+" in "+client.Name)
	}
	s.writeTokens(w, r, issued)
}

func (s *Server) writeTokens(w http.ResponseWriter, r *http.Request, issued issue) {
	issued.who.capable = asksCapability(r.PostFormValue("claims"))
	access, lifetime := s.accessToken(issued.who, issued.scopes)
	lasts := int(lifetime / time.Second)
	body := map[string]any{
		"token_type":     "Bearer",
		"expires_in":     lasts,
		"ext_expires_in": lasts,
		"access_token":   access,
	}
	if issued.who.isUser {
		body["scope"] = strings.Join(issued.scopes.echo, " ")
		if g := issued.refresh; g != nil {
			body["refresh_token"] = s.newRefreshToken(*g)
			if g.Platform == platformSPA {
				body["refresh_token_expires_in"] = int(g.Expires.Sub(s.now()) / time.Second)
			}
		}
		if issued.scopes.has("openid") {
			body["id_token"] = s.idToken(issued.who, issued.scopes, issued.nonce)
		}
		if r.PostFormValue("client_info") == "1" {
			body["client_info"] = clientInfo(issued.who.user)
		}
	}
	s.setHeaders(w, r, wire.NewGUID())
	wire.WriteJSON(w, http.StatusOK, "application/json; charset=utf-8", body)
}

func (s *Server) redeemCode(r tokenRequest) (issue, *stsError) {
	code := r.PostFormValue("code")
	if code == "" {
		return issue{}, missing("code")
	}
	g, refusal := s.redeem(code)
	if refusal != nil {
		return issue{}, refusal
	}
	switch {
	case g.ClientID != r.client.ID || !serves(r.authority, g.TenantID):
		return issue{}, invalidGrant(700005, "Provided Authorization Code is intended to use against other tenant, thus rejected.")
	case g.RedirectURI != r.PostFormValue("redirect_uri"):
		return issue{}, invalidGrant(500112, "The reply address '"+r.PostFormValue("redirect_uri")+"' does not match the reply address '"+g.RedirectURI+"' provided when requesting Authorization code.")
	case g.Challenge != "" && !verifies(r.PostFormValue("code_verifier"), g.Challenge, g.Plain):
		return issue{}, invalidGrant(501481, "The Code_Verifier does not match the code_challenge supplied in the authorization request.")
	case g.Challenge == "" && r.PostFormValue("code_verifier") != "":
		return issue{}, &stsError{code: "invalid_request", number: 501481, message: "The Code_Verifier does not match the code_challenge supplied in the authorization request."}
	}
	if refusal := checkPlatform(r, g.Platform); refusal != nil {
		return issue{}, refusal
	}
	nonce := g.Nonce
	g.ID, g.RedirectURI, g.Challenge, g.Plain, g.Nonce = "", "", "", false, ""
	g.Issued, g.Expires = s.now(), s.now().Add(refreshLifetime)
	if g.Platform == platformSPA {
		g.Expires = s.now().Add(refreshLifetimeSPA)
	}
	return s.continued(r, g, nonce)
}

// checkPlatform holds an app to what its redirect URI is registered for.
func checkPlatform(r tokenRequest, p platform) *stsError {
	if refusal := checkOrigin(r.Request, p); refusal != nil {
		return refusal
	}
	switch {
	case p == platformWeb && r.auth == authNone:
		return credentialsMissing()
	case p == platformNative && r.auth != authNone:
		return invalidClient(700025, "Client is public so neither 'client_assertion' nor 'client_secret' should be presented.")
	}
	return nil
}

func (s *Server) refreshGrant(r tokenRequest) (issue, *stsError) {
	token := r.PostFormValue("refresh_token")
	if token == "" {
		return issue{}, missing("refresh_token")
	}
	g, refusal := s.refreshable(token, r.client.ID)
	if refusal != nil {
		return issue{}, refusal
	}
	if !serves(r.authority, g.TenantID) {
		return issue{}, invalidGrant(700005, "Provided refresh token is intended to use against other tenant, thus rejected.")
	}
	if refusal := checkPlatform(r, g.Platform); refusal != nil {
		return issue{}, refusal
	}
	if g.Platform != platformSPA {
		g.Expires = s.now().Add(refreshLifetime)
	}
	return s.continued(r, g, "")
}

// continued issues for a user who has signed in. The scopes of the token request
// count; without them those of the sign-in.
func (s *Server) continued(r tokenRequest, g grant, nonce string) (issue, *stsError) {
	user, ok := s.User(g.TenantID, g.ObjectID) // as they are now
	if !ok {
		return issue{}, unknownUser()
	}
	asked := strings.Fields(r.PostFormValue("scope"))
	if len(asked) == 0 {
		asked = g.Scopes
	}
	scopes, refusal := s.parseScopes(asked)
	if refusal != nil {
		return issue{}, refusal
	}
	who := subject{user: user, isUser: true, tenant: user.TenantID, client: r.client, auth: r.auth, steppedUp: g.SteppedUp}
	if refusal := s.demand(who, scopes); refusal != nil {
		return issue{}, refusal
	}
	if asksStepUp(r.PostFormValue("claims")) && !g.SteppedUp {
		return issue{}, stepUpRequired(scopes.resource.appID)
	}
	s.addConsented(user, r.client, &scopes)
	issued := issue{who: who, scopes: scopes, nonce: nonce}
	if scopes.has(offlineAccess) || slices.Contains(g.Scopes, offlineAccess) {
		issued.refresh = &g
	}
	return issued, nil
}

// verifies checks a PKCE verifier, RFC 7636.
func verifies(verifier, challenge string, plain bool) bool {
	if !plain {
		sum := sha256.Sum256([]byte(verifier))
		verifier = base64.RawURLEncoding.EncodeToString(sum[:])
	}
	return subtle.ConstantTimeCompare([]byte(verifier), []byte(challenge)) == 1
}
