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

func TestErrorsKeepTheirCodeAndTheirCause(t *testing.T) {
	cause := errors.New("cause")
	e := Errorf(CodeRateLimited, "slow %s", "down").Because(cause)
	assert.Equal(t, "rate_limited: slow down: cause", e.Error())
	wrapped := fmt.Errorf("around: %w", e)
	assert.ErrorIs(t, wrapped, cause)
	assert.Equal(t, CodeRateLimited, CodeOf(wrapped))
	assert.Equal(t, CodeInternal, CodeOf(cause))
}
