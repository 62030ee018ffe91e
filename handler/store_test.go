package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"acsauth/internal/bolt"
	"acsauth/internal/graph"
	"acsauth/internal/identity"
	"acsauth/internal/localcloud/entraid"
	"acsauth/internal/localcloud/msgraph"
	"acsauth/internal/secret"
)

// The steps of an erasure with mappings in Graph. The process ends at one of them.
const (
	atRecord       = "the note is recorded"
	atRetire       = "the identity is retired"
	atMapping      = "the mapping is deleted"
	atIdentity     = "the identity is deleted"
	atRetireAgain  = "it is made sure that the identity is retired"
	atClear        = "the note is cleared"
	nowhere        = "nothing"
	claimsResource = "contoso.example"
)

var errEnded = identity.Errorf(identity.CodeUpstreamUnavailable, "the process has ended")

// ending is a place whose process ends before the step.
type ending struct {
	*bolt.Store
	at      string
	retired *atomic.Int32 // how often
}

func (e ending) Record(ctx context.Context, note identity.Erasure) error {
	if e.at == atRecord {
		return errEnded
	}
	return e.Store.Record(ctx, note)
}

func (e ending) Retire(ctx context.Context, acsUserID string) error {
	if n := e.retired.Add(1); e.at == atRetire || e.at == atRetireAgain && n > 1 {
		return errEnded
	}
	return e.Store.Retire(ctx, acsUserID)
}

func (e ending) Clear(ctx context.Context, note identity.Erasure) error {
	if e.at == atClear {
		return errEnded
	}
	return e.Store.Clear(ctx, note)
}

// fewIdentities is an ACS that makes identities, issues tokens and deletes.
type fewIdentities struct {
	identity.Issuer
	mu    sync.Mutex
	known map[string]bool
	down  bool
}

func (f *fewIdentities) CreateIdentity(context.Context) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	id := "8:acs:" + identity.NewGUID() + "_" + identity.NewGUID()
	f.known[id] = true
	return id, nil
}

func (f *fewIdentities) IssueToken(_ context.Context, id string, _ identity.TokenRequest) (identity.Token, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.known[id] {
		return identity.Token{}, identity.ErrUnknownIdentity
	}
	return identity.Token{Value: secret.New("for " + id)}, nil
}

func (f *fewIdentities) RevokeTokens(context.Context, string) error { return errEnded }

func (f *fewIdentities) DeleteIdentity(_ context.Context, id string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down {
		return errEnded
	}
	if !f.known[id] {
		return identity.ErrUnknownIdentity
	}
	delete(f.known, id)
	return nil
}

// graphTokens gives each user a token of their own.
type graphTokens struct{ of map[identity.User]string }

func (g graphTokens) Token(_ context.Context, c identity.Caller, _ []string) (secret.String, error) {
	return secret.New(g.of[c.User]), nil
}

// person is somebody with a profile in Graph.
type person struct {
	entraid.User
	ctx context.Context // of their calls
}

func (p person) id() identity.User { return identity.User{TenantID: p.TenantID, ObjectID: p.ObjectID} }

// erasing has what services, one after the other, keep mappings in Graph with.
type erasing struct {
	t      *testing.T
	file   *bolt.Store
	acs    *fewIdentities
	tokens graphTokens
}

func newErasing(t *testing.T) *erasing {
	t.Helper()
	file, err := bolt.Open(filepath.Join(t.TempDir(), "notes.db"), claimsResource)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, file.Close()) })
	return &erasing{t, file, &fewIdentities{known: map[string]bool{}}, graphTokens{map[identity.User]string{}}}
}

func (e *erasing) person() person {
	p := person{User: newUser(e.t)}
	e.tokens.of[p.id()] = tokenFor(e.t, p.User, entraid.GraphURI+"/User.ReadWrite")
	p.ctx = identity.WithCaller(e.t.Context(), identity.Caller{User: p.id()})
	return p
}

