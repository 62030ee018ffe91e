package acsidentity

import (
	"maps"
	"slices"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

// What the service remembers at most, so that no flood fills the memory.
const (
	maxIdentities  = 200_000
	maxDeleted     = 10_000 // the oldest are forgotten first
	maxAssignments = 10_000
)

// state is what the service remembers. Tokens are not in it: each carries a
// number, and is good if it came after all that ends its owner's tokens.
type state struct {
	mu          sync.Mutex
	identities  map[string]*record
	deleted     *lru.Cache[string, struct{}]
	customIDs   map[string]string // to ids
	assignments map[principal]assignment
	sequence    int64 // of tokens and of what ends them
}

// record is an identity.
type record struct {
	CustomID   string    `json:",omitempty"`
	LastIssued time.Time // zero for no token so far
	ValidFrom  int64     // tokens of a lower number are revoked
}

func newState() state {
	deleted, err := lru.New[string, struct{}](maxDeleted)
	if err != nil {
		panic(err) // the size is above zero
	}
	return state{identities: map[string]*record{}, deleted: deleted, customIDs: map[string]string{}, assignments: map[principal]assignment{}}
}

// add makes the identity id unless it is there. It reports whether there is room
// for it.
func (st *state) add(id string) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.addLocked(id) != nil
}

func (st *state) addLocked(id string) *record {
	if r := st.identities[id]; r != nil {
		return r
	}
	if len(st.identities) >= maxIdentities {
		return nil
	}
	// Tokens of an identity that was here before do not come back to life.
	r := &record{ValidFrom: st.sequence}
	st.identities[id] = r
	st.deleted.Remove(id)
	return r
}

// addCustom finds the identity of a custom id, or makes it one.
func (st *state) addCustom(customID, newID string) (id string, ok bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if id, ok := st.customIDs[customID]; ok {
		return id, true
	}
	r := st.addLocked(newID)
	if r == nil {
		return "", false
	}
	r.CustomID = customID
	st.customIDs[customID] = newID
	return newID, true
}

// find returns a copy of the identity.
func (st *state) find(id string) (record, bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if r := st.identities[id]; r != nil {
		return *r, true
	}
	return record{}, false
}

func (st *state) delete(id string) {
	st.mu.Lock()
	defer st.mu.Unlock()
	r := st.identities[id]
	if r == nil {
		return
	}
	delete(st.identities, id)
	delete(st.customIDs, r.CustomID)
	st.deleted.Add(id, struct{}{})
	st.sequence++
}

func (st *state) revoke(id string) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	r := st.identities[id]
	if r == nil {
		return false
	}
	st.sequence++
	r.ValidFrom = st.sequence
	return true
}

// nextToken numbers a token of the identity id, or finds it gone. A Teams user is
// no identity of this resource: then id is empty.
func (st *state) nextToken(id string, now time.Time) (number int64, ok bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if id != "" {
		r := st.identities[id]
		if r == nil {
			return 0, false
		}
		r.LastIssued = now
	}
	st.sequence++
	return st.sequence, true
}

// Identities returns the identities that exist, sorted.
func (s *Server) Identities() []string {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	return slices.Sorted(maps.Keys(s.state.identities))
}

// Deleted returns the identities that existed once, sorted; of very many, the
// last ones.
func (s *Server) Deleted() []string {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	return slices.Sorted(slices.Values(s.state.deleted.Keys()))
}

// Calls returns how often each operation has been called, refused and faulty
// calls among them. The names are the constants that begin with Op.
func (s *Server) Calls() map[string]int { return s.calls.Counts() }
