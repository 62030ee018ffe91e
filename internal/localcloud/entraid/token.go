package entraid

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"acsauth/internal/localcloud/wire"
)

const grantOnBehalfOf = "urn:ietf:params:oauth:grant-type:jwt-bearer"

// issue is the outcome of a grant: whom tokens are for, and which.
type issue struct {
	who     subject
	scopes  scopeSet
	nonce   string
	refresh *grant // behind the new refresh token; nil for none
}

// token serves the token endpoint.
func (s *Server) token(w http.ResponseWriter, r *http.Request, tenant string) {
	if err := r.ParseForm(); err != nil {
		s.refuse(w, r, &stsError{code: "invalid_request", number: 9000410, message: "The request body is not a form."})
		return
	}
	grants := map[string]func(r *http.Request, tenant string, client Client, auth string) (issue, *stsError){
		"authorization_code": s.redeemCode,
		"refresh_token":      s.refreshGrant,
		"client_credentials": s.clientCredentials,
		grantOnBehalfOf:      s.onBehalfOf,
	}
	grantType := r.PostFormValue("grant_type")
	run, ok := grants[grantType]
	if grantType == "" {
		s.refuse(w, r, missing("grant_type"))
		return
	}
	if !ok {
		s.refuse(w, r, &stsError{code: "unsupported_grant_type", number: 70003, message: "The app requested an unsupported grant type."})
		return
	}
	client, auth, refusal := s.authenticate(r)
	if refusal != nil {
		s.refuse(w, r, refusal)
		return
	}
	issued, refusal := run(r, tenant, client, auth)
	if refusal != nil {
		s.refuse(w, r, refusal)
		return
	}
	s.writeTokens(w, r, issued)
}

func (s *Server) writeTokens(w http.ResponseWriter, r *http.Request, issued issue) {
	access, lifetime := s.accessToken(issued.who, issued.scopes)
	seconds := int(lifetime / time.Second)
	body := map[string]any{
		"token_type":     "Bearer",
		"expires_in":     seconds,
		"ext_expires_in": seconds,
		"access_token":   access,
	}
	if issued.who.isUser {
		body["scope"] = strings.Join(issued.scopes.echo, " ")
		if issued.refresh != nil {
			body["refresh_token"] = s.newRefreshToken(*issued.refresh)
		}
		if issued.scopes.has("openid") {
			body["id_token"] = s.idToken(issued.who, issued.scopes, issued.nonce)
		}
		if r.PostFormValue("client_info") == "1" {
			body["client_info"] = clientInfo(issued.who.user)
		}
	}
	w.Header().Set("Cache-Control", "no-store, no-cache")
	w.Header().Set("Pragma", "no-cache")
	w.Header().Set("x-ms-request-id", wire.NewGUID())
	wire.WriteJSON(w, http.StatusOK, "application/json; charset=utf-8", body)
}

func (s *Server) redeemCode(r *http.Request, tenant string, client Client, auth string) (issue, *stsError) {
	code := r.PostFormValue("code")
	if code == "" {
		return issue{}, missing("code")
	}
	g, refusal := s.redeem(code)
	if refusal != nil {
		return issue{}, refusal
	}
	switch {
	case g.clientID != client.ID:
		return issue{}, invalidGrant(700005, "Provided Authorization Code is intended to use against other tenant or client, thus rejected.")
	case !serves(tenant, g.user.TenantID):
		return issue{}, invalidGrant(700005, "Provided Authorization Code is intended to use against other tenant or client, thus rejected.")
	case g.redirectURI != r.PostFormValue("redirect_uri"):
		return issue{}, invalidGrant(500112, "The reply address does not match the reply address provided when requesting Authorization code.")
	case g.challenge != "" && !verifies(r.PostFormValue("code_verifier"), g.challenge):
		return issue{}, invalidGrant(501481, "The Code_Verifier does not match the code_challenge supplied in the authorization request.")
	}
	g.expires = s.now().Add(refreshLifetime)
	if auth == authNone {
		g.expires = s.now().Add(refreshLifetimeSPA)
	}
	return s.continued(r, g, client, auth)
}

func (s *Server) refreshGrant(r *http.Request, tenant string, client Client, auth string) (issue, *stsError) {
	token := r.PostFormValue("refresh_token")
	if token == "" {
		return issue{}, missing("refresh_token")
	}
	g, refusal := s.refreshable(token, client.ID)
	if refusal != nil {
		return issue{}, refusal
	}
	if !serves(tenant, g.user.TenantID) {
		return issue{}, invalidGrant(700005, "Provided refresh token is intended to use against other tenant, thus rejected.")
	}
	g.nonce = "" // belongs to the first ID token
	if auth != authNone {
		g.expires = s.now().Add(refreshLifetime)
	}
	return s.continued(r, g, client, auth)
}

