package acsidentity

import (
	"crypto/sha256"
	"maps"
	"slices"
	"sync"
	"time"
)

// state is what the service remembers.
type state struct {
	mu         sync.Mutex
	identities map[string]*record
	tokens     map[[sha256.Size]byte]issued // by hash: tokens are long
}

// record is an identity. One that is deleted stays, so that Deleted can tell.
type record struct {
	deleted     bool
	revocations int
}

// issued is a token: good as long as its identity has seen no more revocations.
type issued struct {
	owner       *record
	revocations int
	expires     time.Time
}

func newState() state {
	return state{identities: map[string]*record{}, tokens: map[[sha256.Size]byte]issued{}}
}

// add makes the identity id unless it is there.
func (st *state) add(id string) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if r := st.identities[id]; r == nil || r.deleted {
		st.identities[id] = &record{}
	}
}

// live returns the identity, or nil. The caller holds mu.
func (st *state) live(id string) *record {
	if r := st.identities[id]; r != nil && !r.deleted {
		return r
	}
	return nil
}

func (st *state) exists(id string) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.live(id) != nil
}

func (st *state) delete(id string) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if r := st.live(id); r != nil {
		r.deleted = true
	}
}

func (st *state) revoke(id string) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	r := st.live(id)
	if r != nil {
		r.revocations++
	}
	return r != nil
}

// keep remembers a token of the identity id, unless that has gone meanwhile. A
// Teams user is no identity of this resource: then id is empty.
func (st *state) keep(token, id string, expires time.Time) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	owner := &record{}
	if id != "" {
		if owner = st.live(id); owner == nil {
			return false
		}
	}
	st.tokens[sha256.Sum256([]byte(token))] = issued{owner: owner, revocations: owner.revocations, expires: expires}
	return true
}

func (st *state) ids(deleted bool) []string {
	st.mu.Lock()
	defer st.mu.Unlock()
	return slices.DeleteFunc(slices.Sorted(maps.Keys(st.identities)), func(id string) bool {
		return st.identities[id].deleted != deleted
	})
}

// Identities returns the identities that exist, sorted.
func (s *Server) Identities() []string { return s.state.ids(false) }

// Deleted returns the identities that existed once, sorted.
func (s *Server) Deleted() []string { return s.state.ids(true) }

// Calls returns how often each operation has been called, refused and faulty
// calls among them. The names are the constants that begin with Op.
func (s *Server) Calls() map[string]int { return s.calls.Counts() }

// TokenActive reports whether a token was issued here and is still good: not
// expired, not revoked, its identity not deleted. Revoking works at once here;
// the real service takes up to 15 minutes.
func (s *Server) TokenActive(token string) bool {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	t, ok := s.state.tokens[sha256.Sum256([]byte(token))]
	return ok && s.now().Before(t.expires) && !t.owner.deleted && t.owner.revocations == t.revocations
}
