package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"acsauth/internal/graph"
	"acsauth/internal/localcloud/entraid"
)

// What a hero sample has left in Microsoft Graph is found and used by its clients'
// calls to this service.
func TestTheHeroSamplesMappingsMoveOver(t *testing.T) {
	needHeroRoutes(t)
	u := newUser(t)
	made := start(t, nil).do(request{method: "POST", path: "/api/user", token: tokenFor(t, u)})
	require.Equal(t, 201, made.status)
	id := made.json["acsUserIdentity"].(string)
	addHeroMapping(t, u, id)

	h := start(t, map[string]string{"IDENTITY_STORE": "graph", "GRAPH_MAPPING_KEYS": strings.Repeat("k", 32), "GRAPH_ACCEPT_UNSEALED": "true"})
	token := tokenFor(t, u)
	a := h.do(request{path: "/api/user", token: token})
	require.Equal(t, 200, a.status, a.text)
	assert.Equal(t, id, a.json["acsUserIdentity"])
	a = h.do(request{method: "POST", path: "/api/user", token: token})
	assert.Equal(t, 200, a.status)
	assert.Equal(t, id, a.json["acsUserIdentity"])
	a = h.do(request{path: "/api/token", token: token})
	require.Equal(t, 201, a.status, a.text)
	assert.Equal(t, id, a.userID())

	sealed := start(t, map[string]string{"IDENTITY_STORE": "graph", "GRAPH_MAPPING_KEYS": strings.Repeat("k", 32)})
	a = sealed.do(request{path: "/api/user", token: token})
	assert.Equal(t, 200, a.status, "once it is sealed, the setting can go")

	assert.Equal(t, 204, h.do(request{method: "DELETE", path: "/api/user", token: token}).status)
	assert.Nil(t, cloud.Graph.Extension(u.TenantID, u.ObjectID, graph.DefaultExtension))
	assert.NotContains(t, cloud.ACS.Identities(), id)
	assert.Equal(t, 404, h.do(request{path: "/api/user", token: token}).status)
}

// addHeroMapping writes what the samples write.
func addHeroMapping(t *testing.T, u entraid.User, id string) {
	t.Helper()
	body := `{"@odata.type":"microsoft.graph.openTypeExtension","extensionName":"` + graph.DefaultExtension + `","acsUserIdentity":"` + id + `"}`
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, cloud.GraphURL+"/v1.0/me/extensions", strings.NewReader(body))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+tokenFor(t, u, entraid.GraphURI+"/User.ReadWrite"))
	resp, err := cloud.Client().Do(r)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	require.Equal(t, http.StatusCreated, resp.StatusCode)
}
