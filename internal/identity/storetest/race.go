package storetest

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"acsauth/internal/identity"
)

const (
	racers = 64
	rounds = 10
)

var raceTests = []test{
	{"of 64 creates for one user at once exactly one wins", func(t *testing.T, b Backend) {
		for range rounds {
			race(t, newUser(t), b)
		}
	}},
	{"of many changes to one version at once exactly one wins", func(t *testing.T, b Backend) {
		m := create(t, b, newMapping(t, newUser(t)))
		errs := together(racers, func(i int) error {
			if i%2 == 0 {
				return b.Delete(call(t), m)
			}
			_, err := b.MarkErasing(call(t), m)
			return err
		})
		won := 0
		for _, err := range errs {
			if err == nil {
				won++
			} else if !errors.Is(err, identity.ErrNotFound) {
				assert.ErrorIs(t, err, identity.ErrVersion)
			}
		}
		assert.Equal(t, 1, won)
	}},
}

type besideTest struct {
	name string
	run  func(t *testing.T, b Backend, beside func(resource string) Backend)
}

var besideTests = []besideTest{
	{"two handles on one place share what is in it", func(t *testing.T, b Backend, beside func(string) Backend) {
		second := beside(Resource)
		m := create(t, b, newMapping(t, newUser(t)))
		got, err := second.Get(call(t), m.User)
		require.NoError(t, err)
		require.Equal(t, m, got)
		require.NoError(t, second.Delete(call(t), got))
		_, err = b.Get(call(t), m.User)
		assert.ErrorIs(t, err, identity.ErrNotFound)
	}},
	{"of creates through two handles exactly one wins", func(t *testing.T, b Backend, beside func(string) Backend) {
		second := beside(Resource)
		for range rounds {
			race(t, newUser(t), b, second)
		}
	}},
	{"another resource sees neither mappings nor erasures", func(t *testing.T, b Backend, beside func(string) Backend) {
		other := beside(OtherResource)
		m := create(t, b, newMapping(t, newUser(t)))
		_, err := other.Get(call(t), m.User)
		require.ErrorIs(t, err, identity.ErrNotFound)
		require.ErrorIs(t, other.Delete(call(t), m), identity.ErrNotFound)
		theirs := create(t, other, newMapping(t, m.User))
		for b, want := range map[Backend]identity.Mapping{b: m, other: theirs} {
			if _, ok := b.(identity.Lister); ok {
				require.Equal(t, []identity.Mapping{want}, mappings(t, b, ""))
			}
		}

		note := identity.Erasure{AcsUserID: m.AcsUserID, User: m.User, Reason: identity.ReasonOrphan, RecordedAt: m.CreatedAt}
		require.NoError(t, b.Record(call(t), note))
		require.NoError(t, other.Clear(call(t), note))
		require.Empty(t, listed(t, other))
		assert.Equal(t, []identity.Erasure{note}, listed(t, b))

		require.NoError(t, b.Delete(call(t), m))
		got, err := other.Get(call(t), m.User)
		require.NoError(t, err)
		assert.Equal(t, theirs, got)
	}},
	{"keys at their limits fit", func(t *testing.T, _ Backend, beside func(string) Backend) {
		// The longest name that ACS gives a resource is 63 characters, in a domain
		// such as this one.
		b := beside(strings.Repeat("a", 63) + ".unitedarabemirates.communication.azure.com")
		m := newMapping(t, newUser(t))
		m.AcsUserID = "8:acs:" + strings.Repeat("x", MaxAcsUserID-6)
		want := create(t, b, m)
		got, err := b.Get(call(t), m.User)
		require.NoError(t, err)
		require.Equal(t, want, got)
		for _, reason := range []identity.Reason{identity.ReasonErase, identity.ReasonOrphan} {
			note := identity.Erasure{AcsUserID: m.AcsUserID, User: m.User, Reason: reason, RecordedAt: m.CreatedAt}
			require.NoError(t, b.Record(call(t), note))
			require.Equal(t, []identity.Erasure{note}, listed(t, b))
			require.NoError(t, b.Clear(call(t), note))
		}
		if lister, ok := b.(identity.Lister); ok {
			for listed, err := range lister.Mappings(call(t), "") {
				require.NoError(t, err)
				assert.Equal(t, want, listed)
			}
		}
		require.NoError(t, b.Delete(call(t), got))

		m.AcsUserID = strings.Repeat("x", 2000)
		if _, err := b.Create(call(t), m); err != nil {
			assert.NoError(t, isPlain(err), "what does not fit is refused before it is sent")
		}
	}},
	{"a resource is one in any case", func(t *testing.T, b Backend, beside func(string) Backend) {
		m := create(t, b, newMapping(t, newUser(t)))
		got, err := beside("Contoso.UnitedStates.Communication.Azure.COM").Get(call(t), m.User)
		require.NoError(t, err)
		assert.Equal(t, m, got)
	}},
}

// race creates mappings for user on all handles at once.
func race(t *testing.T, user identity.User, handles ...Backend) {
	t.Helper()
	created := make([]identity.Mapping, racers)
	mappings := make([]identity.Mapping, racers)
	for i := range mappings {
		mappings[i] = newMapping(t, user)
	}
	errs := together(racers, func(i int) (err error) {
		created[i], err = handles[i%len(handles)].Create(call(t), mappings[i])
		return err
	})
	winner := -1
	for i, err := range errs {
		if err == nil {
			require.Equal(t, -1, winner, "a second create won")
			winner = i
			continue
		}
		require.ErrorIs(t, err, identity.ErrExists)
	}
	require.NotEqual(t, -1, winner, "no create won")
	for _, b := range handles {
		got, err := b.Get(call(t), user)
		require.NoError(t, err)
		require.Equal(t, created[winner], got)
		require.Equal(t, mappings[winner].AcsUserID, got.AcsUserID)
	}
}

// inParallel calls work for 0 to n-1, a few at once, and returns what each
// returned.
func inParallel(n int, work func(i int) error) []error {
	errs := make([]error, n)
	var next atomic.Int64
	var done sync.WaitGroup
	for range 8 {
		done.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				errs[i] = work(i)
			}
		})
	}
	done.Wait()
	return errs
}

// together calls work n times at once and returns what each returned.
func together(n int, work func(i int) error) []error {
	errs := make([]error, n)
	start := make(chan struct{})
	var done sync.WaitGroup
	for i := range n {
		done.Go(func() {
			<-start
			errs[i] = work(i)
		})
	}
	close(start)
	done.Wait()
	return errs
}
