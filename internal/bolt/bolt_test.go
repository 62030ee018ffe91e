package bolt

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"acsauth/internal/identity"
	"acsauth/internal/identity/storetest"
)

const resource = storetest.Resource

func open(t *testing.T, path string) *Store {
	t.Helper()
	s, err := Open(path, resource)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func newPath(t *testing.T) string { return filepath.Join(t.TempDir(), "data", "identities.db") }

func someMapping() identity.Mapping {
	return identity.Mapping{
		User: identity.User{
			TenantID: "11111111-2222-3333-4444-555555555555",
			ObjectID: "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
		},
		AcsUserID: "8:acs:one_two",
		CreatedAt: time.Date(2026, 11, 22, 9, 30, 15, 0, time.UTC),
	}
}

func TestConformance(t *testing.T) {
	storetest.Config{
		Open: func(t *testing.T) storetest.Backend { return open(t, newPath(t)) },
		Beside: func(t *testing.T, b storetest.Backend, resource string) storetest.Backend {
			return &Store{b.(*Store).db, strings.ToLower(resource)} // the file has one owner
		},
	}.Run(t)
}

func TestWhatIsStoredSurvivesReopening(t *testing.T) {
	path := newPath(t)
	s, err := Open(path, resource)
	require.NoError(t, err)
	want, err := s.Create(t.Context(), someMapping())
	require.NoError(t, err)
	note := identity.Erasure{AcsUserID: "8:acs:three_four", User: want.User, Reason: identity.ReasonOrphan, RecordedAt: want.CreatedAt}
	require.NoError(t, s.Record(t.Context(), note))
	require.NoError(t, s.Close())

	s, err = Open(path, strings.ToUpper(resource))
	require.NoError(t, err)
	got, err := s.Get(t.Context(), want.User)
	require.NoError(t, err)
	assert.Equal(t, want, got)
	for listed, err := range s.List(t.Context()) {
		require.NoError(t, err)
		assert.Equal(t, note, listed)
	}
	require.NoError(t, s.Delete(t.Context(), got))
	require.NoError(t, s.Close())

	again, err := open(t, path).Create(t.Context(), someMapping())
	require.NoError(t, err)
	assert.NotEqual(t, want.Version, again.Version, "versions go on after reopening")
}

func TestTheFileHasOneOwnerAtATime(t *testing.T) {
	const variable = "BOLT_TEST_PATH"
	path := newPath(t)
	if taken, ok := os.LookupEnv(variable); ok { // the other process
		path = taken
	} else {
		open(t, path)
		exe, err := os.Executable()
		require.NoError(t, err)
		other := exec.CommandContext(t.Context(), exe, "-test.run", "^TestTheFileHasOneOwnerAtATime$")
		other.Env = append(os.Environ(), variable+"="+path)
		out, err := other.CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	begun := time.Now()
	_, err := Open(path, resource)
	require.ErrorContains(t, err, path)
	assert.ErrorContains(t, err, "another process has it open")
	assert.Less(t, time.Since(begun), 10*time.Second)
}

func TestOnlyTheOwnerMayRead(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no file modes: the user's data folder is private by its access list")
	}
	path := newPath(t)
	open(t, path)
	file, err := os.Stat(path)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), file.Mode().Perm())
	folder, err := os.Stat(filepath.Dir(path))
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o700), folder.Mode().Perm())
}

func TestWhatCannotBeOpenedIsNamed(t *testing.T) {
	garbage := filepath.Join(t.TempDir(), "garbage.db")
	require.NoError(t, os.WriteFile(garbage, []byte(strings.Repeat("not a database ", 4096)), 0o600))
	_, err := Open(garbage, resource)
	require.ErrorContains(t, err, garbage)
	kept, err := os.ReadFile(garbage)
	require.NoError(t, err)
	assert.True(t, strings.HasPrefix(string(kept), "not a database"), "the file is left as it was")

	_, err = Open(filepath.Join(garbage, "identities.db"), resource)
	assert.ErrorContains(t, err, garbage, "a file where the folder should be")
	_, err = Open(newPath(t), "")
	assert.ErrorContains(t, err, "not a host name")
	_, err = Open(newPath(t), "contoso|evil")
	assert.ErrorContains(t, err, "not a host name")
}

