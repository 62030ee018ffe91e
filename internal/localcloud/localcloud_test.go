package localcloud

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"acsauth/internal/localcloud/entraid"
	"acsauth/internal/localcloud/funchost"
)

func TestPagesSeeAFaultOfTheService(t *testing.T) {
	s := HTTPService(nil, nil, funchost.CORS{AllowedOrigins: []string{"http://localhost:3000"}})
	for origin, allowed := range map[string]string{"http://localhost:3000": "http://localhost:3000", "http://localhost:4000": "", "": ""} {
		r, w := httptest.NewRequest(http.MethodPost, "/api/getToken", nil), httptest.NewRecorder()
		r.Header.Set("Origin", origin)
		s.Refuse(w, r, http.StatusServiceUnavailable, "asked for")
		assert.Equal(t, http.StatusServiceUnavailable, w.Code)
		assert.Equal(t, allowed, w.Header().Get("Access-Control-Allow-Origin"), origin)
	}
}

// The real services know each other; so do these.
func TestATokenGotOnBehalfOfAUserIsGoodForGraph(t *testing.T) {
	c, err := Start(Options{Dir: t.TempDir()})
	require.NoError(t, err)
	defer c.Close()
	alice := entraid.SampleUsers()[0]
	assertion, err := c.Entra.AccessToken(alice, SPAClientID, APIScope)
	require.NoError(t, err)

	for _, scope := range []string{c.GraphURL + "/User.ReadWrite", entraid.GraphURI + "/User.ReadWrite"} {
		resp, err := c.Client().PostForm(c.EntraURL+"/"+entraid.SampleTenantID+"/oauth2/v2.0/token", url.Values{
			"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "requested_token_use": {"on_behalf_of"},
			"client_id": {APIClientID}, "client_secret": {c.apiSecret.Reveal()}, "assertion": {assertion}, "scope": {scope},
		})
		require.NoError(t, err)
		var got struct {
			AccessToken string `json:"access_token"`
			Scope       string
		}
		require.NoError(t, json.NewDecoder(resp.Body).Decode(&got))
		require.NoError(t, resp.Body.Close())
		require.Equal(t, http.StatusOK, resp.StatusCode)
		assert.Equal(t, scope, got.Scope)

		for token, status := range map[string]int{got.AccessToken: http.StatusOK, assertion: http.StatusUnauthorized} {
			req, err := http.NewRequest(http.MethodGet, c.GraphURL+"/v1.0/me", strings.NewReader(""))
			require.NoError(t, err)
			req.Header.Set("Authorization", "Bearer "+token)
			resp, err := c.Client().Do(req)
			require.NoError(t, err)
			var me struct{ ID string }
			require.NoError(t, json.NewDecoder(resp.Body).Decode(&me))
			require.NoError(t, resp.Body.Close())
			assert.Equal(t, status, resp.StatusCode)
			assert.Equal(t, status == http.StatusOK, me.ID == alice.ObjectID)
		}
	}
	_, err = c.Knobs.Turn("graph/createExtension:status=503")
	assert.NoError(t, err)
}

// Clients in a browser see a fault for what it is where the service itself is
// open to them.
func TestPagesCanReadAFault(t *testing.T) {
	c, err := Start(Options{Dir: t.TempDir()})
	require.NoError(t, err)
	defer c.Close()
	for url, open := range map[string]bool{
		c.EntraURL + "/common/oauth2/v2.0/token": true,
		c.GraphURL + "/v1.0/me":                  true,
		c.ACSURL + "/access/teamsExtension/:exchangeAccessToken?api-version=2025-06-30": true,
		c.ACSURL + "/identities?api-version=2023-10-01":                                 false,
	} {
		for _, service := range []string{EntraService, ACSService, GraphService} {
			_, err := c.Knobs.Turn(service + ":status=503,retry-after=7,times=1")
			require.NoError(t, err)
		}
		resp, err := c.Client().Post(url, "application/json", strings.NewReader("{}"))
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.NoError(t, c.Knobs.Clear(""))
		assert.Equal(t, http.StatusServiceUnavailable, resp.StatusCode, url)
		if !open {
			assert.Empty(t, resp.Header.Get("Access-Control-Allow-Origin"), url)
			continue
		}
		assert.Equal(t, "*", resp.Header.Get("Access-Control-Allow-Origin"), url)
		assert.Contains(t, resp.Header.Get("Access-Control-Expose-Headers"), "Retry-After", url)
	}
}
