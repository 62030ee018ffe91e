package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"acsauth/internal/localcloud/entraid"
)

// App Service and Functions give an app its managed identity's tokens at an
// endpoint of their own.
func TestWithAManagedIdentityNoKeyIsNeeded(t *testing.T) {
	// azidentity keeps tokens for the life of the process, by client id.
	userAssigned := fmt.Sprintf("33333333-3333-4333-8333-%012d", time.Now().UnixNano()%1e12)
	var asked []string
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Identity-Header") != "identity-header-secret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		asked = append(asked, r.URL.Query().Get("resource")+" for "+r.URL.Query().Get("client_id"))
		now := time.Now().Unix()
		_ = json.NewEncoder(w).Encode(map[string]any{"token_type": "Bearer", "resource": r.URL.Query().Get("resource"),
			"expires_on": strconv.FormatInt(now+86400, 10),
			"access_token": cloud.Entra.Sign(nil, map[string]any{"iss": "https://sts.windows.net/" + entraid.SampleTenantID + "/", "aud": entraid.ACSAudience,
				"tid": entraid.SampleTenantID, "oid": userAssigned, "appid": userAssigned, "ver": "1.0", "iat": now, "nbf": now, "exp": now + 86400})})
	}))
	defer endpoint.Close()
	t.Setenv("IDENTITY_ENDPOINT", endpoint.URL)
	t.Setenv("IDENTITY_HEADER", "identity-header-secret")

	h := start(t, map[string]string{"ACS_CONNECTION_STRING": "", "ACS_ENDPOINT": cloud.ACSURL, "AZURE_CLIENT_ID": userAssigned})
	h.secret("identity-header-secret")
	for range 3 {
		a := h.do(request{path: "/api/getToken", token: tokenFor(t, newUser(t))})
		require.Equal(t, 200, a.status, a.text)
	}
	assert.Equal(t, []string{"https://communication.azure.com/ for " + userAssigned}, asked, "asked once, and kept")
	code, out, _ := outcome(settings(t, map[string]string{"ACS_CONNECTION_STRING": "", "ACS_ENDPOINT": cloud.ACSURL, "AZURE_CLIENT_ID": userAssigned}), "check")
	assert.Equal(t, 0, code, out)
}
