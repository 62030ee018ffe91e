package entraid

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"math/big"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"acsauth/internal/secret"
)

// selfSigned makes a certificate as an operator would.
func selfSigned(t *testing.T) (*x509.Certificate, *rsa.PrivateKey) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(7), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	certificate, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return certificate, key
}

// The credentials of Azure's SDK for Go work as they are.
func TestAzureIdentityGetsTokens(t *testing.T) {
	certificate, key := selfSigned(t)
	var entra *Server
	listener := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { entra.ServeHTTP(w, r) }))
	t.Cleanup(listener.Close)
	var err error
	entra, err = New(Config{BaseURL: listener.URL, Clients: []Client{{
		ID: apiID, Secret: secret.New(apiSecret), Certificates: []*x509.Certificate{certificate},
		Scopes: []string{"access_as_user"}, Federated: federated(listener.URL),
	}}})
	require.NoError(t, err)
	options := policy.ClientOptions{
		Cloud:     cloud.Configuration{ActiveDirectoryAuthorityHost: listener.URL},
		Transport: listener.Client(),
	}
	assertion, err := entra.AccessToken(SampleUsers()[0], apiID, apiScope)
	require.NoError(t, err)

	for name, credentialOf := range map[string]func() (azcore.TokenCredential, error){
		"secret": func() (azcore.TokenCredential, error) {
			return azidentity.NewClientSecretCredential(SampleTenantID, apiID, apiSecret, &azidentity.ClientSecretCredentialOptions{ClientOptions: options, DisableInstanceDiscovery: true})
		},
		"certificate": func() (azcore.TokenCredential, error) {
			return azidentity.NewClientCertificateCredential(SampleTenantID, apiID, []*x509.Certificate{certificate}, key,
				&azidentity.ClientCertificateCredentialOptions{ClientOptions: options, DisableInstanceDiscovery: true})
		},
		"federated": func() (azcore.TokenCredential, error) {
			return azidentity.NewClientAssertionCredential(SampleTenantID, apiID, func(context.Context) (string, error) {
				return entra.Sign(nil, map[string]any{"iss": entra.issuerV2(SampleTenantID), "sub": "job", "aud": "api://AzureADTokenExchange", "exp": time.Now().Add(time.Hour).Unix()}), nil
			}, &azidentity.ClientAssertionCredentialOptions{ClientOptions: options, DisableInstanceDiscovery: true})
		},
	} {
		credential, err := credentialOf()
		require.NoError(t, err, name)
		token, err := credential.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{ACSScope}})
		require.NoError(t, err, name)
		_, err = entra.Verify(token.Token, ACSAudience)
		require.NoError(t, err, name)
	}
	obo, err := azidentity.NewOnBehalfOfCredentialWithSecret(SampleTenantID, apiID, assertion, apiSecret, &azidentity.OnBehalfOfCredentialOptions{ClientOptions: options, DisableInstanceDiscovery: true})
	require.NoError(t, err)
	token, err := obo.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{graphScope}})
	require.NoError(t, err)
	claims, err := entra.Verify(token.Token, GraphAppID)
	require.NoError(t, err)
	assert.Equal(t, []string{"User.Read"}, claims.Scopes)

	wrong, err := azidentity.NewClientSecretCredential(SampleTenantID, apiID, "wrong", &azidentity.ClientSecretCredentialOptions{ClientOptions: options, DisableInstanceDiscovery: true})
	require.NoError(t, err)
	_, err = wrong.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{ACSScope}})
	var refused *azidentity.AuthenticationFailedError
	require.ErrorAs(t, err, &refused)
	assert.Equal(t, http.StatusUnauthorized, refused.RawResponse.StatusCode)
}

// A device signs in with MSAL's own polling.
func TestAzureIdentitySignsInADevice(t *testing.T) {
	var entra *Server
	listener := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { entra.ServeHTTP(w, r) }))
	t.Cleanup(listener.Close)
	var err error
	entra, err = New(Config{BaseURL: listener.URL, Clients: []Client{{ID: spaID}}})
	require.NoError(t, err)
	alice := SampleUsers()[0]
	credential, err := azidentity.NewDeviceCodeCredential(&azidentity.DeviceCodeCredentialOptions{
		ClientOptions: policy.ClientOptions{Cloud: cloud.Configuration{ActiveDirectoryAuthorityHost: listener.URL}, Transport: listener.Client()},
		TenantID:      SampleTenantID, ClientID: spaID, DisableInstanceDiscovery: true,
		UserPrompt: func(_ context.Context, m azidentity.DeviceCodeMessage) error {
			form := Choice(alice)
			form.Set(codeField, m.UserCode)
			resp, err := listener.Client().PostForm(m.VerificationURL, form)
			if err != nil {
				return err
			}
			return resp.Body.Close()
		},
	})
	require.NoError(t, err)
	token, err := credential.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{graphScope}})
	require.NoError(t, err)
	claims, err := entra.Verify(token.Token, GraphAppID)
	require.NoError(t, err)
	assert.Equal(t, alice.ObjectID, claims.ObjectID)
}
