package storetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"acsauth/internal/identity"
)

var erasureTests = []test{
	{"a store without erasures lists none", func(t *testing.T, b Backend) {
		notes, err := b.List(call(t), 10)
		require.NoError(t, err)
		assert.Empty(t, notes)
	}},
	{"an erasure is listed whole until it is cleared", func(t *testing.T, b Backend) {
		one, two := newErasure(t), newErasure(t)
		two.Reason = identity.ReasonOrphan
		require.NoError(t, b.Record(call(t), one))
		require.NoError(t, b.Record(call(t), two))
		notes, err := b.List(call(t), 10)
		require.NoError(t, err)
		require.ElementsMatch(t, []identity.Erasure{one, two}, notes)

		require.NoError(t, b.Clear(call(t), one))
		notes, err = b.List(call(t), 10)
		require.NoError(t, err)
		assert.Equal(t, []identity.Erasure{two}, notes)
	}},
	{"the time of recording is kept in UTC and to the second", func(t *testing.T, b Backend) {
		want := newErasure(t)
		given := want
		given.RecordedAt = want.RecordedAt.Add(123456789 * time.Nanosecond).In(time.FixedZone("", -5*60*60))
		require.NoError(t, b.Record(call(t), given))
		notes, err := b.List(call(t), 10)
		require.NoError(t, err)
		assert.Equal(t, []identity.Erasure{want}, notes)
	}},
	{"an erasure recorded twice is one, and the later note counts", func(t *testing.T, b Backend) {
		note := newErasure(t)
		require.NoError(t, b.Record(call(t), note))
		require.NoError(t, b.Record(call(t), note))
		note.Reason = identity.ReasonOrphan
		note.RecordedAt = note.RecordedAt.Add(time.Minute)
		require.NoError(t, b.Record(call(t), note))
		notes, err := b.List(call(t), 10)
		require.NoError(t, err)
		assert.Equal(t, []identity.Erasure{note}, notes)
	}},
	{"a list is no longer than its limit", func(t *testing.T, b Backend) {
		const n = 7
		recorded := map[string]bool{}
		for range n {
			note := newErasure(t)
			recorded[note.AcsUserID] = true
			require.NoError(t, b.Record(call(t), note))
		}
		for limit, want := range map[int]int{-1: 0, 0: 0, 1: 1, 3: 3, n: n, n + 1: n, 5000: n} {
			notes, err := b.List(call(t), limit)
			require.NoError(t, err)
			require.Len(t, notes, want, "limit %d", limit)
			seen := map[string]bool{}
			for _, note := range notes {
				assert.True(t, recorded[note.AcsUserID])
				assert.False(t, seen[note.AcsUserID], "listed twice")
				seen[note.AcsUserID] = true
			}
		}
	}},
	{"to clear what is not noted does nothing", func(t *testing.T, b Backend) {
		note := newErasure(t)
		require.NoError(t, b.Clear(call(t), note), "with nothing noted ever")
		require.NoError(t, b.Record(call(t), note))
		require.NoError(t, b.Clear(call(t), newErasure(t)))
		notes, err := b.List(call(t), 10)
		require.NoError(t, err)
		require.Equal(t, []identity.Erasure{note}, notes)
		require.NoError(t, b.Clear(call(t), note))
		assert.NoError(t, b.Clear(call(t), note), "cleared before")
	}},
	{"erasures and mappings leave each other alone", func(t *testing.T, b Backend) {
		m := create(t, b, newMapping(t, newUser(t)))
		note := identity.Erasure{AcsUserID: m.AcsUserID, User: m.User, Reason: identity.ReasonErase, RecordedAt: m.CreatedAt}
		require.NoError(t, b.Record(call(t), note))
		got, err := b.Get(call(t), m.User)
		require.NoError(t, err)
		require.Equal(t, m, got)
		require.NoError(t, b.Delete(call(t), m))
		notes, err := b.List(call(t), 10)
		require.NoError(t, err)
		assert.Equal(t, []identity.Erasure{note}, notes)
	}},
}
