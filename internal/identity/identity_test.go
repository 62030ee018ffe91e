package identity

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestUsersAreLowerCaseGUIDs(t *testing.T) {
	const tid, oid = "6F1D7C52-3B0E-4A9C-8D27-51C0A4E9B310", "0a1c5d3e-94b2-4e6f-8a70-3c2d1b0e9f81"
	u, err := NewUser(tid, oid)
	require.NoError(t, err)
	assert.Equal(t, strings.ToLower(tid)+":"+oid, u.Key())
	assert.NoError(t, u.Check())
	assert.Error(t, User{tid, oid}.Check(), "upper case")
	assert.Error(t, User{}.Check())
	back, err := ParseUser(u.Key())
	require.NoError(t, err)
	assert.Equal(t, u, back)
	for _, bad := range []string{"", "x", oid + "0", oid[:35], oid[:35] + "g", oid[:35] + "/", strings.ReplaceAll(oid, "-", ""), "{" + oid[:34] + "}", "é" + oid[2:]} {
		_, err := NewUser(bad, oid)
		assert.Error(t, err, bad)
		_, err = NewUser(oid, bad)
		assert.Error(t, err, bad)
	}
}

func TestGUIDsAreRandomAndOfVersion4(t *testing.T) {
	a, b := NewGUID(), NewGUID()
	assert.NotEqual(t, a, b)
	for _, id := range []string{a, b} {
		assert.Regexp(t, `^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`, id)
	}
}

func TestErrorsKeepTheirCodeAndTheirCause(t *testing.T) {
	cause := errors.New("cause")
	e := Errorf(CodeRateLimited, "slow %s", "down").Because(cause)
	assert.Equal(t, "rate_limited: slow down: cause", e.Error())
	wrapped := fmt.Errorf("around: %w", e)
	assert.ErrorIs(t, wrapped, cause)
	assert.Equal(t, CodeRateLimited, CodeOf(wrapped))
	assert.Equal(t, CodeInternal, CodeOf(cause))
}

func TestOrdinaryACSUserIDsAreThoseThatACSMakes(t *testing.T) {
	const resource, user = "2dee53b4-368b-45b4-ab52-8493fb117652", "00000005-14a2-493b-8a72-5a3a0d000081"
	for _, good := range []string{"8:acs:", "8:gcch-acs:", "8:dod-acs:"} {
		assert.True(t, IsOrdinaryACSUserID(good+resource+"_"+user), good)
		assert.True(t, IsACSUserID(good+resource+"_"+user), good)
	}
	for name, bad := range map[string]string{
		"empty":                             "",
		"a user of Teams":                   "8:orgid:" + user,
		"a user of Teams Phone":             "8:acs:" + resource + "_" + user + "_" + user,
		"an anonymous user of Teams":        "8:teamsvisitor:" + resource + "_" + user,
		"of a cloud that is not known":      "8:x-acs:" + resource + "_" + user,
		"a bot":                             "28:acs:" + resource + "_" + user,
		"no kind":                           "acs:" + resource + "_" + user,
		"in upper case":                     "8:acs:" + resource + "_" + strings.ToUpper(user),
		"the kind in upper case":            "8:ACS:" + resource + "_" + user,
		"one GUID":                          "8:acs:" + resource,
		"no user":                           "8:acs:" + resource + "_",
		"GUIDs without hyphens":             "8:acs:" + strings.ReplaceAll(resource+"_"+user, "-", ""),
		"something behind it":               "8:acs:" + resource + "_" + user + ".",
		"something in front of it":          " 8:acs:" + resource + "_" + user,
		"a path":                            "8:acs:" + resource + "_" + user + "/../x",
		"another separator between the two": "8:acs:" + resource + "-" + user,
	} {
		assert.False(t, IsOrdinaryACSUserID(bad), name)
	}
}

func TestClaimKeysTellIdentitiesApartAndNothingElse(t *testing.T) {
	const id = "8:acs:2dee53b4-368b-45b4-ab52-8493fb117652_00000005-14a2-493b-8a72-5a3a0d000081"
	key := ClaimKey(id)
	assert.Equal(t, "862764d96f6c7b26e6f784436429a3a7adf03d8110d3df3074ee01ef4f33e0bb", key)
	for _, same := range []string{strings.ToUpper(id), id + ".", strings.ReplaceAll(id, "-", ""), "8acs" + id[6:]} {
		assert.Equal(t, key, ClaimKey(same), same)
	}
	for _, other := range []string{"", id + "0", id[:len(id)-1] + "2", strings.Replace(id, "_", "", 1)} {
		assert.NotEqual(t, key, ClaimKey(other), other)
	}
}
