package acsidentity

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"acsauth/internal/secret"
)

func TestStateOutlivesTheServer(t *testing.T) {
	res := newResource(t)
	live, gone := res.create(), res.create()
	revoked, good := res.issueToken(live, `{"scopes":["chat"]}`), ""
	require.Equal(t, http.StatusNoContent, res.do(http.MethodPost, "/identities/"+live+"/:revokeAccessTokens", newest, "").Code)
	good = res.issueToken(live, `{"scopes":["chat"]}`)
	ended := res.issueToken(gone, `{"scopes":["chat"]}`)
	require.Equal(t, http.StatusNoContent, res.do(http.MethodDelete, "/identities/"+gone, newest, "").Code)
	require.NoError(t, res.Assign(tenantID, aliceID, appID))
	state, err := res.Export()
	require.NoError(t, err)

	next := newResource(t)
	next.Server, err = New(Config{AccessKey: secret.New("b3RoZXI="), Now: res.Server.now})
	require.NoError(t, err)
	require.NoError(t, next.Import(state))
	assert.Equal(t, res.ConnectionString("https://x/").Reveal(), next.ConnectionString("https://x/").Reveal())
	assert.Equal(t, res.Identities(), next.Identities())
	assert.Equal(t, res.Deleted(), next.Deleted())
	assert.True(t, next.TokenActive(good))
	assert.False(t, next.TokenActive(revoked))
	assert.False(t, next.TokenActive(ended))
	assert.Equal(t, http.StatusOK, next.do(http.MethodGet, assignmentPath, newest, "").Code)
	next.issueToken(live, `{"scopes":["chat"]}`)

	for name, bad := range map[string]string{
		"nothing":       "",
		"no JSON":       "{",
		"no key":        "{}",
		"null identity": strings.Replace(string(state), `"Identities":{`, `"Identities":{"x":null,`, 1),
		"no access key": strings.Replace(string(state), `"AccessKey":"`, `"AccessKey":"","X":"`, 1),
	} {
		assert.Error(t, next.Import([]byte(bad)), name)
	}
	assert.True(t, next.TokenActive(good))
}
