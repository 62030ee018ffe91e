package storetest

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"acsauth/internal/identity"
)

var refusalTests = []test{
	{"a user who is not two lower-case GUIDs is refused", func(t *testing.T, b Backend) {
		good := newUser(t)
		good.TenantID = "abcdef01" + good.TenantID[8:] // letters, so that upper case differs
		for name, bad := range map[string]identity.User{
			"empty":                   {},
			"no object id":            {TenantID: good.TenantID},
			"no tenant id":            {ObjectID: good.ObjectID},
			"upper-case":              {TenantID: strings.ToUpper(good.TenantID), ObjectID: good.ObjectID},
			"with a slash":            {TenantID: good.TenantID, ObjectID: good.ObjectID + "/x"},
			"with a separator":        {TenantID: good.TenantID, ObjectID: good.ObjectID + "|" + Resource},
			"with a line break":       {TenantID: good.TenantID + "\n", ObjectID: good.ObjectID},
			"an e-mail address":       {TenantID: good.TenantID, ObjectID: "ada@contoso.example"},
			"a GUID in curly braces":  {TenantID: good.TenantID, ObjectID: "{" + good.ObjectID + "}"},
			"the partition of others": {TenantID: "erasures"},
		} {
			m := newMapping(t, bad)
			_, err := b.Create(call(t), m)
			require.NoError(t, isPlain(err), "create, %s", name)
			_, err = b.Get(call(t), bad)
			require.NoError(t, isPlain(err), "get, %s", name)
			m.Version = "1"
			_, err = b.MarkErasing(call(t), m)
			require.NoError(t, isPlain(err), "mark, %s", name)
			require.NoError(t, isPlain(b.Delete(call(t), m)), "delete, %s", name)
			note := newErasure(t)
			note.User = bad
			require.NoError(t, isPlain(b.Record(call(t), note)), "record, %s", name)
		}
		_, err := b.Get(call(t), good)
		assert.ErrorIs(t, err, identity.ErrNotFound, "nothing was stored")
		assert.Empty(t, listed(t, b))
	}},
	{"a mapping without an ACS user id is refused", func(t *testing.T, b Backend) {
		m := newMapping(t, newUser(t))
		m.AcsUserID = ""
		_, err := b.Create(call(t), m)
		require.NoError(t, isPlain(err))
		_, err = b.Get(call(t), m.User)
		assert.ErrorIs(t, err, identity.ErrNotFound)

		note := newErasure(t)
		note.AcsUserID = ""
		assert.NoError(t, isPlain(b.Record(call(t), note)))
	}},
	{"what has no time is refused", func(t *testing.T, b Backend) {
		m, note := newMapping(t, newUser(t)), newErasure(t)
		m.CreatedAt, note.RecordedAt = time.Time{}, time.Time{}
		_, err := b.Create(call(t), m)
		assert.NoError(t, isPlain(err))
		assert.NoError(t, isPlain(b.Record(call(t), note)))
	}},
	{"a mapping without a version is neither marked nor deleted", func(t *testing.T, b Backend) {
		m := create(t, b, newMapping(t, newUser(t)))
		for _, version := range []string{"", "*"} {
			blind := m
			blind.Version = version
			_, err := b.MarkErasing(call(t), blind)
			require.Error(t, err)
			require.Error(t, b.Delete(call(t), blind))
		}
		got, err := b.Get(call(t), m.User)
		require.NoError(t, err)
		assert.Equal(t, m, got)
	}},
	{"a call that was given up says so", func(t *testing.T, b Backend) {
		m := create(t, b, newMapping(t, newUser(t)))
		note := newErasure(t)
		require.NoError(t, b.Record(call(t), note))
		cancelled, cancel := context.WithCancel(t.Context())
		cancel()
		expired, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
		defer cancel()
		for _, c := range []struct {
			ctx  context.Context
			want error
		}{{cancelled, context.Canceled}, {expired, context.DeadlineExceeded}} {
			for _, method := range methods(b, newMapping(t, newUser(t)), m, note) {
				err := method.call(c.ctx)
				assert.ErrorIs(t, err, c.want, method.name)
				assert.Equal(t, identity.CodeUpstreamUnavailable, identity.CodeOf(err), method.name)
			}
		}
		got, err := b.Get(call(t), m.User)
		require.NoError(t, err)
		assert.Equal(t, m, got, "nothing was changed")
	}},
}
