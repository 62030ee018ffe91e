package entraid

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestStateOutlivesTheServer(t *testing.T) {
	d := newDirectory(t)
	d.policed(Policy{ConsentRequired: true})
	assertion := d.assertion()
	refresh := member(t, d.tokens(with(redemption(d.code(signIn())), "scope", apiScope+" offline_access")), "refresh_token")
	require.NoError(t, d.Consent(d.alice, apiID, graphScope))
	require.NoError(t, d.AnnounceKey())
	bob := SampleUsers()[1]
	d.RevokeRefreshTokens(bob)
	d.keyOf(consumerTenant)
	exported, err := d.Export()
	require.NoError(t, err)

	next := newDirectory(t)
	_, err = next.Verify(assertion, apiID)
	require.ErrorIs(t, err, ErrSignature)
	next.Server.baseURL = d.baseURL // the issuer; the listener stays its own
	require.NoError(t, next.Import(exported))
	assert.Equal(t, d.Keys(), next.Keys())
	assert.Equal(t, d.consumer().ID, next.consumer().ID)
	assert.Equal(t, d.Users(), next.Users())
	assert.Equal(t, 1, next.revocationOf(bob.key()).Generation)
	_, err = next.Verify(assertion, apiID)
	require.NoError(t, err)
	g, refusal := next.refreshable(refresh, spaID)
	require.Nil(t, refusal)
	assert.Equal(t, d.alice.ObjectID, g.ObjectID)
	ss, refusal := next.parseScopes([]string{graphScope})
	require.Nil(t, refusal)
	api, _ := next.client(apiID)
	assert.True(t, next.consented(d.alice, api, ss))

	again, err := next.Export()
	require.NoError(t, err)
	assert.JSONEq(t, string(exported), string(again))
}

func TestBadStateChangesNothing(t *testing.T) {
	d := newDirectory(t)
	good, err := d.Export()
	require.NoError(t, err)
	for name, state := range map[string]string{
		"nothing":         "",
		"no JSON":         "{",
		"no keys":         "{}",
		"keys of no kind": `{"Keys":["x"]}`,
		"no sealing key":  strings.Replace(string(good), `"SealKey":"`, `"SealKey":"AAAA","X":"`, 1),
		"another tenant":  strings.ReplaceAll(string(good), SampleTenantID, apiID),
	} {
		assert.Error(t, d.Import([]byte(state)), name)
	}
	after, err := d.Export()
	require.NoError(t, err)
	assert.JSONEq(t, string(good), string(after))
}
