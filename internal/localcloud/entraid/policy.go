package entraid

import (
	"encoding/json"
	"fmt"
)

// Policy is what the directory asks of a user beyond an account. Its zero value
// asks nothing. It is looked at whenever a token is to be issued.
type Policy struct {
	// ConsentRequired: a scope counts as consented to only once the user has
	// consented on the sign-in page, or Consent has said so. Without it everything
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
// Assumed: missing consent is told before a block or a challenge by Conditional
// Access.
func (s *Server) demand(who subject, ss scopeSet) *stsError {
	p := s.policyOf(who.user)
	switch {
	case p.Disabled:
		return accountDisabled()
	case p.ConsentRequired && !s.consented(who.user, who.client, ss):
		return consentRequired(who.client)
	case p.Blocked:
		return blocked()
	case p.StepUpRequired && ss.resource.microsoft && !who.steppedUp:
		return stepUpRequired(ss.resource.appID)
	}
	return nil
}

func accountDisabled() *stsError { return invalidGrant(50057, "The user account is disabled.") }

func unknownUser() *stsError {
	return invalidGrant(50034, "The user account does not exist in the directory. To sign into this application, the account must be added to the directory.")
}

func blocked() *stsError {
	e := invalidGrant(53003, "Access has been blocked by Conditional Access policies. The access policy does not allow token issuance.")
	e.suberror = "message_only"
	return e
}

func consentRequired(client Client) *stsError {
	e := invalidGrant(65001, fmt.Sprintf("The user or administrator has not consented to use the application with ID '%s' named '%s'. Send an interactive authorization request for this user and resource.", client.ID, client.Name))
	e.suberror = "consent_required"
	return e
}

// stepUpRequired is the refusal with a claims challenge.
func stepUpRequired(resourceID string) *stsError {
	return &stsError{code: "interaction_required", suberror: "basic_action", number: 50076, claims: stepUpClaims,
		message: fmt.Sprintf("Due to a configuration change made by your administrator, or because you moved to a new location, you must use multi-factor authentication to access '%s'.", resourceID)}
}

// asksStepUp reports whether parameter claims holds such a challenge.
func asksStepUp(claims string) bool {
	var asked struct {
		AccessToken struct {
			Polids json.RawMessage `json:"polids"`
		} `json:"access_token"`
	}
	return json.Unmarshal([]byte(claims), &asked) == nil && len(asked.AccessToken.Polids) > 0
}
