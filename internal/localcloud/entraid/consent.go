package entraid

import (
	"fmt"
	"slices"
	"strings"
)

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
	if api, bound := s.boundTo(client, ss); bound {
		s.noteConsent(consentKey{user.TenantID, user.ObjectID, api.ID, ""}, nil)
	}
}

// boundTo finds the API that is consented to as a whole, with all that it needs.
func (s *Server) boundTo(client Client, ss scopeSet) (api Client, bound bool) {
	api, ok := s.client(ss.resource.appID)
	return api, ok && ss.isDefault && slices.ContainsFunc(api.KnownClients, func(id string) bool { return strings.EqualFold(id, client.ID) })
}

func (s *Server) noteConsent(k consentKey, scopes []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := append(slices.Clone(s.consents[k]), scopes...)
	slices.Sort(all)
	s.consents[k] = slices.Compact(all)
}

func (s *Server) consented(user User, client Client, ss scopeSet) bool {
	api, bound := s.boundTo(client, ss)
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.consents[consentKey{user.TenantID, user.ObjectID, api.ID, ""}]; bound && !ok {
		return false
	}
	if _, ok := s.consents[consentKey{user.TenantID, user.ObjectID, client.ID, ""}]; ok {
		return true
	}
	k := consentKey{user.TenantID, user.ObjectID, client.ID, ss.resource.appID}
	return !slices.ContainsFunc(ss.granted, func(scope string) bool { return !slices.Contains(s.consents[k], scope) })
}

// addConsented adds what is consented to of the resource beside what was asked
// for: a token carries all of it.
func (s *Server) addConsented(user User, client Client, ss *scopeSet) {
	for _, name := range s.permissions(user, client, ss.resource) {
		one := scopeSet{resource: ss.resource, granted: []string{name}}
		if slices.Contains(ss.granted, name) || s.policyOf(user).ConsentRequired && !s.consented(user, client, one) {
			continue
		}
		ss.grant(name)
		ss.echo = append(ss.echo, ss.uri+"/"+name)
	}
}

// permissions lists what the registration asks for of a resource, and what the
// user has consented to.
func (s *Server) permissions(user User, client Client, res resource) (names []string) {
	for _, scope := range client.Permissions {
		if ss, refusal := s.parseScopes([]string{scope}); refusal == nil && ss.resource.appID == res.appID {
			names = append(names, ss.granted...)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return append(names, s.consents[consentKey{user.TenantID, user.ObjectID, client.ID, res.appID}]...)
}

// ForgetConsents takes back every consent.
func (s *Server) ForgetConsents() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.consents)
}
