package identity_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"acsauth/internal/bolt"
	"acsauth/internal/identity"
	"acsauth/internal/secret"
)

var errDown = identity.Errorf(identity.CodeUpstreamUnavailable, "down")

// faults decides what happens to each call of a part: nothing, failure before
// the work is done, or failure after.
type faults struct {
	mu   sync.Mutex
	next func(operation string) fault
}

type fault int

const (
	fine fault = iota
	before
	after
)

func (f *faults) set(next func(string) fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.next = next
}

// only fails one operation.
func only(operation string, what fault) func(string) fault {
	return func(op string) fault {
		if op == operation {
			return what
		}
		return fine
	}
}

// around runs work with the fault that is due.
func (f *faults) around(operation string, work func() error) error {
	f.mu.Lock()
	next := f.next
	f.mu.Unlock()
	what := fine
	if next != nil {
		what = next(operation)
	}
	if what == before {
		return errDown
	}
	err := work()
	if what == after {
		return errDown
	}
	return err
}

// issuer is ACS as far as the domain knows it.
type issuer struct {
	faults
	lock       sync.Mutex
	made       int
	identities map[string]bool
	lost       []string             // made, and the answer never came
	loses      func() error         // how the answer to a create is lost, or nil
	gone       func(id string) bool // what is wrongly called unknown
	hangs      bool                 // neither deletes nor revokes, and does not say so
	stuck      func(id string) bool // to delete that one hangs
	forgets    bool                 // what it is to delete
}

func (i *issuer) CreateIdentity(context.Context) (id string, err error) {
	err = i.around("create", func() error {
		i.lock.Lock()
		defer i.lock.Unlock()
		i.made++
		id = fmt.Sprintf("8:acs:resource_%d", i.made)
		i.identities[id] = true
		return nil
	})
	if err == nil && i.loses != nil {
		err = i.loses()
	}
	if err != nil && id != "" {
		i.lock.Lock()
		defer i.lock.Unlock()
		i.lost = append(i.lost, id)
		return "", fmt.Errorf("%w: %w", identity.ErrOutcomeUnknown, err)
	}
	return id, err
}

func (i *issuer) known(id string) error {
	i.lock.Lock()
	defer i.lock.Unlock()
	if !i.identities[id] || i.gone != nil && i.gone(id) {
		return identity.ErrUnknownIdentity
	}
	return nil
}

func (i *issuer) IssueToken(_ context.Context, id string, _ identity.TokenRequest) (t identity.Token, err error) {
	err = i.around("issue", func() error { return i.known(id) })
	return identity.Token{Value: secret.New("token of " + id)}, err
}

func (i *issuer) RevokeTokens(ctx context.Context, id string) error {
	if i.hangs {
		<-ctx.Done()
		return ctx.Err()
	}
	return i.around("revoke", func() error { return i.known(id) })
}

func (i *issuer) DeleteIdentity(ctx context.Context, id string) error {
	if i.hangs || i.stuck != nil && i.stuck(id) {
		<-ctx.Done()
		return ctx.Err()
	}
	if i.forgets {
		return identity.ErrUnknownIdentity
	}
	return i.around("delete", func() error {
		i.lock.Lock()
		defer i.lock.Unlock()
		delete(i.identities, id)
		return nil
	})
}

func (i *issuer) ExchangeTeamsToken(context.Context, identity.TeamsExchange) (identity.Token, string, error) {
	return identity.Token{}, "", errors.New("not part of these tests")
}

func (i *issuer) forget(id string) {
	i.lock.Lock()
	defer i.lock.Unlock()
	delete(i.identities, id)
}

func (i *issuer) count() int { return len(i.list()) }

func (i *issuer) list() []string {
	i.lock.Lock()
	defer i.lock.Unlock()
	var ids []string
	for id := range i.identities {
		ids = append(ids, id)
	}
	return ids
}

// store is the real one with faults around it.
type store struct {
	faults
	*bolt.Store
	needsCaller bool // and there is none
}

func (s *store) Get(ctx context.Context, u identity.User) (m identity.Mapping, err error) {
	if s.needsCaller {
		return identity.Mapping{}, identity.ErrNeedsCaller
	}
	err = s.around("get", func() (err error) { m, err = s.Store.Get(ctx, u); return err })
	_ = s.around("got", func() error { return nil }) // too late for a fault, not for a delay
	return m, err
}

func (s *store) Create(ctx context.Context, m identity.Mapping) (created identity.Mapping, err error) {
	err = s.around("insert", func() (err error) { created, err = s.Store.Create(ctx, m); return err })
	return created, err
}

func (s *store) MarkErasing(ctx context.Context, m identity.Mapping) (marked identity.Mapping, err error) {
	err = s.around("mark", func() (err error) { marked, err = s.Store.MarkErasing(ctx, m); return err })
	return marked, err
}

func (s *store) Delete(ctx context.Context, m identity.Mapping) error {
	return s.around("remove", func() error { return s.Store.Delete(ctx, m) })
}

func (s *store) Record(ctx context.Context, e identity.Erasure) error {
	return s.around("record", func() error { return s.Store.Record(ctx, e) })
}

func (s *store) Clear(ctx context.Context, e identity.Erasure) error {
	return s.around("clear", func() error { return s.Store.Clear(ctx, e) })
}

// world is a service on an issuer and a store that can be disturbed.
type world struct {
	*testing.T
	*identity.Service
	issuer *issuer
	store  *store
	log    *syncWriter
}

func newWorld(t *testing.T) *world {
	t.Helper()
	b, err := bolt.Open(filepath.Join(t.TempDir(), "test.db"), "resource.communication.azure.com")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	w := &world{T: t, issuer: &issuer{identities: map[string]bool{}}, store: &store{Store: b}, log: &syncWriter{}}
	w.restart()
	return w
}

// restart is what a crash leaves: the same store and ACS, nothing in memory.
func (w *world) restart() {
	w.Service = identity.NewService(w.store, w.store, w.issuer, slog.New(slog.NewTextHandler(w.log, nil)), time.Now)
}

// notes returns what is noted.
func (w *world) notes() (notes []identity.Erasure) {
	w.Helper()
	for note, err := range w.store.Store.List(w.Context()) {
		require.NoError(w, err)
		notes = append(notes, note)
	}
	return notes
}

type syncWriter struct {
	mu sync.Mutex
	b  strings.Builder
}

func (s *syncWriter) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncWriter) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func (s *syncWriter) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.b.Reset()
}

func user(n int) identity.User {
	return identity.User{TenantID: "11111111-1111-4111-8111-111111111111", ObjectID: fmt.Sprintf("22222222-2222-4222-8222-%012d", n)}
}

var chat = identity.TokenRequest{Scopes: []string{"chat"}, ExpiresIn: identity.MinExpiresIn}

func atOnce(n int, work func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { work(i) })
	}
	wg.Wait()
}
