package acsidentity

import (
	"encoding/json"
	"fmt"

	"acsauth/internal/localcloud/wire"
	"acsauth/internal/secret"
)

// exported is what a restart has to carry over.
type exported struct {
	AccessKey   string
	ResourceID  string
	Signer      string // PEM
	Identities  map[string]*record
	Deleted     []string
	Assignments []assignmentBody
	Sequence    int64
}

// Export returns all state as JSON, the access key and the signing key in clear
// text among it. Import reads it.
func (s *Server) Export() ([]byte, error) {
	r := s.account.Load()
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	out := exported{
		AccessKey: r.accessKey.Reveal(), ResourceID: r.id, Signer: r.signer.Export(),
		Identities: s.state.identities, Deleted: s.state.deleted.Keys(), Sequence: s.state.sequence,
	}
	for p, a := range s.state.assignments {
		out.Assignments = append(out.Assignments, assignmentBody{p.objectID, p.tenantID, a})
	}
	return json.Marshal(out)
}

// Import replaces the state by one that Export has returned. The access key is
// another one then: ask for the ConnectionString afterwards. On an error nothing
// has changed.
func (s *Server) Import(state []byte) error {
	var in exported
	if err := json.Unmarshal(state, &in); err != nil {
		return fmt.Errorf("state of ACS: %w", err)
	}
	signer, err := wire.ImportKey(in.Signer)
	if err != nil {
		return fmt.Errorf("state of ACS: %w", err)
	}
	r, err := newAccount(secret.New(in.AccessKey), in.ResourceID, signer)
	if err != nil {
		return fmt.Errorf("state of ACS: %w", err)
	}
	next := newState()
	for id, record := range in.Identities {
		if record == nil {
			return fmt.Errorf("state of ACS: identity %s: expected an object", id)
		}
		next.identities[id] = record
		if record.CustomID != "" {
			next.customIDs[record.CustomID] = id
		}
	}
	for _, id := range in.Deleted {
		next.deleted.Add(id, struct{}{})
	}
	for _, a := range in.Assignments {
		next.assignments[principal{a.TenantID, a.ObjectID}] = a.assignment
	}
	s.account.Store(r)
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	s.state.identities, s.state.customIDs, s.state.assignments = next.identities, next.customIDs, next.assignments
	s.state.deleted, s.state.sequence = next.deleted, in.Sequence
	return nil
}
