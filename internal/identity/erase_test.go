package identity_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"acsauth/internal/identity"
)

// hold stops the first call of an operation until it is let go.
func (w *world) hold(operation string) (letGo func()) {
	released := make(chan struct{})
	first := true
	w.store.set(func(op string) fault {
		if op == operation && first {
			first = false
			<-released
		}
		return fine
	})
	return func() { close(released) }
}

// quiet waits until nothing goes on any more but what is held.
func quiet() {
	time.Sleep(time.Second) // the store's writes wait a moment for each other
	synctest.Wait()
}

// A user who comes back while the erasure is under way has a new identity, and
// may have that one erased too.
func TestAnErasureIsNotTakenForALaterOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		_, err := w.mapped(1)
		require.NoError(t, err)
		letGo := w.hold("clear")
		for range 2 {
			go func() { assert.NoError(t, w.Erase(t.Context(), user(1))) }()
			quiet()
			_, err = w.mapped(1) // all but the note of the first is gone
			require.NoError(t, err)
		}
		letGo()
		quiet()
		_, err = w.store.Get(t.Context(), user(1))
		assert.ErrorIs(t, err, identity.ErrNotFound)
		assert.Empty(t, w.issuer.list())
	})
}

func TestAnErasedIdentityIsNotToldAfterwards(t *testing.T) {
	for _, row := range []struct {
		name string
		ask  func(*world) (identity.Mapping, error)
		then assert.ErrorAssertionFunc
	}{
		{"who asks for one has a new one", func(w *world) (identity.Mapping, error) { return w.mapped(1) }, assert.NoError},
		{"who looks for one has none", func(w *world) (identity.Mapping, error) { return w.Find(w.Context(), user(1)) }, assert.Error},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				old, err := w.mapped(1)
				require.NoError(t, err)
				w.restart() // nothing is in memory
				letGo := w.hold("got")
				go func() { _, _ = row.ask(w) }()
				quiet() // it has read, and not told
				require.NoError(t, w.Erase(t.Context(), user(1)))
				go func() {
					m, err := row.ask(w)
					row.then(t, err)
					assert.NotEqual(t, old.AcsUserID, m.AcsUserID)
				}()
				quiet()
				letGo()
				quiet()
			})
		})
	}
}

// A sweep that fails to mark what a caller's erasure has marked meanwhile does
// not take that back: a slow reader must not bring the identity to life again.
func TestASweepThatFailsDoesNotUndoAnErasure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m, err := w.mapped(1)
		require.NoError(t, err)
		require.NoError(t, w.store.Record(t.Context(), identity.Erasure{AcsUserID: m.AcsUserID, User: m.User, Reason: identity.ReasonErase, RecordedAt: time.Now()}))
		w.restart()
		reader, sweep := make(chan struct{}), make(chan struct{})
		seen := map[string]int{}
		w.store.set(func(op string) fault {
			seen[op]++
			switch {
			case op == "got" && seen[op] == 1:
				<-reader
			case op == "mark" && seen[op] == 1:
				<-sweep
				return before
			}
			return fine
		})
		w.issuer.set(only("delete", before))

		go func() {
			_, _, err := w.Refresh(t.Context(), m.User, chat)
			assert.Equal(t, identity.CodeIdentityNotFound, identity.CodeOf(err), "%v", err)
		}()
		quiet()
		go func() { _, _ = w.Sweep(t.Context()) }()
		quiet()
		require.NoError(t, w.Erase(t.Context(), m.User))
		close(sweep)
		quiet()
		close(reader)
		quiet()
		_, _, err = w.Refresh(t.Context(), m.User, chat)
		assert.Equal(t, identity.CodeIdentityNotFound, identity.CodeOf(err), "%v", err)
	})
}
