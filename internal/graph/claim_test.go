package graph

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"acsauth/internal/identity"
	"acsauth/internal/secret"
)

var bob = identity.User{TenantID: alice.TenantID, ObjectID: "1b2d6e4f-a5c3-4f70-9b81-4d3e2c1f0a92"}

func withKey(o *Options) { o.Keys = []secret.String{secret.New("key")} }

func accepting(o *Options) { o.AcceptUnsealed = true }

// refused wants the answer that a bad seal gets.
func refused(t *testing.T, s *Store, user identity.User) {
	t.Helper()
	_, err := s.Get(as(t.Context(), user), user)
	require.Equal(t, identity.CodeAccessBlocked, identity.CodeOf(err), "%v", err)
	assert.ErrorContains(t, err, "not recorded as yours")
	assert.NotErrorIs(t, err, identity.ErrNotFound)
	assert.NotContains(t, err.Error(), "8:acs:")
}

func found(t *testing.T, s *Store, user identity.User, acsUserID string) {
	t.Helper()
	m, err := s.Get(as(t.Context(), user), user)
	require.NoError(t, err)
	assert.Equal(t, acsUserID, m.AcsUserID)
}

func TestAnIdentityThatThisServiceMadeIsNobodyElses(t *testing.T) {
	for name, change := range map[string]func(*Options){
		"without keys":               func(*Options) {},
		"with keys, while moving on": func(o *Options) { withKey(o); accepting(o) },
	} {
		for how, planted := range map[string]string{
			"as it is": heroID, "in upper case": "8:ACS:" + strings.ToUpper(heroID[6:]), "with a dot": heroID + ".",
			"with a colon": heroID + ":", "without hyphens": strings.ReplaceAll(heroID, "-", ""),
		} {
			t.Run(name+", "+how, func(t *testing.T) {
				s := newService(t)
				s.heroCreates(bob, planted)
				store := s.open(change)
				m := newMapping(heroID)
				_, err := store.Create(as(t.Context(), alice), m)
				require.NoError(t, err)
				refused(t, store, bob)
				found(t, store, alice, heroID)

				status, _ := s.do(bob, "DELETE", "/v1.0/me/extensions/"+DefaultExtension, "")
				require.Equal(t, 204, status)
				m.User, m.AcsUserID = bob, otherID
				_, err = store.Create(as(t.Context(), bob), m)
				require.NoError(t, err, "who takes it away is served again")
				found(t, store, bob, otherID)
			})
		}
	}
}

func TestAnIdentityOfAHeroSampleIsWhoseCallComesFirst(t *testing.T) {
	s := newService(t)
	s.heroCreates(alice, heroID)
	s.heroCreates(bob, heroID)
	store := s.open()
	found(t, store, alice, heroID)
	refused(t, store, bob)
	found(t, s.open(), alice, heroID)

	s = newService(t)
	s.heroCreates(alice, heroID)
	s.heroCreates(bob, heroID)
	refused(t, s.open(withKey), bob)
	refused(t, s.open(withKey), alice)
	found(t, s.open(), bob, heroID) // what a key closes, and only a key
	refused(t, s.open(), alice)
}

func TestOfManyWhoNameAnIdentityAtOnceOneGetsIt(t *testing.T) {
	for range 10 {
		s := newService(t)
		users := []identity.User{alice, bob}
		for _, u := range users {
			s.heroCreates(u, heroID)
		}
		stores := []*Store{s.open(), s.open()}
		errs := make([]error, 16)
		var done sync.WaitGroup
		for i := range errs {
			u := users[i%2]
			done.Go(func() { _, errs[i] = stores[i/8].Get(as(t.Context(), u), u) })
		}
		done.Wait()
		winner := 0
		if errs[0] != nil {
			winner = 1
		}
		for i, err := range errs {
			if i%2 == winner {
				assert.NoError(t, err)
			} else {
				assert.Equal(t, identity.CodeAccessBlocked, identity.CodeOf(err))
			}
		}
	}
}

func TestARetiredIdentityIsBeingErasedWhoeverNamesIt(t *testing.T) {
	for name, change := range map[string]func(*Options){
		"without keys": func(*Options) {}, "with keys": withKey, "with keys, while moving on": func(o *Options) { withKey(o); accepting(o) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(t)
			store, ctx := s.open(change), as(t.Context(), alice)
			m, err := store.Create(ctx, newMapping(heroID))
			require.NoError(t, err)
			mine := s.Extension(alice.TenantID, alice.ObjectID, DefaultExtension)
			require.NoError(t, s.claims.Retire(t.Context(), heroID))
			want := m
			want.Erasing = true
			got, err := store.Get(ctx, alice)
			require.NoError(t, err)
			require.Equal(t, want, got, "nobody has deleted it yet")
			require.NoError(t, store.Delete(ctx, got))
			require.ErrorIs(t, store.Delete(ctx, got), identity.ErrNotFound)
			require.Empty(t, s.heroReads(alice))

			s.plants(alice, mine)
			got, err = store.Get(ctx, alice)
			require.NoError(t, err)
			require.Equal(t, want, got, "its user has put it back, seal and all")
			require.NoError(t, store.Delete(ctx, got))
			next := newMapping(otherID)
			_, err = store.Create(ctx, next)
			require.NoError(t, err)
			require.ErrorIs(t, store.Delete(ctx, got), identity.ErrNotFound, "another call was quicker")
			found(t, store, alice, otherID)

			s.heroCreates(bob, heroID)
			if theirs, err := store.Get(as(t.Context(), bob), bob); name == "with keys" {
				assert.Equal(t, identity.CodeAccessBlocked, identity.CodeOf(err))
			} else {
				require.NoError(t, err)
				assert.True(t, theirs.Erasing)
			}
		})
	}
}

