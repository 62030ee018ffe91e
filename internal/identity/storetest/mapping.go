package storetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"acsauth/internal/identity"
)

var mappingTests = []test{
	{"a store answers a ping, also before anything is in it", func(t *testing.T, b Backend) {
		require.NoError(t, b.Ping(call(t)))
		create(t, b, newMapping(t, newUser(t)))
		assert.NoError(t, b.Ping(call(t)))
	}},
	{"an unknown user has no mapping", func(t *testing.T, b Backend) {
		_, err := b.Get(call(t), newUser(t))
		require.ErrorIs(t, err, identity.ErrNotFound)
		create(t, b, newMapping(t, newUser(t)))
		_, err = b.Get(call(t), newUser(t))
		assert.ErrorIs(t, err, identity.ErrNotFound, "with another user's mapping there")
	}},
	{"what is created is read back whole", func(t *testing.T, b Backend) {
		want := newMapping(t, newUser(t))
		created := create(t, b, want)
		require.NotEmpty(t, created.Version)
		got, err := b.Get(call(t), want.User)
		require.NoError(t, err)
		assert.Equal(t, created, got)
		want.Version = got.Version
		assert.Equal(t, want, got)
	}},
	{"the time of creation is kept in UTC and to the second", func(t *testing.T, b Backend) {
		m := newMapping(t, newUser(t))
		want := m.CreatedAt
		m.CreatedAt = want.Add(987654321 * time.Nanosecond).In(time.FixedZone("", 2*60*60))
		assert.Equal(t, want, create(t, b, m).CreatedAt)
		got, err := b.Get(call(t), m.User)
		require.NoError(t, err)
		assert.Equal(t, want, got.CreatedAt)
	}},
	{"a second mapping for a user is refused and the first stays", func(t *testing.T, b Backend) {
		user := newUser(t)
		first := create(t, b, newMapping(t, user))
		_, err := b.Create(call(t), newMapping(t, user))
		require.ErrorIs(t, err, identity.ErrExists)
		got, err := b.Get(call(t), user)
		require.NoError(t, err)
		assert.Equal(t, first, got)
	}},
	{"users with one object id in two tenants are two users", func(t *testing.T, b Backend) {
		one := newUser(t)
		other := identity.User{TenantID: guid(t), ObjectID: one.ObjectID}
		swapped := identity.User{TenantID: one.ObjectID, ObjectID: one.TenantID}
		for _, user := range []identity.User{one, other, swapped} {
			_, err := b.Get(call(t), user)
			require.ErrorIs(t, err, identity.ErrNotFound)
			want := create(t, b, newMapping(t, user))
			got, err := b.Get(call(t), user)
			require.NoError(t, err)
			assert.Equal(t, want, got)
		}
	}},
	{"an ACS user id of three segments fits", func(t *testing.T, b Backend) {
		m := newMapping(t, newUser(t))
		m.AcsUserID += "_" + guid(t)
		want := create(t, b, m)
		got, err := b.Get(call(t), m.User)
		require.NoError(t, err)
		assert.Equal(t, want, got)

		note := identity.Erasure{AcsUserID: m.AcsUserID, User: m.User, Reason: identity.ReasonErase, RecordedAt: m.CreatedAt}
		require.NoError(t, b.Record(call(t), note))
		assert.Equal(t, []identity.Erasure{note}, listed(t, b))
		require.NoError(t, b.Clear(call(t), note))
	}},
}
