package entraid

import (
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"

	"acsauth/internal/localcloud/wire"
)

// checkAssertion checks a JWT that stands for a client secret: signed with the
// key of a registered certificate, or issued by somebody whom the registration
// trusts.
func (s *Server) checkAssertion(client Client, assertion string) *stsError {
	header, claims, err := wire.Peek(assertion)
	if err != nil {
		return invalidClient(50027, "JWT token is invalid or malformed.")
	}
	if text(claims, "iss") != client.ID && len(client.Federated) > 0 {
		return s.checkFederated(client, assertion, claims)
	}
	return s.checkCertificate(client, assertion, header, claims)
}

// checkCertificate: https://learn.microsoft.com/entra/identity-platform/certificate-credentials
func (s *Server) checkCertificate(client Client, assertion string, header, claims map[string]any) *stsError {
	key := client.certifiedKey(header)
	if key == nil {
		return invalidClient(700027, fmt.Sprintf("The certificate with identifier used to sign the client assertion is not registered on application. [Reason - The key was not found., Please visit the Azure Portal, Graph Explorer or directly use MS Graph to see configured keys for app Id '%s'.]", client.ID))
	}
	if _, err := wire.Verify(assertion, func(string) *rsa.PublicKey { return key }); err != nil {
		return invalidClient(700027, "The certificate with identifier used to sign the client assertion is registered on application, but the signature does not match. [Reason - The key used is not valid.]")
	}
	switch {
	case text(claims, "iss") != client.ID || text(claims, "sub") != client.ID:
		return invalidClient(700021, "Client assertion application identifier doesn't match 'client_id' parameter. Review the documentation at https://learn.microsoft.com/entra/identity-platform/certificate-credentials.")
	case !s.isForMe(text(claims, "aud")):
		return invalidClient(700023, "Client assertion audience claim does not match Realm issuer. Review the documentation at https://learn.microsoft.com/entra/identity-platform/certificate-credentials.")
	}
	return s.checkTimes(claims)
}

// certifiedKey finds the certificate that the header names by its thumbprint.
func (c Client) certifiedKey(header map[string]any) *rsa.PublicKey {
	for _, certificate := range c.Certificates {
		key, ok := certificate.PublicKey.(*rsa.PublicKey)
		if !ok {
			continue
		}
		byte20, byte32 := sha1.Sum(certificate.Raw), sha256.Sum256(certificate.Raw)
		encode := base64.RawURLEncoding.EncodeToString
		switch {
		case plainBase64.Replace(text(header, "x5t")) == encode(byte20[:]),
			plainBase64.Replace(text(header, "x5t#S256")) == encode(byte32[:]),
			strings.EqualFold(text(header, "kid"), fmt.Sprintf("%x", byte20)):
			return key
		}
	}
	return nil
}

// plainBase64 takes the other alphabet and padding too: MSAL Go uses them.
var plainBase64 = strings.NewReplacer("+", "-", "/", "_", "=", "")

// isForMe reports whether an assertion's audience is this token endpoint, or the
// issuer that it belongs to.
func (s *Server) isForMe(audience string) bool {
	rest, ok := strings.CutPrefix(audience, s.baseURL+"/")
	if !ok {
		return false
	}
	name, path, _ := strings.Cut(strings.ToLower(rest), "/")
	_, refusal := s.authority(name)
	return refusal == nil && slices.Contains([]string{"", "v2.0", "oauth2/token", "oauth2/v2.0/token"}, path)
}

// checkFederated: https://learn.microsoft.com/entra/workload-id/workload-identity-federation
//
// Assumed: of a federated credential the issuer is looked at first, then the
// subject, then the audience.
func (s *Server) checkFederated(client Client, assertion string, claims map[string]any) *stsError {
	issuer, subject, audience := text(claims, "iss"), text(claims, "sub"), text(claims, "aud")
	known := slices.DeleteFunc(slices.Clone(client.Federated), func(f FederatedCredential) bool { return f.Issuer != issuer })
	if len(known) == 0 {
		return invalidClient(700211, fmt.Sprintf("No matching federated identity record found for presented assertion issuer '%s'.", issuer))
	}
	known = slices.DeleteFunc(known, func(f FederatedCredential) bool { return f.Subject != subject })
	if len(known) == 0 {
		return invalidClient(700213, fmt.Sprintf("No matching federated identity record found for presented assertion subject '%s'.", subject))
	}
	known = slices.DeleteFunc(known, func(f FederatedCredential) bool { return f.Audience != audience })
	if len(known) == 0 {
		return invalidClient(700212, fmt.Sprintf("No matching federated identity record found for presented assertion audience '%s'.", audience))
	}
	keys := known[0].Keys
	if keys == nil {
		keys = s.Keys()
	}
	if _, err := wire.Verify(assertion, func(kid string) *rsa.PublicKey { return keys[kid] }); err != nil {
		return invalidClient(50013, "Assertion failed signature validation.")
	}
	return s.checkTimes(claims)
}

func (s *Server) checkTimes(claims map[string]any) *stsError {
	from, until := seconds(claims, "nbf"), seconds(claims, "exp")
	if s.expired(until) || s.now().Add(5*time.Minute).Before(from) {
		return invalidClient(700024, fmt.Sprintf("Client assertion is not within its valid time range. Current time: %s, assertion valid from %s, expiry time of assertion %s.", dotNetTime(s.now()), dotNetTime(from), dotNetTime(until)))
	}
	return nil
}

func text(claims map[string]any, name string) string {
	v, _ := claims[name].(string)
	return v
}

func seconds(claims map[string]any, name string) time.Time {
	v, _ := claims[name].(float64)
	return time.Unix(int64(v), 0).UTC()
}
