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
	{"an identity is whose claim came first", func(t *testing.T, b Backend) {
		claims, id, first, second := claimsOf(t, b), acsUserID(t), newUser(t), newUser(t)
		require.ErrorIs(t, claims.Check(call(t), id, first), identity.ErrUnclaimed)
		require.ErrorIs(t, claims.Check(call(t), id, first), identity.ErrUnclaimed, "to look enters nothing")
		require.NoError(t, claims.Claim(call(t), id, first))
		require.NoError(t, claims.Claim(call(t), id, first), "again")
		require.NoError(t, claims.Check(call(t), strings.ToUpper(id), first))
		require.ErrorIs(t, claims.Check(call(t), id, second), identity.ErrClaimed)
		require.ErrorIs(t, claims.Claim(call(t), id, second), identity.ErrClaimed)
		require.ErrorIs(t, claims.Claim(call(t), strings.ToUpper(id), second), identity.ErrClaimed)
		require.NoError(t, claims.Claim(call(t), strings.ReplaceAll(id, "-", ""), first))
		require.NoError(t, claims.Claim(call(t), acsUserID(t), second), "another identity")
		assert.NoError(t, claims.Claim(call(t), acsUserID(t), first), "a second one")
	}},
	{"an identity that is retired is nobody's for ever", func(t *testing.T, b Backend) {
		claims, claimed, unknown, first, second := claimsOf(t, b), acsUserID(t), acsUserID(t), newUser(t), newUser(t)
		require.NoError(t, claims.Claim(call(t), claimed, first))
		require.NoError(t, claims.Retire(call(t), strings.ToUpper(claimed)))
		require.NoError(t, claims.Retire(call(t), unknown))
		require.NoError(t, claims.Retire(call(t), unknown), "again")
		for _, id := range []string{claimed, unknown, strings.ToUpper(unknown)} {
			for _, user := range []identity.User{first, second} {
				assert.ErrorIs(t, claims.Claim(call(t), id, user), identity.ErrRetired)
				assert.ErrorIs(t, claims.Check(call(t), id, user), identity.ErrRetired)
			}
		}
		assert.NoError(t, claims.Claim(call(t), acsUserID(t), first), "another identity")
	}},
	{"of many users who claim an identity at once exactly one wins", func(t *testing.T, b Backend) {
		claims, id := claimsOf(t, b), acsUserID(t)
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
		claims, id, user := claimsOf(t, b), acsUserID(t), newUser(t)
		errs := together(racers, func(int) error { return claims.Claim(call(t), id, user) })
		assert.NoError(t, errors.Join(errs...))
	}},
	{"an identity that is retired while many claim it stays so", func(t *testing.T, b Backend) {
		claims := claimsOf(t, b)
		for range rounds {
			id, user := acsUserID(t), newUser(t)
			for i, err := range together(8, func(i int) error {
				switch i {
				case 0, 1:
					return claims.Retire(call(t), id)
				default:
					return claims.Claim(call(t), id, user)
				}
			}) {
				if i < 2 || !errors.Is(err, identity.ErrRetired) {
					assert.NoError(t, err)
				}
			}
			assert.ErrorIs(t, claims.Claim(call(t), id, user), identity.ErrRetired)
		}
	}},
	{"claims, mappings and erasures leave each other alone", func(t *testing.T, b Backend) {
		claims, m := claimsOf(t, b), newMapping(t, newUser(t))
		require.NoError(t, claims.Claim(call(t), m.AcsUserID, m.User))
		assert.Empty(t, mappings(t, b, ""))
		assert.Empty(t, listed(t, b))
		m = create(t, b, m)
		note := newErasure(t)
		note.AcsUserID = m.AcsUserID
		require.NoError(t, b.Record(call(t), note))
		require.NoError(t, claims.Retire(call(t), m.AcsUserID))
		assert.Equal(t, []identity.Mapping{m}, mappings(t, b, ""))
		assert.Equal(t, []identity.Erasure{note}, listed(t, b))
		require.NoError(t, b.Clear(call(t), note))
		require.NoError(t, b.Delete(call(t), m))
		assert.ErrorIs(t, claims.Claim(call(t), m.AcsUserID, m.User), identity.ErrRetired)
	}},
	{"a claim that makes no sense is refused", func(t *testing.T, b Backend) {
		claims := claimsOf(t, b)
		assert.NoError(t, isPlain(claims.Claim(call(t), "", newUser(t))))
		assert.NoError(t, isPlain(claims.Claim(call(t), acsUserID(t), identity.User{TenantID: "claims"})))
		assert.NoError(t, isPlain(claims.Retire(call(t), "")))
		longest := strings.Repeat("a", MaxAcsUserID)
		assert.NoError(t, claims.Claim(call(t), longest, newUser(t)))
		assert.ErrorIs(t, claims.Claim(call(t), longest, newUser(t)), identity.ErrClaimed)
	}},
}

var claimBesideTests = []besideTest{
	{"of claims through two handles exactly one wins", func(t *testing.T, b Backend, beside func(string) Backend) {
		handles := []identity.Claims{claimsOf(t, b), claimsOf(t, beside(Resource))}
		for range rounds {
			id, users := acsUserID(t), []identity.User{newUser(t), newUser(t)}
			errs := together(racers, func(i int) error { return handles[i%2].Claim(call(t), id, users[i%2]) })
			winner := 0
			if errs[0] != nil {
				winner = 1
			}
			for i, err := range errs {
				if i%2 == winner {
					assert.NoError(t, err)
				} else {
					assert.ErrorIs(t, err, identity.ErrClaimed)
				}
			}
			require.NoError(t, handles[0].Retire(call(t), id))
			assert.ErrorIs(t, handles[1].Claim(call(t), id, users[winner]), identity.ErrRetired)
		}
	}},
	{"another resource sees no claims", func(t *testing.T, b Backend, beside func(string) Backend) {
		claims, other := claimsOf(t, b), claimsOf(t, beside(OtherResource))
		id, first, second := acsUserID(t), newUser(t), newUser(t)
		require.NoError(t, claims.Claim(call(t), id, first))
		require.NoError(t, other.Claim(call(t), id, second))
		require.NoError(t, claims.Retire(call(t), id))
		assert.NoError(t, other.Claim(call(t), id, second))
	}},
}

func claimsOf(t *testing.T, b Backend) identity.Claims {
	t.Helper()
	claims, ok := b.(identity.Claims)
	if !ok {
		t.Skip("the store keeps no claims")
	}
	return claims
}
