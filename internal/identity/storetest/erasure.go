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
		assert.Empty(t, listed(t, b))
	}},
	{"an erasure is listed whole until it is cleared", func(t *testing.T, b Backend) {
		one, two := newErasure(t), newErasure(t)
		two.Reason = identity.ReasonOrphan
		require.NoError(t, b.Record(call(t), one))
		require.NoError(t, b.Record(call(t), two))
		require.ElementsMatch(t, []identity.Erasure{one, two}, listed(t, b))

		require.NoError(t, b.Clear(call(t), one))
		assert.Equal(t, []identity.Erasure{two}, listed(t, b))
	}},
	{"the time of recording is kept in UTC and to the second", func(t *testing.T, b Backend) {
		want := newErasure(t)
		given := want
		given.RecordedAt = want.RecordedAt.Add(123456789 * time.Nanosecond).In(time.FixedZone("", -5*60*60))
		require.NoError(t, b.Record(call(t), given))
		assert.Equal(t, []identity.Erasure{want}, listed(t, b))
	}},
	{"an erasure recorded twice is one, and the later note counts", func(t *testing.T, b Backend) {
		note := newErasure(t)
		require.NoError(t, b.Record(call(t), note))
		require.NoError(t, b.Record(call(t), note))
		note.RecordedAt = note.RecordedAt.Add(time.Minute)
		require.NoError(t, b.Record(call(t), note))
		assert.Equal(t, []identity.Erasure{note}, listed(t, b))
	}},
	{"notes for two reasons leave each other alone", func(t *testing.T, b Backend) {
		erase := newErasure(t)
		orphan := erase
		orphan.Reason = identity.ReasonOrphan
		require.NoError(t, b.Record(call(t), erase))
		require.NoError(t, b.Record(call(t), orphan))
		require.ElementsMatch(t, []identity.Erasure{erase, orphan}, listed(t, b))
		require.NoError(t, b.Clear(call(t), orphan))
		assert.Equal(t, []identity.Erasure{erase}, listed(t, b))
	}},
	{"a long list is whole, and may be worked on while it is read", func(t *testing.T, b Backend) {
		const n = 1200 // more than a page of any store
		recorded := map[string]bool{}
		notes := make([]identity.Erasure, n)
		for i := range notes {
			notes[i] = newErasure(t)
			recorded[notes[i].AcsUserID] = true
		}
		for _, err := range inParallel(n, func(i int) error { return b.Record(call(t), notes[i]) }) {
			require.NoError(t, err)
		}
		for note, err := range b.List(call(t)) {
			require.NoError(t, err)
			require.True(t, recorded[note.AcsUserID], "listed twice, or never recorded")
			delete(recorded, note.AcsUserID)
			if len(recorded)%10 == 0 {
				require.NoError(t, b.Clear(call(t), note))
			}
		}
		require.Empty(t, recorded)
		assert.Len(t, listed(t, b), n-n/10)
		for range b.List(call(t)) {
			break // which must end well
		}
	}},
	{"to clear what is not noted does nothing", func(t *testing.T, b Backend) {
		note := newErasure(t)
		require.NoError(t, b.Clear(call(t), note), "with nothing noted ever")
		require.NoError(t, b.Record(call(t), note))
		require.NoError(t, b.Clear(call(t), newErasure(t)))
		require.Equal(t, []identity.Erasure{note}, listed(t, b))
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
		assert.Equal(t, []identity.Erasure{note}, listed(t, b))
	}},
}
