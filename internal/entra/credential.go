package entra

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"

	"acsauth/internal/secret"
)

// Credential is how this API proves to Entra ID that it is its registration. One
// of the fields is set.
type Credential struct {
	Secret secret.String
	// CertificateFile is a PEM file with the certificate, or its chain, and its
	// RSA key, not encrypted.
	CertificateFile string
	// Federated is a user-assigned managed identity that the registration has a
	// federated credential for:
	// https://learn.microsoft.com/entra/workload-id/workload-identity-federation-config-app-trust-managed-identity
	Federated azcore.TokenCredential
}

// forMSAL reads the certificate where there is one.
func (c Credential) forMSAL(authorityHost string) (confidential.Credential, error) {
	switch {
	case c.Federated != nil:
		scopes := []string{federatedAudience(authorityHost) + "/.default"}
		return confidential.NewCredFromAssertionCallback(func(ctx context.Context, _ confidential.AssertionRequestOptions) (string, error) {
			token, err := c.Federated.GetToken(ctx, policy.TokenRequestOptions{Scopes: scopes})
			if err != nil {
				return "", &assertionError{err}
			}
			return token.Token, nil
		}), nil
	case c.CertificateFile != "":
		pem, err := os.ReadFile(c.CertificateFile)
		if err != nil {
			return confidential.Credential{}, fmt.Errorf("client certificate: %w", err)
		}
		certs, key, err := confidential.CertFromPEM(pem, "")
		if err != nil {
			return confidential.Credential{}, fmt.Errorf("client certificate: %w", err)
		}
		cred, err := confidential.NewCredFromCert(certs, key)
		if err != nil {
			return confidential.Credential{}, fmt.Errorf("client certificate: %w", err)
		}
		return cred, nil
	case !c.Secret.Empty():
		return confidential.NewCredFromSecret(c.Secret.Reveal())
	}
	return confidential.Credential{}, errors.New("there is no credential")
}

// federatedAudience is what the managed identity's token is for in each cloud.
func federatedAudience(authorityHost string) string {
	switch authorityHost {
	case "https://login.microsoftonline.us":
		return "api://AzureADTokenExchangeUSGov"
	case "https://login.partner.microsoftonline.cn":
		return "api://AzureADTokenExchangeChina"
	}
	return "api://AzureADTokenExchange"
}

// assertionError: the managed identity gave no token.
type assertionError struct{ err error }

func (e *assertionError) Error() string { return "the managed identity gave no token" }
func (e *assertionError) Unwrap() error { return e.err }
