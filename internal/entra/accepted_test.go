package entra

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"acsauth/internal/identity"
)

func TestAnAcceptedTokenIsHeldAgainstTheClockAgain(t *testing.T) {
	d := newDirectory(t)
	v := d.verifier(t)
	token := d.goodToken()
	for range 2 {
		_, err := v.Verify(t.Context(), token)
		require.NoError(t, err)
	}
	d.advance(2 * time.Hour)
	_, err := v.Verify(t.Context(), token)
	assert.Equal(t, identity.CodeInvalidToken, identity.CodeOf(err))
	assert.ErrorContains(t, err, "expired")
}

func TestAnAcceptedTokenIsRefusedOnceItsKeyIsWithdrawn(t *testing.T) {
	d := newDirectory(t)
	v := d.verifier(t)
	token := d.goodToken()
	_, err := v.Verify(t.Context(), token)
	require.NoError(t, err)
	d.serve(keysAnswer(publicJWK("key-2", &testKeys()[1].PublicKey)))
	_, err = v.Verify(t.Context(), tokenOf(d, "key-2", 1)) // brings the new keys
	require.NoError(t, err)
	_, err = v.Verify(t.Context(), token)
	assert.Equal(t, identity.CodeInvalidToken, identity.CodeOf(err))
}

func TestATokenThatDiffersInOneByteIsNotTheAcceptedOne(t *testing.T) {
	d := newDirectory(t)
	v := d.verifier(t)
	token := d.goodToken()
	_, err := v.Verify(t.Context(), token)
	require.NoError(t, err)
	for i := range len(token) {
		changed := []byte(token)
		changed[i] ^= 1
		_, err := v.Verify(t.Context(), string(changed))
		require.Error(t, err, "byte %d", i)
	}
}

func TestRefusedTokensAreNotRemembered(t *testing.T) {
	d := newDirectory(t)
	v := d.verifier(t)
	for i := range 10 {
		_, err := v.Verify(t.Context(), d.goodToken(object{"scp": fmt.Sprintf("other-%d", i)}))
		require.Error(t, err)
		_, err = v.Verify(t.Context(), tokenOf(d, testKeyID, 1))
		require.Error(t, err)
	}
	assert.Zero(t, v.accepted.Len())
}

func TestAcceptedTokensAreBounded(t *testing.T) {
	d := newDirectory(t)
	v := d.verifier(t)
	for i := range maxAccepted + 10 {
		v.accepted.Add([32]byte{byte(i), byte(i >> 8)}, accepted{})
	}
	_, err := v.Verify(t.Context(), d.goodToken())
	require.NoError(t, err)
	assert.Equal(t, maxAccepted, v.accepted.Len())
}