// service is one of a new process, which ends before the step.
func (e *erasing) service(at string) *identity.Service {
	e.t.Helper()
	notes := ending{e.file, at, new(atomic.Int32)}
	mappings, err := graph.Open(graph.Options{Endpoint: cloud.GraphURL, Resource: claimsResource, Tokens: e.tokens, Claims: notes, Transport: cloud.Client()})
	require.NoError(e.t, err)
	e.acs.down = at == atIdentity
	cloud.Graph.SetFault(nil)
	if at == atMapping {
		cloud.Graph.SetFault(func(w http.ResponseWriter, r *http.Request) bool {
			if msgraph.Operation(r) == msgraph.OpDeleteExtension {
				w.WriteHeader(http.StatusUnauthorized)
				return true
			}
			return false
		})
	}
	s := split{mappings, notes}
	return identity.NewService(s, s, e.acs, slog.New(slog.DiscardHandler), time.Now)
}

func (e *erasing) notes() (notes []identity.Erasure) {
	for note, err := range e.file.List(e.t.Context()) {
		require.NoError(e.t, err)
		notes = append(notes, note)
	}
	return notes
}

// token is what the user gets, and for whom.
func token(s *identity.Service, p person) (acsUserID string, err error) {
	t, m, err := s.Token(p.ctx, p.id(), identity.TokenRequest{Scopes: []string{"chat"}, ExpiresIn: time.Hour})
	if err == nil && t.Value.Reveal() != "for "+m.AcsUserID {
		err = errors.New("the token is for another identity")
	}
	return m.AcsUserID, err
}

func TestAnErasureThatIsCutShortLeavesNothingToOthers(t *testing.T) {
	t.Cleanup(func() { cloud.Graph.SetFault(nil) })
	for _, at := range []string{atRecord, atRetire, atMapping, atIdentity, atRetireAgain, atClear, nowhere} {
		for _, first := range []string{"the owner", "a thief", "the timer"} {
			t.Run(fmt.Sprintf("before %s, then %s", at, first), func(t *testing.T) {
				e := newErasing(t)
				owner, thief := e.person(), e.person()
				theirs, err := token(e.service(nowhere), owner)
				require.NoError(t, err)
				addHeroMapping(t, thief.User, theirs)
				_, err = token(e.service(nowhere), thief)
				require.Equal(t, identity.CodeAccessBlocked, identity.CodeOf(err), "planted before the erasure")

				err = e.service(at).Erase(owner.ctx, owner.id())
				durable := at != atRecord && at != atRetire && at != atMapping
				assert.Equal(t, durable, err == nil, "%v", err)
				noted := at != atRecord && at != nowhere
				assert.Equal(t, noted, len(e.notes()) == 1)

				s := e.service(nowhere)
				switch first {
				case "the owner":
					got, err := token(s, owner)
					require.NoError(t, err)
					if at == atRecord || at == atRetire {
						require.Equal(t, theirs, got, "they were not told that it is erased")
					} else {
						require.NotEqual(t, theirs, got)
					}
				case "a thief":
					got, err := token(s, thief)
					if at == atRecord || at == atRetire {
						require.Equal(t, identity.CodeAccessBlocked, identity.CodeOf(err))
					} else {
						require.NoError(t, err)
						require.NotEqual(t, theirs, got)
					}
				}
				if at == atRecord {
					assert.True(t, e.acs.known[theirs])
					return
				}
				_, err = e.service(nowhere).Sweep(t.Context())
				require.NoError(t, err)
				assert.Empty(t, e.notes())
				assert.False(t, e.acs.known[theirs])
				assert.ErrorIs(t, e.file.Check(t.Context(), theirs, owner.id()), identity.ErrRetired)

				// Everybody is served again, whatever is in their profiles.
				s = e.service(nowhere)
				var got []string
				for _, p := range []person{owner, thief} {
					id, err := token(s, p)
					require.NoError(t, err)
					assert.Equal(t, id, inGraph(p.User))
					got = append(got, id)
				}
				assert.NotContains(t, got, theirs)
				slices.Sort(got)
				assert.Equal(t, got, slices.Sorted(maps.Keys(e.acs.known)), "no identity is lost")
			})
		}
	}
}

