package entraid

import (
	"net/http"
	"slices"
	"strings"

	"acsauth/internal/localcloud/wire"
)

// What the sign-in pages add to the request, in a form. An empty choice means
// that the user declined.
const (
	choiceField  = "local_cloud_user"
	factorField  = "local_cloud_second_factor"
	consentField = "local_cloud_consent"
)

func pageFields() []string { return []string{choiceField, factorField, consentField} }

// signIn goes through the steps of a sign-in: who, a second factor, consent. Each
// shows a page until it is answered, unless the session answers for it; with
// prompt=none a page that is needed is an error.
func (s *Server) signIn(w http.ResponseWriter, r *http.Request, a authorization) {
	held := s.session(r)
	if held.ID == "" {
		held.ID = wire.NewGUID()
	}
	posted := r.PostForm
	if slices.ContainsFunc(pageFields(), func(name string) bool { return posted.Has(name) && posted.Get(name) == "" }) {
		s.sendError(w, r, a, &stsError{code: "access_denied", subcode: "cancel", number: 65004, message: "User declined to consent to access the app."})
		return
	}
	users := s.usersAt(a.authority)
	user, ok := find(users, func(u User) bool { return u.choice() == posted.Get(choiceField) })
	if !ok && posted.Has(choiceField) {
		s.showError(w, r, unknownUser())
		return
	}
	if !ok {
		var refusal *stsError
		user, ok, refusal = pickAccount(a, held, users)
		if refusal != nil && a.prompt == "none" {
			s.sendError(w, r, a, refusal)
			return
		}
	}
	if !ok {
		s.showUsers(w, r, a, users)
		return
	}
	p := s.policyOf(user)
	if p.Disabled {
		s.refuseSignIn(w, r, a, accountDisabled())
		return
	}
	if p.Blocked {
		s.refuseSignIn(w, r, a, blocked())
		return
	}
	signedIn, _ := held.account(user)
	steppedUp := signedIn.SteppedUp || posted.Has(factorField)
	if !steppedUp && (a.stepUp || p.StepUpRequired && s.namesMicrosoft(a.scopes)) {
		if a.prompt == "none" {
			s.sendError(w, r, a, stepUpRequired(a.client.ID))
			return
		}
		s.showSecondFactor(w, r, user)
		return
	}
	wanted := s.unconsented(user, a, p)
	if len(wanted) > 0 && !posted.Has(consentField) {
		if a.prompt == "none" {
			e := consentRequired(a.client)
			// Assumed: with prompt=none, missing consent is interaction_required.
			e.code = "interaction_required"
			s.sendError(w, r, a, e)
			return
		}
		s.showConsent(w, r, a, user, wanted)
		return
	}
	for _, ss := range wanted {
		s.consent(user, a.client, ss)
	}
	s.complete(w, r, a, held, user, steppedUp)
}

// pickAccount finds whom the session and the request leave no doubt about.
func pickAccount(a authorization, held session, users []User) (User, bool, *stsError) {
	if a.prompt == "login" || a.prompt == "select_account" {
		return User{}, false, nil
	}
	signedIn := slices.DeleteFunc(slices.Clone(users), func(u User) bool {
		_, ok := held.account(u)
		return !ok || a.loginHint != "" && !strings.EqualFold(a.loginHint, u.UPN)
	})
	switch len(signedIn) {
	case 0:
		return User{}, false, &stsError{code: "login_required", number: 50058,
			message: "A silent sign-in request was sent but no user is signed in."}
	case 1:
		return signedIn[0], true, nil
	}
	return User{}, false, &stsError{code: "interaction_required", number: 16000,
		message: "Either multiple user identities are available for the current request or selected account is not supported for the scenario."}
}

// refuseSignIn tells the user, or the client app when nobody is looking.
func (s *Server) refuseSignIn(w http.ResponseWriter, r *http.Request, a authorization, e *stsError) {
	if a.prompt == "none" {
		// Assumed: with prompt=none, a user who is blocked or disabled is
		// interaction_required.
		e.code = "interaction_required"
		s.sendError(w, r, a, e)
		return
	}
	s.showError(w, r, e)
}

// namesMicrosoft reports whether a scope is of one of Microsoft's resources,
// beside those of OpenID Connect.
func (s *Server) namesMicrosoft(scopes []string) bool {
	return slices.ContainsFunc(scopes, func(scope string) bool {
		ss, refusal := s.parseScopes([]string{scope})
		return refusal == nil && len(ss.oidc) == 0 && ss.resource.microsoft
	})
}

// unconsented lists what the user still has to consent to.
func (s *Server) unconsented(user User, a authorization, p Policy) (wanted []scopeSet) {
	if !p.ConsentRequired && a.prompt != "consent" {
		return nil
	}
	for _, scope := range a.scopes {
		ss, refusal := s.parseScopes([]string{scope})
		if refusal == nil && (a.prompt == "consent" || !s.consented(user, a.client, ss)) {
			wanted = append(wanted, ss)
		}
	}
	return wanted
}

func find(users []User, match func(User) bool) (User, bool) {
	if i := slices.IndexFunc(users, match); i >= 0 {
		return users[i], true
	}
	return User{}, false
}
