package identity_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"acsauth/internal/identity"
)

// noted makes n identities that no mapping holds and notes them as recorded at
// that time.
func (w *world) noted(n int, prefix string, recordedAt time.Time) {
	w.Helper()
	for i := range n {
		id := fmt.Sprintf("8:acs:resource_%s%d", prefix, i)
		w.issuer.identities[id] = true
		require.NoError(w, w.store.Store.Record(w.Context(), identity.Erasure{AcsUserID: id, User: user(i), Reason: identity.ReasonOrphan, RecordedAt: recordedAt}))
	}
}

func TestOneSweepFinishesWhatAKilledProcessLeft(t *testing.T) {
	w := newWorld(t)
	const users = 200
	for n := range users {
		_, err := w.mapped(n)
		require.NoError(t, err)
	}
	// What the process was at when it died differs from user to user.
	for n := range users {
		stop := []string{"mark", "remove", "clear", "none"}[n%4]
		w.store.set(only(stop, before))
		_ = w.Erase(t.Context(), user(n))
	}
	w.store.set(nil)
	w.restart()
	swept, err := w.Sweep(t.Context())
	require.NoError(t, err)
	assert.Equal(t, identity.Swept{Finished: users * 3 / 4}, swept)
	assert.Empty(t, w.issuer.list())
	assert.Empty(t, w.notes())
	for n := range users {
		_, err := w.store.Get(t.Context(), user(n))
		assert.ErrorIs(t, err, identity.ErrNotFound)
	}
}

func TestNotesThatFailHoldUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		const stuck, fine = 400, 40
		w.noted(stuck, "stuck", time.Now())
		w.noted(fine, "fine", time.Now())
		w.issuer.stuck = func(id string) bool { return strings.Contains(id, "_stuck") }
		sweeps := 0
		for len(w.notes()) > stuck {
			sweeps++
			require.Less(t, sweeps, 300, "some notes are never reached")
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			began := time.Now()
			swept, err := w.Sweep(ctx)
			cancel()
			require.NoError(t, err)
			assert.LessOrEqual(t, time.Since(began), 31*time.Second)
			assert.Equal(t, len(w.notes()), swept.Pending)
		}
		assert.Greater(t, sweeps, 1, "there was not time for all")
		w.issuer.stuck = nil
		swept, err := w.Sweep(t.Context())
		require.NoError(t, err)
		assert.Equal(t, identity.Swept{Finished: stuck}, swept)
		assert.Empty(t, w.issuer.list())
	})
}

func TestSweepsAtOnceDoNoHarm(t *testing.T) {
	w := newWorld(t)
	kept, err := w.mapped(1000)
	require.NoError(t, err)
	w.noted(300, "left", time.Now())
	services := []*identity.Service{w.Service}
	for range 3 {
		w.restart()
		services = append(services, w.Service)
	}
	atOnce(len(services), func(i int) {
		_, err := services[i].Sweep(t.Context())
		assert.NoError(t, err)
	})
	assert.Equal(t, []string{kept.AcsUserID}, w.issuer.list())
	assert.Empty(t, w.notes())
}

func TestTheLogTellsOfNotesThatStay(t *testing.T) {
	w := newWorld(t)
	_, err := w.Sweep(t.Context())
	require.NoError(t, err)
	assert.Empty(t, w.log.String(), "nothing to tell")

	w.noted(2, "old", time.Now().Add(-2*time.Hour))
	w.noted(30, "new", time.Now().Add(-time.Minute))
	w.issuer.set(only("delete", before))
	swept, err := w.Sweep(t.Context())
	require.NoError(t, err)
	assert.Equal(t, identity.Swept{Failed: 32, Pending: 32, Overdue: 2}, swept)
	assert.Contains(t, w.log.String(), `level=WARN msg="swept noted erasures" finished=0 failed=32 pending=32 overdue=2`)
	assert.Equal(t, 20, strings.Count(w.log.String(), "could not be finished"), "not a line for each of thousands")

	w.log.Reset()
	w.issuer.set(nil)
	_, err = w.Sweep(t.Context())
	require.NoError(t, err)
	assert.Contains(t, w.log.String(), `level=INFO msg="swept noted erasures" finished=32 failed=0 pending=0 overdue=0`)
}

func TestAListThatCannotBeReadIsAnError(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, w.store.Close())
	_, err := w.Sweep(t.Context())
	assert.Equal(t, identity.CodeUpstreamUnavailable, identity.CodeOf(err))
	assert.Contains(t, w.log.String(), "level=WARN msg=\"swept noted erasures\"")
}

func TestAPanicInASweepIsAFailure(t *testing.T) {
	w := newWorld(t)
	w.noted(3, "left", time.Now())
	w.issuer.set(func(string) fault { panic("oops") })
	swept, err := w.Sweep(t.Context())
	require.NoError(t, err)
	assert.Equal(t, identity.Swept{Failed: 3, Pending: 3}, swept)
}

func TestWithoutACallerASweepGoesByTheNote(t *testing.T) {
	w := newWorld(t)
	for n := range 2 {
		_, err := w.mapped(n)
		require.NoError(t, err)
	}
	w.issuer.set(only("delete", before))
	require.NoError(t, w.Erase(t.Context(), user(0)))
	w.issuer.set(nil)
	w.restart()
	w.store.needsCaller = true
	swept, err := w.Sweep(t.Context())
	require.NoError(t, err)
	assert.Equal(t, identity.Swept{Finished: 1}, swept)
	assert.Len(t, w.issuer.list(), 1)

	w.store.needsCaller = false // the user calls
	_, m, err := w.Token(t.Context(), user(0), chat)
	require.NoError(t, err)
	assert.Contains(t, w.issuer.list(), m.AcsUserID)
	assert.Empty(t, w.notes())
}
