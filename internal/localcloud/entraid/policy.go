package entraid

import (
	"fmt"
	"slices"
	"strings"
)

// Policy is what the directory asks of a user beyond an account. Its zero value
// asks nothing. It is looked at whenever a token is to be issued.
type Policy struct {
	// ConsentRequired: a scope counts as consented to only once the user has
	// signed in to the app for it, or Consent has said so. Without it everything
	// counts as consented to by an administrator. An API's own permissions, which
	// it needs for On-Behalf-Of, are consented to along with the API when a client
	// app among its KnownClients asks for its ".default".
	ConsentRequired bool
	// StepUpRequired: Microsoft's own resources, Graph among them, take a second
	// factor. Without the user a token for them is refused with
	// interaction_required and a claims challenge; signing in for them, or with
	// the challenge, meets it.
	StepUpRequired bool
	// Blocked: Conditional Access issues no token.
	Blocked bool
	// Disabled: the account is.
	Disabled bool
}

// stepUpClaims is the claims challenge, in the form that Entra's have.
const stepUpClaims = `{"access_token":{"polids":{"essential":true,"values":["9f2c6d1e-7b30-4a58-8e41-d05c3b7a6f12"]}}}`

// SetPolicy asks p of every user, on top of what their own Policy does.
func (s *Server) SetPolicy(p Policy) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.policy = p
}

// policyOf is what is asked of the user just now.
func (s *Server) policyOf(u User) Policy {
	s.mu.Lock()
	defer s.mu.Unlock()
	all, own := s.policy, u.Policy
	return Policy{
		ConsentRequired: all.ConsentRequired || own.ConsentRequired,
		StepUpRequired:  all.StepUpRequired || own.StepUpRequired,
		Blocked:         all.Blocked || own.Blocked,
		Disabled:        all.Disabled || own.Disabled,
	}
}

// demand says what keeps who from a token without a sign-in; nil for nothing.
//
// Assumed: that consent is looked at before Conditional Access.
func (s *Server) demand(who subject, ss scopeSet) *stsError {
	p := s.policyOf(who.user)
	switch {
	case p.Disabled:
		return invalidGrant(50057, "The user account is disabled.")
	case p.ConsentRequired && !s.consented(who.user, who.client, ss):
		return consentRequired(who.client)
	case p.Blocked:
		e := invalidGrant(53003, "Access has been blocked by Conditional Access policies. The access policy does not allow token issuance.")
		e.suberror = "message_only"
		return e
	case p.StepUpRequired && ss.resource.microsoft && !who.steppedUp:
		return &stsError{code: "interaction_required", suberror: "basic_action", number: 50076, claims: stepUpClaims,
			message: fmt.Sprintf("Due to a configuration change made by your administrator, or because you moved to a new location, you must use multi-factor authentication to access '%s'.", ss.resource.appID)}
	}
	return nil
}

func consentRequired(client Client) *stsError {
	return &stsError{code: "invalid_grant", suberror: "consent_required", number: 65001,
		message: fmt.Sprintf("The user or administrator has not consented to use the application with ID '%s' named '%s'. Send an interactive authorization request for this user and resource.", client.ID, client.Name)}
}

// consentKey is whose consent to what; an empty resource stands for all.
type consentKey struct{ tenantID, objectID, clientID, resourceID string }

// Consent notes that user has consented to the app's use of scopes, or of every
// permission that it may ask for when there are none.
func (s *Server) Consent(user User, clientID string, scopes ...string) error {
	client, ok := s.client(clientID)
	if !ok {
		return fmt.Errorf("no client %q", clientID)
	}
	if len(scopes) == 0 {
		s.noteConsent(consentKey{user.TenantID, user.ObjectID, client.ID, ""}, nil)
	}
	for _, scope := range scopes {
		ss, err := s.parseScopes([]string{scope})
		if err != nil {
			return err
		}
		s.consent(user, client, ss)
	}
	return nil
}

// consent notes the consent to the scopes of one resource, and with an API to
// all that the API itself needs where the two are bound together.
func (s *Server) consent(user User, client Client, ss scopeSet) {
	s.noteConsent(consentKey{user.TenantID, user.ObjectID, client.ID, ss.resource.appID}, ss.granted)
	api, ok := s.client(ss.resource.appID)
	if ok && ss.isDefault && slices.ContainsFunc(api.KnownClients, func(id string) bool { return strings.EqualFold(id, client.ID) }) {
		s.noteConsent(consentKey{user.TenantID, user.ObjectID, api.ID, ""}, nil)
	}
}

func (s *Server) noteConsent(k consentKey, scopes []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := append(slices.Clone(s.consents[k]), scopes...)
	slices.Sort(all)
	s.consents[k] = slices.Compact(all)
}

func (s *Server) consented(user User, client Client, ss scopeSet) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := consentKey{user.TenantID, user.ObjectID, client.ID, ""}
	if _, ok := s.consents[k]; ok {
		return true
	}
	k.resourceID = ss.resource.appID
	return !slices.ContainsFunc(ss.granted, func(scope string) bool { return !slices.Contains(s.consents[k], scope) })
}

// ForgetConsents takes back every consent.
func (s *Server) ForgetConsents() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.consents)
}
