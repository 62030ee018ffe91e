package storetest

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"acsauth/internal/identity"
)

var claimTests = []test{
	{"an identity is whose claim came first, until it is released", func(t *testing.T, b Backend) {
		claims, id, first, second := b.(identity.Claims), acsUserID(t), newUser(t), newUser(t)
		require.NoError(t, claims.Release(call(t), id), "nobody's")
		require.NoError(t, claims.Claim(call(t), id, first))
		require.NoError(t, claims.Claim(call(t), id, first), "again")
		require.ErrorIs(t, claims.Claim(call(t), id, second), identity.ErrClaimed)
		require.ErrorIs(t, claims.Claim(call(t), strings.ToUpper(id), second), identity.ErrClaimed)
		require.NoError(t, claims.Claim(call(t), acsUserID(t), second), "another identity")

		require.NoError(t, claims.Release(call(t), strings.ToUpper(id)))
		require.NoError(t, claims.Release(call(t), id), "twice")
		require.NoError(t, claims.Claim(call(t), id, second))
		assert.ErrorIs(t, claims.Claim(call(t), id, first), identity.ErrClaimed)
	}},
	{"of many users who claim an identity at once exactly one wins", func(t *testing.T, b Backend) {
		claims, id := b.(identity.Claims), acsUserID(t)
		users := make([]identity.User, racers)
		for i := range users {
			users[i] = newUser(t)
		}
		won := 0
		for i, err := range together(racers, func(i int) error { return claims.Claim(call(t), id, users[i]) }) {
			if err == nil {
				won++
				require.NoError(t, claims.Claim(call(t), id, users[i]))
			} else {
				assert.ErrorIs(t, err, identity.ErrClaimed)
			}
		}
		assert.Equal(t, 1, won)
	}},
	{"one user who claims an identity in many calls at once has it in each", func(t *testing.T, b Backend) {
		claims, id, user := b.(identity.Claims), acsUserID(t), newUser(t)
		errs := together(racers, func(int) error { return claims.Claim(call(t), id, user) })
		assert.NoError(t, errors.Join(errs...))
	}},
	{"claims, mappings and erasures leave each other alone", func(t *testing.T, b Backend) {
		claims, m := b.(identity.Claims), newMapping(t, newUser(t))
		require.NoError(t, claims.Claim(call(t), m.AcsUserID, m.User))
		assert.Empty(t, mappings(t, b, ""))
		assert.Empty(t, listed(t, b))
		m = create(t, b, m)
		note := newErasure(t)
		note.AcsUserID = m.AcsUserID
		require.NoError(t, b.Record(call(t), note))
		require.NoError(t, claims.Release(call(t), m.AcsUserID))
		assert.Equal(t, []identity.Mapping{m}, mappings(t, b, ""))
		assert.Equal(t, []identity.Erasure{note}, listed(t, b))
	}},
	{"a claim that makes no sense is refused", func(t *testing.T, b Backend) {
		claims := b.(identity.Claims)
		assert.NoError(t, isPlain(claims.Claim(call(t), "", newUser(t))))
		assert.NoError(t, isPlain(claims.Claim(call(t), acsUserID(t), identity.User{TenantID: "claims"})))
		longest := strings.Repeat("a", MaxAcsUserID)
		assert.NoError(t, claims.Claim(call(t), longest, newUser(t)))
		assert.ErrorIs(t, claims.Claim(call(t), longest, newUser(t)), identity.ErrClaimed)
	}},
}