func TestAnIdentityThatIsNotNewIsNotRecorded(t *testing.T) {
	s := newService(t)
	require.NoError(t, s.claims.Claim(t.Context(), heroID, bob))
	require.NoError(t, s.claims.Retire(t.Context(), otherID))
	for _, id := range []string{heroID, otherID} {
		_, err := s.open().Create(as(t.Context(), alice), newMapping(id))
		assert.Equal(t, identity.CodeUpstreamRejected, identity.CodeOf(err))
		assert.Empty(t, s.heroReads(alice))
	}
}

// register answers with err where there is one.
type register struct {
	identity.Claims
	err error
}

func (r *register) Claim(ctx context.Context, acsUserID string, user identity.User) error {
	if r.err != nil {
		return r.err
	}
	return r.Claims.Claim(ctx, acsUserID, user)
}

func TestWhereTheRegisterIsDownNothingIsTakenNorWritten(t *testing.T) {
	down := identity.Errorf(identity.CodeUpstreamUnavailable, "down")
	for _, failure := range []error{down, errors.New("a claim can't be read")} {
		s := newService(t)
		r := &register{Claims: s.claims, err: failure}
		s.claims = r
		_, err := s.open().Create(as(t.Context(), alice), newMapping(heroID))
		require.ErrorIs(t, err, failure)
		assert.Empty(t, s.heroReads(alice))
		s.heroCreates(alice, heroID)
		_, err = s.open().Get(as(t.Context(), alice), alice)
		require.ErrorIs(t, err, failure)
		assert.NotErrorIs(t, err, identity.ErrNotFound)
		r.err = nil
		found(t, s.open(), alice, heroID)
	}
}

func TestASealedIdentityIsNobodyElses(t *testing.T) {
	for name, change := range map[string]func(*Options){"with keys": withKey, "while moving on": func(o *Options) { withKey(o); accepting(o) }} {
		t.Run(name, func(t *testing.T) {
			s := newService(t)
			_, err := s.open(withKey).Create(as(t.Context(), alice), newMapping(heroID))
			require.NoError(t, err)
			s.claims = newPlace(t) // the register is lost, and its owner calls
			found(t, s.open(change), alice, heroID)
			s.heroCreates(bob, heroID)
			refused(t, s.open(withKey, accepting), bob)
			refused(t, s.open(withKey), bob)
			refused(t, s.open(), bob)
			found(t, s.open(withKey, accepting), alice, heroID)
		})
	}
}

// Who came first to a hero sample's identity has a seal for it. It does not outlast
// what the operator writes into the register.
func TestAClaimCountsForMoreThanASeal(t *testing.T) {
	s := newService(t)
	s.heroCreates(bob, heroID)
	found(t, s.open(withKey, accepting), bob, heroID)
	require.NotEmpty(t, s.Extension(bob.TenantID, bob.ObjectID, DefaultExtension)["seal"])
	found(t, s.open(withKey), bob, heroID)

	s.claims = newPlace(t)
	require.NoError(t, s.claims.Claim(t.Context(), heroID, alice))
	s.heroCreates(alice, heroID)
	for _, store := range []*Store{s.open(withKey, accepting), s.open(withKey), s.open()} {
		refused(t, store, bob)
		if len(store.seals.keys) == 0 || store.acceptUnsealed {
			found(t, store, alice, heroID)
		}
	}
	found(t, s.open(withKey), alice, heroID)
}

func TestAnIdentityOfAnotherFormIsTakenFromNobodyButThisService(t *testing.T) {
	const resource, user = "2dee53b4-368b-45b4-ab52-8493fb117652", "00000005-14a2-493b-8a72-5a3a0d000081"
	for _, id := range []string{
		"8:orgid:" + user, "8:acs:" + resource + "_" + alice.TenantID + "_" + user, "8:teamsvisitor:" + user, "8:acs:a_b",
		"8:acs:" + resource + "_" + strings.ToUpper(user), "8:acs:" + resource + "_" + user + ".",
	} {
		s := newService(t)
		s.heroCreates(bob, id)
		refused(t, s.open(), bob)
		refused(t, s.open(withKey, accepting), bob)
		for _, change := range []func(*Options){func(*Options) {}, withKey} {
			_, err := s.open(change).Create(as(t.Context(), alice), newMapping(id))
			require.NoError(t, err, "nor has it been entered")
			found(t, s.open(change), alice, id)
			status, _ := s.do(alice, "DELETE", "/v1.0/me/extensions/"+DefaultExtension, "")
			require.Equal(t, 204, status)
		}
		refused(t, s.open(), bob)
	}
}
