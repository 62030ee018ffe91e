package entraid

import (
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"acsauth/internal/localcloud/wire"
)

// What Verify finds wrong with a token.
var (
	ErrSignature = wire.ErrSignature
	ErrIssuer    = errors.New("token is of another issuer")
	ErrAudience  = errors.New("token is meant for another audience")
	ErrExpired   = errors.New("token is not valid at this time")
)

// Claims are those of an access token that the other stand-ins ask for.
type Claims struct {
	Audience  string
	Version   string // "1.0" or "2.0"
	TenantID  string
	ObjectID  string
	ClientID  string   // azp, or appid in version 1.0
	Scopes    []string // none in an app-only token
	Roles     []string
	ExpiresAt time.Time
	All       map[string]any
}

// Verify lets the other stand-ins check a token of this one, for the real
// services do that among themselves. It checks signature, issuer, time and that
// the audience is one of those given; not scopes, and not that the user still
// exists. Its errors are ErrSignature, ErrIssuer, ErrAudience, with which it
// still returns the claims, and ErrExpired.
func (s *Server) Verify(token string, audiences ...string) (Claims, error) {
	keys := s.Keys()
	all, err := wire.Verify(token, func(kid string) *rsa.PublicKey { return keys[kid] })
	if err != nil {
		return Claims{}, err
	}
	c := Claims{
		Audience:  text(all, "aud"),
		Version:   text(all, "ver"),
		TenantID:  text(all, "tid"),
		ObjectID:  text(all, "oid"),
		ClientID:  text(all, "azp"),
		Scopes:    strings.Fields(text(all, "scp")),
		ExpiresAt: seconds(all, "exp"),
		All:       all,
	}
	issuer := s.issuerV2(c.TenantID)
	if c.Version == "1.0" {
		issuer, c.ClientID = issuerV1(c.TenantID), text(all, "appid")
	}
	if roles, ok := all["roles"].([]any); ok {
		for _, role := range roles {
			c.Roles = append(c.Roles, fmt.Sprint(role))
		}
	}
	switch {
	case text(all, "iss") != issuer || !s.hasTenant(c.TenantID):
		return Claims{}, fmt.Errorf("%w: expected %s, got %s", ErrIssuer, issuer, text(all, "iss"))
	case !slices.Contains(audiences, c.Audience):
		return c, fmt.Errorf("%w: expected one of %q, got %q", ErrAudience, audiences, c.Audience)
	case s.expired(c.ExpiresAt) || s.now().Before(seconds(all, "nbf")):
		return Claims{}, fmt.Errorf("%w: from %s to %s", ErrExpired, seconds(all, "nbf"), c.ExpiresAt)
	}
	return c, nil
}