// continued issues for a user who has signed in. The scopes of the token request
// count, any will do since all are consented to; without them those of the
// sign-in.
func (s *Server) continued(r *http.Request, g grant, client Client, auth string) (issue, *stsError) {
	user, ok := s.User(g.user.TenantID, g.user.ObjectID) // as they are now
	if !ok {
		return issue{}, invalidGrant(50034, "The user account does not exist in the directory.")
	}
	asked := strings.Fields(r.PostFormValue("scope"))
	if len(asked) == 0 {
		asked = g.scopes
	}
	scopes, refusal := s.parseScopes(asked)
	if refusal != nil {
		return issue{}, refusal
	}
	who := subject{user: user, isUser: true, tenant: user.TenantID, client: client, auth: auth, steppedUp: g.steppedUp}
	if refusal := s.demand(who, scopes); refusal != nil {
		return issue{}, refusal
	}
	issued := issue{who: who, scopes: scopes, nonce: g.nonce}
	if scopes.has("offline_access") || slices.Contains(g.scopes, "offline_access") {
		issued.refresh = &g
	}
	return issued, nil
}

func (s *Server) clientCredentials(r *http.Request, tenant string, client Client, auth string) (issue, *stsError) {
	if auth == authNone {
		return issue{}, credentialsMissing()
	}
	asked := strings.Fields(r.PostFormValue("scope"))
	if len(asked) == 0 {
		return issue{}, missing("scope")
	}
	scopes, refusal := s.parseScopes(asked)
	if refusal != nil {
		return issue{}, refusal
	}
	// MSAL adds OpenID scopes here too, where they mean nothing.
	if len(asked)-len(scopes.oidc) != 1 || !scopes.isDefault {
		return issue{}, &stsError{code: "invalid_scope", number: 1002012,
			message: "The provided value for scope is not valid. Client credential flows must have a scope value with /.default suffixed to the resource identifier (application ID URI)."}
	}
	// Assumed: no tenant in the authority means the app's own.
	if serves(tenant, s.tenants[0]) {
		tenant = s.tenants[0]
	}
	return issue{who: subject{tenant: tenant, client: client, auth: auth}, scopes: scopes}, nil
}

// onBehalfOf serves an API that trades the token it was called with for one to
// call on with.
func (s *Server) onBehalfOf(r *http.Request, tenant string, client Client, auth string) (issue, *stsError) {
	if auth == authNone {
		return issue{}, credentialsMissing()
	}
	if r.PostFormValue("requested_token_use") != "on_behalf_of" {
		return issue{}, missing("requested_token_use")
	}
	assertion := r.PostFormValue("assertion")
	if assertion == "" {
		return issue{}, missing("assertion")
	}
	audiences := []string{client.ID, "api://" + client.ID, "api://" + client.ID + "/"}
	if client.AppIDURI != "" {
		audiences = append(audiences, client.AppIDURI)
	}
	claims, err := s.Verify(assertion, audiences...)
	switch {
	case errors.Is(err, ErrAudience):
		return issue{}, invalidGrant(500131, "Assertion audience does not match the Client app presenting the assertion. The audience in the assertion must match the app ID of the client.")
	case errors.Is(err, ErrExpired):
		return issue{}, invalidGrant(500133, "Assertion is not within its valid time range. Ensure that the access token is not expired before using it for user assertion, or request a new token.")
	case err != nil:
		return issue{}, invalidGrant(50013, "Assertion failed signature validation.")
	case len(claims.Scopes) == 0:
		return issue{}, invalidGrant(7000114, "Application is not allowed to make application on-behalf-of calls.")
	case !serves(tenant, claims.TenantID):
		return issue{}, invalidGrant(50013, "Assertion failed signature validation: it is of another tenant.")
	}
	user, ok := s.User(claims.TenantID, claims.ObjectID)
	if !ok {
		return issue{}, invalidGrant(50034, "The user account does not exist in the directory.")
	}
	g := grant{user: user, steppedUp: strings.HasPrefix(claims.text("aio"), steppedUpMark), clientID: client.ID, scopes: strings.Fields(r.PostFormValue("scope")), expires: s.now().Add(refreshLifetime)}
	if len(g.scopes) == 0 {
		return issue{}, missing("scope")
	}
	return s.continued(r, g, client, auth)
}

// verifies checks a PKCE verifier, RFC 7636 method S256.
func verifies(verifier, challenge string) bool {
	sum := sha256.Sum256([]byte(verifier))
	return subtle.ConstantTimeCompare([]byte(base64.RawURLEncoding.EncodeToString(sum[:])), []byte(challenge)) == 1
}