func TestAnErasedMappingThatIsPutBackIsWorthNothing(t *testing.T) {
	e := newErasing(t)
	owner := e.person()
	theirs, err := token(e.service(nowhere), owner)
	require.NoError(t, err)
	s := e.service(atIdentity)
	require.NoError(t, s.Erase(owner.ctx, owner.id()))
	require.True(t, e.acs.known[theirs], "ACS did not answer")
	addHeroMapping(t, owner.User, theirs)
	for _, s := range []*identity.Service{s, e.service(atIdentity)} { // this process and another one
		_, err = token(s, owner)
		require.Equal(t, identity.CodeUpstreamUnavailable, identity.CodeOf(err), "nothing is issued for what is being erased")
		_, _, err = s.Refresh(owner.ctx, owner.id(), identity.TokenRequest{})
		require.Equal(t, identity.CodeIdentityNotFound, identity.CodeOf(err))
	}
	next, err := token(e.service(nowhere), owner)
	require.NoError(t, err)
	assert.NotEqual(t, theirs, next)
	assert.Equal(t, map[string]bool{next: true}, e.acs.known)
}

func TestADeadMappingIsReplacedOnceByManyProcesses(t *testing.T) {
	for range 5 {
		e := newErasing(t)
		owner := e.person()
		theirs, err := token(e.service(nowhere), owner)
		require.NoError(t, err)
		require.NoError(t, e.service(nowhere).Erase(owner.ctx, owner.id()))
		addHeroMapping(t, owner.User, theirs)
		services := []*identity.Service{e.service(nowhere), e.service(nowhere), e.service(nowhere)}
		errs := make([]error, 12)
		atOnce(len(errs), func(i int) { _, errs[i] = token(services[i%3], owner) })
		require.NoError(t, errors.Join(errs...))
		assert.Equal(t, map[string]bool{inGraph(owner.User): true}, e.acs.known, "no identity is lost")
		assert.Empty(t, e.notes())
	}
}

func TestAThiefWhoWritesWhatTheyLikeGetsNothingOfOthers(t *testing.T) {
	e := newErasing(t)
	victim, thief := e.person(), e.person()
	services := []*identity.Service{e.service(nowhere), e.service(nowhere), e.service(nowhere)}
	one := func() *identity.Service { return services[rand.IntN(len(services))] }
	const path = "/v1.0/me/extensions/" + graph.DefaultExtension
	var (
		mu              sync.Mutex
		victims, thiefs []string
	)
	steals := func() {
		mu.Lock()
		id := "8:acs:" + identity.NewGUID() + "_" + identity.NewGUID()
		if len(victims) > 0 {
			id = victims[max(0, len(victims)-1-rand.IntN(5))] // one of the last
		}
		mu.Unlock()
		body := `{"extensionName":"` + graph.DefaultExtension + `","acsUserIdentity":"` + id + `"}`
		asUser(t, thief.User, "POST", "/v1.0/me/extensions", body)
		asUser(t, thief.User, "PATCH", path, body)
	}
	atOnce(8, func(i int) {
		p, got := victim, &victims
		if i%2 == 1 {
			p, got = thief, &thiefs
		}
		for range 100 {
			switch n := rand.IntN(8); {
			case n == 0:
				_ = one().Erase(p.ctx, p.id())
			case n == 1 && i%2 == 1:
				asUser(t, thief.User, "DELETE", path, "")
			case n < 4 && i%2 == 1:
				steals()
			default:
				id, err := token(one(), p)
				if err == nil {
					mu.Lock()
					*got = append(*got, id)
					mu.Unlock()
				}
			}
		}
	})
	require.NotEmpty(t, victims)
	require.NotEmpty(t, thiefs)
	for _, id := range thiefs {
		assert.NotContains(t, victims, id)
	}
	_, err := e.service(nowhere).Sweep(t.Context())
	require.NoError(t, err)
	for _, id := range victims {
		assert.True(t, !e.acs.known[id] || id == inGraph(victim.User), "an identity is lost")
	}
}
