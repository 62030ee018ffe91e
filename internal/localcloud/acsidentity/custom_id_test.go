package acsidentity

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestACustomIDLeadsToOneIdentity(t *testing.T) {
	res := newResource(t)
	create := func(version, customID string) string {
		w := res.do(http.MethodPost, "/identities", version, `{"customId":"`+customID+`"}`)
		assert.Equal(t, http.StatusCreated, w.Code)
		return member(t, object(t, w), "identity", "id")
	}
	alice := create(customIDVersion, "alice")
	assert.Equal(t, alice, create(customIDVersion, "alice"))
	assert.NotEqual(t, alice, create(customIDVersion, "bob"))
	assert.NotEqual(t, alice, create(newest, "alice"), "an unknown field in other versions")

	get := func() map[string]any {
		return object(t, res.do(http.MethodGet, "/identities/"+alice, customIDVersion, ""))
	}
	assert.Equal(t, map[string]any{"id": alice, "customId": "alice"}, get())
	res.issueToken(alice, `{"scopes":["chat"]}`)
	assert.Equal(t, map[string]any{"id": alice, "customId": "alice", "lastTokenIssuedAt": "2026-11-22T15:00:00.1234567+00:00"}, get())

	assert.Equal(t, http.StatusNoContent, res.do(http.MethodDelete, "/identities/"+alice, customIDVersion, "").Code)
	assert.Equal(t, http.StatusNotFound, res.do(http.MethodGet, "/identities/"+alice, customIDVersion, "").Code)
	assert.NotEqual(t, alice, create(customIDVersion, "alice"))
	for _, bad := range []string{"", strings.Repeat("x", 257)} {
		w := res.do(http.MethodPost, "/identities", customIDVersion, `{"customId":"`+bad+`"}`)
		assert.Equal(t, "CustomId", member(t, object(t, w), "error", "target"))
	}
	assert.Equal(t, http.StatusBadRequest, res.do(http.MethodGet, "/identities/"+alice, newest, "").Code, "no stable version has it")
}
