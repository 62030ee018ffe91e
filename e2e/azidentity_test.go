package e2e

import (
	"net/http"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"acsauth/internal/localcloud"
	"acsauth/internal/localcloud/entraid"
)

// Microsoft's credentials for Go, which are built on MSAL Go, need no Node.js.
func TestGoCredentials(t *testing.T) {
	lc, err := localcloud.Start(localcloud.Options{Dir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(lc.Close)
	s := &stack{cloud: lc}
	alice := entraid.SampleUsers()[0]
	secret := s.settings()["ENTRA_CLIENT_SECRET"]
	options := azcore.ClientOptions{
		Transport: lc.Client(),
		Cloud:     cloud.Configuration{ActiveDirectoryAuthorityHost: lc.EntraURL},
	}
	token := func(credential azcore.TokenCredential, scope string) string {
		t.Helper()
		token, err := credential.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{scope}})
		require.NoError(t, err)
		return token.Token
	}

	app, err := azidentity.NewClientSecretCredential(entraid.SampleTenantID, localcloud.APIClientID, secret,
		&azidentity.ClientSecretCredentialOptions{ClientOptions: options, DisableInstanceDiscovery: true})
	require.NoError(t, err)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, lc.ACSURL+"/identities?api-version=2023-10-01", nil)
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+token(app, entraid.ACSScope))
	resp, err := lc.Client().Do(req)
	require.NoError(t, err)
	_ = resp.Body.Close()
	assert.Equal(t, http.StatusCreated, resp.StatusCode, "ACS lets the app in")

	onBehalf := func(user entraid.User) azcore.TokenCredential {
		credential, err := azidentity.NewOnBehalfOfCredentialWithSecret(entraid.SampleTenantID, localcloud.APIClientID,
			s.token(t, user, localcloud.APIScope), secret, &azidentity.OnBehalfOfCredentialOptions{ClientOptions: options, DisableInstanceDiscovery: true})
		require.NoError(t, err)
		return credential
	}
	claims, err := lc.Entra.Verify(token(onBehalf(alice), entraid.GraphURI+"/User.Read"), entraid.GraphAppID)
	require.NoError(t, err)
	assert.Equal(t, alice.ObjectID, claims.ObjectID)

	challenged := onBehalf(s.newUser(t, 1, entraid.Policy{StepUpRequired: true}))
	_, err = challenged.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{entraid.GraphURI + "/User.Read"}})
	var refused *azidentity.AuthenticationFailedError
	require.ErrorAs(t, err, &refused)
	assert.ErrorContains(t, refused, "interaction_required")
}
