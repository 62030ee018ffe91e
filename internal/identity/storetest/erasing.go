package storetest

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"acsauth/internal/identity"
)

// markTests are for stores that keep a mapping when it is marked.
var markTests = []test{
	{"a mapping can be created with its mark of erasure", func(t *testing.T, b Backend) {
		m := newMapping(t, newUser(t))
		m.Erasing = true
		want := create(t, b, m)
		require.True(t, want.Erasing)
		got, err := b.Get(call(t), m.User)
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}},
	{"a mark of erasure stays and changes the version", func(t *testing.T, b Backend) {
		m := create(t, b, newMapping(t, newUser(t)))
		marked, err := b.MarkErasing(call(t), m)
		require.NoError(t, err)
		assert.NotEqual(t, m.Version, marked.Version)
		require.NotEmpty(t, marked.Version)

		want := m
		want.Erasing, want.Version = true, marked.Version
		assert.Equal(t, want, marked)
		got, err := b.Get(call(t), m.User)
		require.NoError(t, err)
		assert.Equal(t, want, got)
		assert.NoError(t, b.Delete(call(t), got))
	}},
	{"a mapping that is being erased still takes the user's place", func(t *testing.T, b Backend) {
		m := create(t, b, newMapping(t, newUser(t)))
		_, err := b.MarkErasing(call(t), m)
		require.NoError(t, err)
		_, err = b.Create(call(t), newMapping(t, m.User))
		assert.ErrorIs(t, err, identity.ErrExists)
	}},
	{"an old version neither marks nor deletes", func(t *testing.T, b Backend) {
		old := create(t, b, newMapping(t, newUser(t)))
		marked, err := b.MarkErasing(call(t), old)
		require.NoError(t, err)

		_, err = b.MarkErasing(call(t), old)
		require.ErrorIs(t, err, identity.ErrVersion)
		require.ErrorIs(t, b.Delete(call(t), old), identity.ErrVersion)
		got, err := b.Get(call(t), old.User)
		require.NoError(t, err)
		assert.Equal(t, marked, got)
	}},
	{"many users at once don't disturb each other", func(t *testing.T, b Backend) {
		mappings := make([]identity.Mapping, racers)
		for i := range mappings {
			mappings[i] = newMapping(t, newUser(t))
		}
		errs := together(len(mappings), func(i int) (err error) {
			if mappings[i], err = b.Create(call(t), mappings[i]); err != nil || i%2 == 0 {
				return err
			}
			if mappings[i], err = b.MarkErasing(call(t), mappings[i]); err != nil || i%4 == 1 {
				return err
			}
			return b.Delete(call(t), mappings[i])
		})
		for i, m := range mappings {
			require.NoError(t, errs[i])
			got, err := b.Get(call(t), m.User)
			if i%4 == 3 {
				assert.ErrorIs(t, err, identity.ErrNotFound)
				continue
			}
			require.NoError(t, err)
			assert.Equal(t, m, got)
		}
	}},
}

// markDeletesTests are for stores that delete a mapping when it is marked.
var markDeletesTests = []test{
	{"to mark a mapping deletes it", func(t *testing.T, b Backend) {
		m := create(t, b, newMapping(t, newUser(t)))
		marked, err := b.MarkErasing(call(t), m)
		require.NoError(t, err)
		want := m
		want.Erasing, want.Version = true, marked.Version
		require.Equal(t, want, marked)

		_, err = b.Get(call(t), m.User)
		require.ErrorIs(t, err, identity.ErrNotFound)
		_, err = b.MarkErasing(call(t), m)
		require.ErrorIs(t, err, identity.ErrNotFound)
		next := create(t, b, newMapping(t, m.User))
		require.ErrorIs(t, b.Delete(call(t), marked), identity.ErrNotFound)
		got, err := b.Get(call(t), m.User)
		require.NoError(t, err)
		assert.Equal(t, next, got)
	}},
	{"a mapping with its mark of erasure is not created", func(t *testing.T, b Backend) {
		m := newMapping(t, newUser(t))
		m.Erasing = true
		_, err := b.Create(call(t), m)
		require.NoError(t, isPlain(err))
		_, err = b.Get(call(t), m.User)
		assert.ErrorIs(t, err, identity.ErrNotFound)
	}},
}

var goneTests = []test{
	{"what is gone is neither marked nor deleted again", func(t *testing.T, b Backend) {
		m := create(t, b, newMapping(t, newUser(t)))
		require.NoError(t, b.Delete(call(t), m))
		_, err := b.Get(call(t), m.User)
		require.ErrorIs(t, err, identity.ErrNotFound)

		_, err = b.MarkErasing(call(t), m)
		require.ErrorIs(t, err, identity.ErrNotFound)
		require.ErrorIs(t, b.Delete(call(t), m), identity.ErrNotFound)
	}},
	{"what was never there is neither marked nor deleted", func(t *testing.T, b Backend) {
		elsewhere := create(t, b, newMapping(t, newUser(t)))
		m := newMapping(t, newUser(t))
		m.Version = elsewhere.Version
		_, err := b.MarkErasing(call(t), m)
		require.ErrorIs(t, err, identity.ErrNotFound)
		require.ErrorIs(t, b.Delete(call(t), m), identity.ErrNotFound)
		_, err = b.Get(call(t), m.User)
		assert.ErrorIs(t, err, identity.ErrNotFound)
	}},
	{"a user can come back and the old version does not touch the new mapping", func(t *testing.T, b Backend) {
		user := newUser(t)
		versions := map[string]bool{}
		var gone []identity.Mapping
		for range 5 {
			m := create(t, b, newMapping(t, user))
			require.NotContains(t, versions, m.Version, "a version came back")
			versions[m.Version] = true
			for _, old := range gone {
				require.ErrorIs(t, b.Delete(call(t), old), identity.ErrVersion)
				_, err := b.MarkErasing(call(t), old)
				require.ErrorIs(t, err, identity.ErrVersion)
			}
			got, err := b.Get(call(t), user)
			require.NoError(t, err)
			require.Equal(t, m, got)
			require.NoError(t, b.Delete(call(t), m))
			gone = append(gone, m)
		}
	}},
}
