package identity_test

import (
	"slices"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"acsauth/internal/identity"
)

func TestAnotherProcessReplacedTheIdentity(t *testing.T) {
	w := newWorld(t)
	stale := w.Service
	_, err := w.mapped(1) // which stale keeps in its cache
	require.NoError(t, err)
	w.restart()
	require.NoError(t, w.Erase(t.Context(), user(1)))
	m, err := w.mapped(1)
	require.NoError(t, err)

	require.NoError(t, stale.Revoke(t.Context(), user(1)), "the cached identity has gone, the user's new one has not")
	_, again, err := stale.Refresh(t.Context(), user(1), chat)
	require.NoError(t, err)
	assert.Equal(t, m.AcsUserID, again.AcsUserID)
}

func TestAReplacedIdentityThatLivesAfterAllIsDeleted(t *testing.T) {
	w := newWorld(t)
	old, err := w.mapped(1)
	require.NoError(t, err)
	wrong := true
	w.issuer.gone = func(id string) bool { return wrong && id == old.AcsUserID }
	_, m, err := w.Token(t.Context(), user(1), chat)
	require.NoError(t, err)
	wrong = false
	assert.Equal(t, []string{m.AcsUserID}, w.issuer.list())
}

func TestAnIdentityThatACSForgotIsReplacedOnce(t *testing.T) {
	w := newWorld(t)
	m, _, err := w.Ensure(t.Context(), user(1))
	require.NoError(t, err)
	w.issuer.forget(m.AcsUserID)
	_, _, err = w.Refresh(t.Context(), user(1), chat)
	assert.Equal(t, identity.CodeIdentityNotFound, identity.CodeOf(err))
	ids := make([]string, 64)
	atOnce(64, func(i int) {
		_, m, err := w.Token(t.Context(), user(1), chat)
		assert.NoError(t, err)
		ids[i] = m.AcsUserID
	})
	assert.Equal(t, w.issuer.list(), slices.Compact(ids))
	assert.NotContains(t, ids, m.AcsUserID)
}

func TestAnIdentityThatACSDeniesForAMomentIsServed(t *testing.T) {
	w := newWorld(t)
	m, _, err := w.Ensure(t.Context(), user(1))
	require.NoError(t, err)
	var asked atomic.Int32
	w.issuer.gone = func(id string) bool { return id == m.AcsUserID && asked.Add(1) == 1 }
	token, got, err := w.Token(t.Context(), user(1), chat)
	require.NoError(t, err)
	assert.Equal(t, m.AcsUserID, got.AcsUserID)
	assert.Equal(t, "token of "+m.AcsUserID, token.Value.Reveal())
	assert.Equal(t, []string{m.AcsUserID}, w.issuer.list(), "what was to take its place is gone")
	stored, err := w.store.Get(t.Context(), user(1))
	require.NoError(t, err)
	assert.Equal(t, m, stored)
}

func TestAnIdentityThatACSDeniesOnlyOnceIsKept(t *testing.T) {
	w := newWorld(t)
	m, _, err := w.Ensure(t.Context(), user(1))
	require.NoError(t, err)
	w.issuer.forget(m.AcsUserID)
	var issues atomic.Int32
	w.issuer.set(func(operation string) fault {
		if operation == "issue" && issues.Add(1) == 3 { // of the old, of the new, of the old again
			return before
		}
		return fine
	})
	_, _, err = w.Token(t.Context(), user(1), chat)
	require.ErrorIs(t, err, errDown)
	stored, err := w.store.Get(t.Context(), user(1))
	require.NoError(t, err)
	assert.Equal(t, m, stored)
	assert.Empty(t, w.issuer.list(), "what was to take its place is gone")
}

func TestAnEndpointThatKnowsNothingCostsNoMapping(t *testing.T) {
	w := newWorld(t)
	m, _, err := w.Ensure(t.Context(), user(1))
	require.NoError(t, err)
	w.issuer.forget(m.AcsUserID)
	w.issuer.set(only("create", before))
	_, _, err = w.Token(t.Context(), user(1), chat)
	require.Error(t, err)
	kept, err := w.store.Get(t.Context(), user(1))
	require.NoError(t, err)
	assert.Equal(t, m.AcsUserID, kept.AcsUserID)
}

func TestAnEndpointThatIssuesNothingCostsNoIdentity(t *testing.T) {
	w := newWorld(t)
	m, err := w.mapped(1)
	require.NoError(t, err)
	w.issuer.gone = func(string) bool { return true }
	_, _, err = w.Token(t.Context(), user(1), chat)
	assert.Equal(t, identity.CodeUpstreamRejected, identity.CodeOf(err))
	w.issuer.set(func(op string) fault {
		if op == "issue" && w.issuer.count() > 1 { // for the new one
			return before
		}
		return fine
	})
	_, _, err = w.Token(t.Context(), user(1), chat)
	assert.Equal(t, identity.CodeUpstreamUnavailable, identity.CodeOf(err))
	w.issuer.set(nil)
	w.issuer.gone = nil
	_, kept, err := w.Token(t.Context(), user(1), chat)
	require.NoError(t, err)
	assert.Equal(t, m.AcsUserID, kept.AcsUserID)
	assert.Equal(t, []string{m.AcsUserID}, w.issuer.list())
	assert.Empty(t, w.notes())
}

func TestErasuresElsewhereAreNoRefusalOfACS(t *testing.T) {
	w := newWorld(t)
	elsewhere := w.Service
	w.restart()
	_, err := w.mapped(1)
	require.NoError(t, err)
	times := 0
	w.issuer.set(func(op string) fault {
		if m, err := w.store.Store.Get(t.Context(), user(1)); op == "issue" && err == nil && times < 3 {
			if times++; w.issuer.known(m.AcsUserID) == nil {
				assert.NoError(t, elsewhere.Erase(t.Context(), user(1)))
			}
		}
		return fine
	})
	_, m, err := w.Token(t.Context(), user(1), chat)
	require.NoError(t, err)
	assert.Equal(t, []string{m.AcsUserID}, w.issuer.list())
}
