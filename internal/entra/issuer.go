package entra

import (
	"context"
	"errors"
	"net/url"
	"strings"

	"acsauth/internal/identity"
)

// issuerForm is how one issuer signs itself, and where its keys are.
type issuerForm struct {
	iss         string // claim iss, compared as it is
	tenantID    string // claim tid
	version     string // claim ver
	policy      string // claim tfp, in Azure AD B2C
	keysURL     string
	keyIssuers  []string // what the keys' own issuer may be
	metadataURL string
}

const metadataPath = "/.well-known/openid-configuration"

// forms returns the issuers of one tenant, whose id is in lower case:
// https://learn.microsoft.com/entra/identity-platform/access-tokens
func (e Expected) forms(tenantID string) []issuerForm {
	base := e.AuthorityHost + "/" + tenantID
	v2 := issuerForm{iss: base + "/v2.0", tenantID: tenantID, version: "2.0",
		keysURL: base + "/discovery/v2.0/keys", metadataURL: base + "/v2.0" + metadataPath}
	if e.Policy != "" {
		return e.b2cForms(tenantID)
	}
	if authority, err := url.Parse(e.AuthorityHost); err == nil && strings.HasSuffix(authority.Hostname(), ".ciamlogin.com") {
		// Entra External ID answers at a name and signs itself with the id.
		v2.iss = "https://" + tenantID + ".ciamlogin.com/" + tenantID + "/v2.0"
	}
	v1 := issuerForm{iss: v1IssuerHost(e.AuthorityHost) + "/" + tenantID + "/", tenantID: tenantID, version: "1.0",
		keysURL: base + "/discovery/keys", metadataURL: base + metadataPath}
	v2.keyIssuers = []string{v2.iss, v1.iss}
	v1.keyIssuers = v2.keyIssuers
	if e.AcceptV1 {
		return []issuerForm{v2, v1}
	}
	return []issuerForm{v2}
}

// b2cForms are the two that a B2C tenant can choose from. Both end in a slash,
// and the tokens call themselves version 1.0:
// https://learn.microsoft.com/azure/active-directory-b2c/tokens-overview
func (e Expected) b2cForms(tenantID string) []issuerForm {
	base := e.AuthorityHost + "/" + tenantID + "/" + url.PathEscape(strings.ToLower(e.Policy))
	plain := issuerForm{iss: e.AuthorityHost + "/" + tenantID + "/v2.0/", tenantID: tenantID, version: "1.0", policy: e.Policy,
		keysURL: base + "/discovery/v2.0/keys", metadataURL: base + "/v2.0" + metadataPath}
	withPolicy := plain
	withPolicy.iss = e.AuthorityHost + "/tfp/" + tenantID + "/" + strings.ToLower(e.Policy) + "/v2.0/"
	plain.keyIssuers = []string{plain.iss, withPolicy.iss}
	withPolicy.keyIssuers = plain.keyIssuers
	return []issuerForm{plain, withPolicy}
}

// v1IssuerHost is the host of v1.0 issuers, which differs from the authority's.
func v1IssuerHost(authorityHost string) string {
	if authorityHost == "https://login.partner.microsoftonline.cn" {
		return "https://sts.chinacloudapi.cn"
	}
	return "https://sts.windows.net"
}

// stranger says what is wrong with a token of an issuer that is not expected.
// Where several tenants are listed, a genuine token of yet another tenant is
// told so: Entra ID signs for all tenants of a cloud with the same keys.
func (v *Verifier) stranger(ctx context.Context, c claims, raw string) error {
	other := invalid("The access token comes from another issuer.")
	rest, ours := strings.CutPrefix(c.issuer, v.expected.AuthorityHost+"/")
	tenantID, isV2 := strings.CutSuffix(rest, "/v2.0")
	if len(v.expected.Tenants) < 2 || !ours || !isV2 || !identity.IsGUID(tenantID) || !strings.EqualFold(tenantID, c.tenantID) || !v.now().Before(c.expires) {
		return other
	}
	known := v.issuers[v.expected.forms(strings.ToLower(v.expected.Tenants[0]))[0].iss]
	if _, expected := known.verifiers[c.audience]; !expected {
		return other
	}
	if _, err := known.keys.VerifySignature(ctx, raw); errors.Is(err, errNoKeys) {
		return verifyError(err, err)
	} else if err != nil || c.version != "2.0" || c.scope == "" {
		return other
	}
	return identity.Errorf(identity.CodeTenantNotAllowed, "Users of this tenant may not call this API.")
}
