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
	require.Equal(t, identity.CodeUpstreamRejected, identity.CodeOf(err), "%v", err)
	assert.ErrorContains(t, err, "not recorded by this service")
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
				m.User, m.AcsUserID = bob, "8:acs:bobs_own"
				_, err = store.Create(as(t.Context(), bob), m)
				require.NoError(t, err, "who takes it away is served again")
				found(t, store, bob, "8:acs:bobs_own")
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
				assert.Equal(t, identity.CodeUpstreamRejected, identity.CodeOf(err))
			}
		}
	}
}

func TestAReleasedIdentityCanBeClaimedAgain(t *testing.T) {
	s := newService(t)
	s.heroCreates(alice, heroID)
	s.heroCreates(bob, heroID)
	found(t, s.open(), alice, heroID)
	require.NoError(t, s.claims.Release(t.Context(), heroID))
	found(t, s.open(), bob, heroID)
}

// register counts what it is asked, and answers with err where there is one.
type register struct {
	identity.Claims
	err   error
	asked int
}

func (r *register) Claim(ctx context.Context, acsUserID string, user identity.User) error {
	r.asked++
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

func TestASealNeedsNoClaimToBeRead(t *testing.T) {
	s := newService(t)
	r := &register{Claims: s.claims}
	s.claims = r
	_, err := s.open(withKey).Create(as(t.Context(), alice), newMapping(heroID))
	require.NoError(t, err)
	assert.Equal(t, 1, r.asked, "what is made is claimed all the same")
	found(t, s.open(withKey), alice, heroID)
	assert.Equal(t, 1, r.asked)
}

func TestASealedIdentityIsNobodyElsesOnceUnsealedOnesAreTaken(t *testing.T) {
	for name, missing := range map[string]bool{"made with its claim": false, "its claim is missing, its owner called": true} {
		t.Run(name, func(t *testing.T) {
			s := newService(t)
			_, err := s.open(withKey).Create(as(t.Context(), alice), newMapping(heroID))
			require.NoError(t, err)
			if missing {
				require.NoError(t, s.claims.Release(t.Context(), heroID))
				found(t, s.open(withKey, accepting), alice, heroID)
			}
			s.heroCreates(bob, heroID)
			refused(t, s.open(withKey, accepting), bob)
			refused(t, s.open(withKey), bob)
			refused(t, s.open(), bob)
			found(t, s.open(withKey, accepting), alice, heroID)
		})
	}
}

func TestASealCountsForMoreThanAnothersClaim(t *testing.T) {
	s := newService(t)
	_, err := s.open(withKey).Create(as(t.Context(), alice), newMapping(heroID))
	require.NoError(t, err)
	require.NoError(t, s.claims.Release(t.Context(), heroID))
	require.NoError(t, s.claims.Claim(t.Context(), heroID, bob))
	found(t, s.open(withKey, accepting), alice, heroID)
}
