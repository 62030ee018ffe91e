package entra

import (
	"slices"
	"strings"
	"time"

	"acsauth/internal/identity"
)

// claimRule is one thing that the claims of a genuine token must fulfil.
type claimRule struct {
	name  string // what is looked at
	check func(v *Verifier, c claims, iss *issuer, now time.Time) error
}

// claimRules are in the order in which they are looked at: the first that is
// broken decides what a caller is told.
var claimRules = []claimRule{
	{"expiry", func(_ *Verifier, c claims, _ *issuer, now time.Time) error {
		if !now.Before(c.expires) {
			return invalid("The access token has expired.")
		}
		return nil
	}},
	{"beginning", func(_ *Verifier, c claims, _ *issuer, now time.Time) error {
		if c.issuedAt.After(now.Add(clockSkew)) || c.notBefore.After(now.Add(clockSkew)) {
			return invalid("The access token is not valid yet.")
		}
		return nil
	}},
	{"lifetime", func(_ *Verifier, c claims, _ *issuer, _ time.Time) error {
		if !c.expires.After(c.issuedAt) || c.expires.Sub(c.issuedAt) > maxLifetime {
			return invalid("The access token has an impossible lifetime.")
		}
		return nil
	}},
	{"version", func(_ *Verifier, c claims, iss *issuer, _ time.Time) error {
		if c.version != iss.version {
			return invalid("The access token is of another version.")
		}
		return nil
	}},
	{"user flow", func(_ *Verifier, c claims, iss *issuer, _ time.Time) error {
		if iss.policy != "" && !strings.EqualFold(c.policy(), iss.policy) {
			return invalid("The access token was issued by another user flow.")
		}
		return nil
	}},
	{"tenant", func(_ *Verifier, c claims, iss *issuer, _ time.Time) error {
		if !strings.EqualFold(c.tenantID, iss.tenantID) {
			return invalid("The access token names another tenant than its issuer.")
		}
		return nil
	}},
	{"kind", func(_ *Verifier, c claims, _ *issuer, _ time.Time) error {
		if c.scope == "" || strings.EqualFold(c.identityType, "app") {
			return identity.Errorf(identity.CodeUserTokenRequired,
				"Send an access token of a signed-in user. This one is an ID token or was issued to an application alone.")
		}
		return nil
	}},
	{"scope", func(v *Verifier, c claims, _ *issuer, _ time.Time) error {
		if !slices.Contains(strings.Split(c.scope, " "), v.expected.Scope) {
			return identity.Errorf(identity.CodeInsufficientScope, "The access token lacks the scope %s.", v.expected.Scope)
		}
		return nil
	}},
	{"user", func(_ *Verifier, c claims, _ *issuer, _ time.Time) error {
		if _, err := identity.NewUser(c.tenantID, c.objectID); err != nil {
			return invalid("The access token does not name its user.").Because(err)
		}
		return nil
	}},
	{"client", func(v *Verifier, c claims, _ *issuer, _ time.Time) error {
		if len(v.expected.Clients) > 0 && !slices.ContainsFunc(v.expected.Clients, func(id string) bool { return strings.EqualFold(id, c.client()) }) {
			return identity.Errorf(identity.CodeClientNotAllowed, "The client application may not call this API.")
		}
		return nil
	}},
}