// firstListed returns the first error of the list.
func firstListed(t *testing.T, s *Store) error {
	t.Helper()
	for _, err := range s.List(t.Context()) {
		if err != nil {
			return err
		}
	}
	return nil
}

func TestACorruptValueIsAnError(t *testing.T) {
	for name, value := range map[string]string{
		"nothing":       "",
		"not JSON":      "\x00\x01",
		"cut short":     `{"acsUserId":"8:acs:one_two","vers`,
		"no identity":   `{"version":3}`,
		"no version":    `{"acsUserId":"8:acs:one_two","createdAt":"2026-11-22T09:30:15Z"}`,
		"wrong types":   `{"acsUserId":1,"version":"x"}`,
		"another shape": `["8:acs:one_two"]`,
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, newPath(t))
			m := someMapping()
			m.Version = "3"
			note := identity.Erasure{AcsUserID: m.AcsUserID, Reason: identity.ReasonErase}
			require.NoError(t, s.db.Update(func(tx *bbolt.Tx) error {
				return errors.Join(
					tx.Bucket(mappingsBucket).Put(s.mappingKey(m.User), []byte(value)),
					tx.Bucket(erasuresBucket).Put(s.erasureKey(note), []byte(value)),
					tx.Bucket(claimsBucket).Put(s.claimKey(m.AcsUserID), []byte(value)))
			}))

			_, err := s.Get(t.Context(), m.User)
			require.ErrorContains(t, err, "the user's mapping")
			assert.NotContains(t, err.Error(), m.User.ObjectID, "it goes to the log")
			assert.NotErrorIs(t, err, identity.ErrNotFound)
			_, err = s.MarkErasing(t.Context(), m)
			assert.ErrorContains(t, err, "the user's mapping")
			assert.ErrorContains(t, s.Delete(t.Context(), m), "the user's mapping")
			_, err = s.Create(t.Context(), m)
			assert.ErrorIs(t, err, identity.ErrExists, "it may be somebody's only record")
			assert.ErrorContains(t, firstListed(t, s), m.AcsUserID)
			assert.NoError(t, s.Clear(t.Context(), note))
			assert.NoError(t, firstListed(t, s))

			err = s.Claim(t.Context(), m.AcsUserID, m.User)
			assert.ErrorContains(t, err, "can't be read")
			assert.NotErrorIs(t, err, identity.ErrNotFound)
			require.NoError(t, s.Retire(t.Context(), m.AcsUserID))
			assert.ErrorIs(t, s.Claim(t.Context(), m.AcsUserID, m.User), identity.ErrRetired)
		})
	}
}

func TestARetiredIdentityIsKeptWithoutItsUserAndItsID(t *testing.T) {
	s, m := open(t, newPath(t)), someMapping()
	require.NoError(t, s.Claim(t.Context(), m.AcsUserID, m.User))
	require.NoError(t, s.Retire(t.Context(), m.AcsUserID))
	require.NoError(t, s.db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(claimsBucket).ForEach(func(k, v []byte) error {
			assert.Equal(t, resource+"|"+identity.ClaimKey(m.AcsUserID), string(k))
			assert.JSONEq(t, `{"retired":true}`, string(v))
			return nil
		})
	}))
}

func TestAClosedFileIsUnavailable(t *testing.T) {
	storetest.Broken{Code: identity.CodeUpstreamUnavailable, Open: func(t *testing.T) storetest.Backend {
		s := open(t, newPath(t))
		require.NoError(t, s.Close())
		return s
	}}.Check(t)
}
