package entra

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// claims are those that decide something, or say who called.
type claims struct {
	issuer, audience, tenantID, objectID string
	version, scope, identityType         string
	azp, appid                           string
	subject, tfp, acr                    string // for Azure AD B2C alone
	roles                                []string
	expires, notBefore, issuedAt         time.Time // notBefore is zero where absent; the others are never
}

// client is the application the token was issued to.
func (c claims) client() string {
	if c.version == "1.0" && c.appid != "" {
		return c.appid
	}
	return c.azp
}

// hasScope reports whether any of scopes is a word of claim scp.
func (c claims) hasScope(scopes []string) bool {
	return slices.ContainsFunc(strings.Split(c.scope, " "), func(s string) bool { return slices.Contains(scopes, s) })
}

// policy is the user flow that issued the token; older ones name it in acr.
func (c claims) policy() string {
	if c.tfp != "" {
		return c.tfp
	}
	return c.acr
}

// ofB2C fills in what Azure AD B2C leaves out unless it is told not to: tid, and
// oid, which is its sub.
func (c claims) ofB2C(tenantID string) claims {
	if c.tenantID == "" {
		c.tenantID = tenantID
	}
	if c.objectID == "" {
		c.objectID = c.subject
	}
	return c
}

// claimNames lists what parseClaims reads. The same name in another case is
// refused: another reader of the token might take it for the claim.
var claimNames = bytes.Fields([]byte("iss aud tid oid ver scp idtyp azp appid sub tfp acr roles exp nbf iat"))

func parseClaims(b []byte) (c claims, err error) {
	err = members(b, func(name []byte, value *jsontext.Decoder) error {
		switch string(name) {
		case "iss":
			return text(value, &c.issuer)
		case "aud":
			return text(value, &c.audience)
		case "tid":
			return text(value, &c.tenantID)
		case "oid":
			return text(value, &c.objectID)
		case "ver":
			return text(value, &c.version)
		case "scp":
			return text(value, &c.scope)
		case "idtyp":
			return text(value, &c.identityType)
		case "azp":
			return text(value, &c.azp)
		case "appid":
			return text(value, &c.appid)
		case "sub":
			return text(value, &c.subject)
		case "tfp":
			return text(value, &c.tfp)
		case "acr":
			return text(value, &c.acr)
		case "roles":
			return texts(value, &c.roles)
		case "exp":
			return numericDate(value, &c.expires)
		case "nbf":
			return numericDate(value, &c.notBefore)
		case "iat":
			return numericDate(value, &c.issuedAt)
		}
		if slices.ContainsFunc(claimNames, func(known []byte) bool { return bytes.EqualFold(name, known) }) {
			return errors.New("a claim is spelled in another case")
		}
		return value.SkipValue()
	})
	if err == nil && (c.expires.IsZero() || c.issuedAt.IsZero()) {
		err = errors.New("exp or iat is missing")
	}
	return c, err
}
