package identity

import (
	"slices"
	"time"
)

// Grant is the most that a token may carry.
type Grant struct {
	Scopes    []string      // of Scopes(), sorted
	ExpiresIn time.Duration // MinExpiresIn to MaxExpiresIn
}

// TokenPolicy says which tokens a caller may have, going by their app roles in
// Entra ID.
type TokenPolicy struct {
	// Roles are the grants of app roles, by the role's value, whose case counts.
	Roles map[string]Grant
	// Default is for callers who have none of Roles.
	Default Grant
	// ExpiresIn is how long a token lives that is asked for without a lifetime,
	// where the caller's grant does not say less.
	ExpiresIn time.Duration
}

// Grant returns what a caller with these app roles may have: what any one of the
// roles allows. A role is given to somebody so that they can do more. To take the
// least of several would let a second role take away what the first was given
// for.
func (p TokenPolicy) Grant(roles []string) Grant {
	var g Grant
	for _, role := range roles {
		of, ok := p.Roles[role]
		if !ok {
			continue
		}
		g.Scopes = append(g.Scopes, of.Scopes...)
		g.ExpiresIn = max(g.ExpiresIn, of.ExpiresIn)
	}
	if len(g.Scopes) == 0 {
		return p.Default
	}
	slices.Sort(g.Scopes)
	g.Scopes = slices.Compact(g.Scopes)
	return g
}
