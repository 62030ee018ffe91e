package entraid

import (
	"errors"
	"strings"
)

const grantOnBehalfOf = "urn:ietf:params:oauth:grant-type:jwt-bearer"

// clientCredentials serves an app that calls as itself.
func (s *Server) clientCredentials(r tokenRequest) (issue, *stsError) {
	if refusal := checkOrigin(r.Request, ""); refusal != nil {
		return issue{}, refusal
	}
	if r.auth == authNone {
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
			message: "The provided value for scope " + strings.Join(asked, " ") + " is not valid. Client credential flows must have a scope value with /.default suffixed to the resource identifier (application ID URI)."}
	}
	tenant := r.authority
	// Assumed: client credentials at common or organizations are for the first
	// tenant.
	if serves(tenant, s.tenants[0].ID) {
		tenant = s.tenants[0].ID
	}
	return issue{who: subject{tenant: tenant, client: r.client, auth: r.auth}, scopes: scopes}, nil
}

// onBehalfOf serves an API that trades the token it was called with for one to
// call on with.
func (s *Server) onBehalfOf(r tokenRequest) (issue, *stsError) {
	if refusal := checkOrigin(r.Request, ""); refusal != nil {
		return issue{}, refusal
	}
	if r.auth == authNone {
		return issue{}, credentialsMissing()
	}
	if r.PostFormValue("requested_token_use") != "on_behalf_of" {
		return issue{}, missing("requested_token_use")
	}
	assertion, scope := r.PostFormValue("assertion"), strings.Fields(r.PostFormValue("scope"))
	if assertion == "" {
		return issue{}, missing("assertion")
	}
	if len(scope) == 0 {
		return issue{}, missing("scope")
	}
	audiences := []string{r.client.ID, "api://" + r.client.ID, "api://" + r.client.ID + "/"}
	if r.client.AppIDURI != "" {
		audiences = append(audiences, r.client.AppIDURI)
	}
	claims, err := s.Verify(assertion, audiences...)
	switch {
	case errors.Is(err, ErrAudience):
		return issue{}, invalidGrant(500131, "Assertion audience does not match the Client app presenting the assertion. The audience in the assertion was '"+claims.Audience+"' and the expected audience is '"+strings.Join(audiences, ";")+"' or one of the Application Uris of this application with App ID '"+r.client.ID+"' ("+r.client.Name+").")
	case errors.Is(err, ErrExpired):
		return issue{}, invalidGrant(500133, "Assertion is not within its valid time range. Ensure that the access token is not expired before using it for user assertion, or request a new token.")
	case err != nil:
		return issue{}, invalidGrant(50013, "Assertion failed signature validation.")
	case len(claims.Scopes) == 0:
		return issue{}, invalidGrant(7000114, "Application '"+r.client.ID+"' is not allowed to make application on-behalf-of calls.")
	case !serves(r.authority, claims.TenantID):
		return issue{}, invalidGrant(50013, "Assertion failed signature validation: it is of another tenant.")
	}
	user, ok := s.User(claims.TenantID, claims.ObjectID)
	if !ok {
		return issue{}, unknownUser()
	}
	g := s.newGrant(user, r.client.ID, scope, refreshLifetime)
	g.Platform, g.SteppedUp = platformWeb, strings.HasPrefix(text(claims.All, "aio"), steppedUpMark)
	return s.continued(r, g, "")
}
