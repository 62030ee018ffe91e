package entraid

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"acsauth/internal/localcloud/wire"
)

// state is what a restart has to carry over. Codes, refresh tokens and sessions
// are with the clients; with SealKey they stay good.
type state struct {
	Keys        []string // PEM, the one in use first
	Announced   string   `json:",omitempty"`
	ConsumerKey string   `json:",omitempty"`
	SealKey     []byte
	Users       []User
	Policy      Policy
	Consents    []consentState
	Revocations []revocationState
}

type consentState struct {
	TenantID, ObjectID, ClientID, ResourceID string
	Scopes                                   []string
}

type revocationState struct {
	TenantID, ObjectID string
	revocation
}

// Export returns all state as JSON: keys, in clear text, users, consents and
// what has been revoked. Import reads it.
func (s *Server) Export() ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := state{SealKey: s.sealKey, Users: s.users, Policy: s.policy}
	for _, k := range s.keys {
		out.Keys = append(out.Keys, k.Export())
	}
	if s.announced != nil {
		out.Announced = s.announced.Export()
	}
	if s.consumerKey != nil {
		out.ConsumerKey = s.consumerKey.Export()
	}
	for k, scopes := range s.consents {
		out.Consents = append(out.Consents, consentState{k.tenantID, k.objectID, k.clientID, k.resourceID, scopes})
	}
	for k, r := range s.revocations {
		out.Revocations = append(out.Revocations, revocationState{k.tenantID, k.objectID, r})
	}
	slices.SortFunc(out.Consents, func(a, b consentState) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	slices.SortFunc(out.Revocations, func(a, b revocationState) int { return strings.Compare(a.ObjectID, b.ObjectID) })
	return json.Marshal(out)
}

// Import replaces the state by one that Export has returned. On an error nothing
// has changed.
func (s *Server) Import(exported []byte) error {
	var in state
	if err := json.Unmarshal(exported, &in); err != nil {
		return fmt.Errorf("state of Entra ID: %w", err)
	}
	keys, err := importKeys(in.Keys...)
	if err != nil || len(keys) == 0 {
		return errors.Join(errors.New("state of Entra ID: no signing key to use"), err)
	}
	announced, err := importKeys(in.Announced)
	if err != nil {
		return err
	}
	consumerKey, err := importKeys(in.ConsumerKey)
	if err != nil {
		return err
	}
	for _, u := range in.Users {
		if !s.hasTenant(u.TenantID) {
			return fmt.Errorf("state of Entra ID: no tenant %s here", u.TenantID)
		}
	}
	if err := s.useSealKey(in.SealKey); err != nil {
		return fmt.Errorf("state of Entra ID: sealing key: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys, s.users, s.policy = keys, in.Users, in.Policy
	s.announced, s.consumerKey = nil, nil
	if len(announced) > 0 {
		s.announced = announced[0]
	}
	if len(consumerKey) > 0 {
		s.consumerKey = consumerKey[0]
	}
	clear(s.consents)
	for _, c := range in.Consents {
		s.consents[consentKey{c.TenantID, c.ObjectID, c.ClientID, c.ResourceID}] = c.Scopes
	}
	clear(s.revocations)
	for _, r := range in.Revocations {
		s.revocations[userKey{r.TenantID, r.ObjectID}] = r.revocation
	}
	return nil
}

// importKeys reads keys; an empty text is none.
func importKeys(texts ...string) (keys []*wire.Key, err error) {
	for _, text := range texts {
		if text == "" {
			continue
		}
		key, err := wire.ImportKey(text)
		if err != nil {
			return nil, fmt.Errorf("state of Entra ID: %w", err)
		}
		keys = append(keys, key)
	}
	return keys, nil
}
