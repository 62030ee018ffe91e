package storetest

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"acsauth/internal/identity"
)

type listerTest struct {
	name string
	run  func(t *testing.T, b Backend, unordered bool)
}

var listerTests = []listerTest{
	{"an empty store has no mappings to list", func(t *testing.T, b Backend, _ bool) {
		assert.Empty(t, mappings(t, b, ""))
	}},
	{"mappings are listed whole, in order, and from any of them on", func(t *testing.T, b Backend, unordered bool) {
		const n = 1200 // more than a page of any store
		made := make([]identity.Mapping, n)
		for i := range made {
			made[i] = newMapping(t, newUser(t))
		}
		made[1].User.TenantID = made[0].User.TenantID
		for _, err := range inParallel(n, func(i int) (err error) { made[i], err = b.Create(call(t), made[i]); return err }) {
			require.NoError(t, err)
		}
		require.NoError(t, b.Record(call(t), newErasure(t)))
		var err error
		made[2], err = b.MarkErasing(call(t), made[2])
		require.NoError(t, err)
		slices.SortFunc(made, func(x, y identity.Mapping) int { return strings.Compare(x.User.Key(), y.User.Key()) })

		if unordered {
			require.ElementsMatch(t, made, mappings(t, b, ""))
			return
		}
		require.Equal(t, made, mappings(t, b, ""))
		for _, i := range []int{0, 1, n / 2, n - 2, n - 1} {
			require.Equal(t, len(made[i+1:]), len(mappings(t, b, made[i].User.Key())))
		}
		gone := made[100].User.Key()
		require.NoError(t, b.Delete(call(t), made[100]))
		assert.Equal(t, made[101:], mappings(t, b, gone), "behind one that has gone")
		for range b.(identity.Lister).Mappings(call(t), "") {
			break // which must end well
		}
	}},
	{"a list may be worked on while it is read", func(t *testing.T, b Backend, _ bool) {
		const n = 30
		for range n {
			create(t, b, newMapping(t, newUser(t)))
		}
		listed := 0
		for m, err := range b.(identity.Lister).Mappings(call(t), "") {
			require.NoError(t, err)
			listed++
			if listed%2 == 0 {
				require.NoError(t, b.Delete(call(t), m))
			} else {
				_, err := b.MarkErasing(call(t), m)
				require.NoError(t, err)
			}
		}
		assert.Equal(t, n, listed)
		assert.Len(t, mappings(t, b, ""), n/2)
	}},
	{"a list can't begin behind what is no user", func(t *testing.T, b Backend, _ bool) {
		create(t, b, newMapping(t, newUser(t)))
		for _, after := range []string{"x", "' or '1", strings.Repeat("a", 1000)} {
			n := 0
			for _, err := range b.(identity.Lister).Mappings(call(t), after) {
				assert.Error(t, err)
				n++
			}
			assert.Equal(t, 1, n)
		}
	}},
}

func mappings(t *testing.T, b Backend, after string) (all []identity.Mapping) {
	t.Helper()
	for m, err := range b.(identity.Lister).Mappings(call(t), after) {
		require.NoError(t, err, "list mappings")
		all = append(all, m)
	}
	return all
}
