package functions

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"time"

	json "github.com/go-json-experiment/json"

	"acsauth/internal/identity"
)

// tokenInput is what callers may say of the token they want. The identity is
// never among it.
type tokenInput struct {
	Scopes           []string `json:"scopes"`
	ExpiresInMinutes *int     `json:"expiresInMinutes"`
}

const (
	minMinutes = int(identity.MinExpiresIn / time.Minute)
	maxMinutes = int(identity.MaxExpiresIn / time.Minute)
)

// decodeBody reads the members of the body, a JSON object, into v, whatever
// their case; others are passed over, one twice is an error.
func (c *call) decodeBody(v any) error {
	if len(c.body) == 0 {
		return nil
	}
	err := json.Unmarshal(c.body, v, json.MatchCaseInsensitiveNames(true))
	if err != nil || !bytes.HasPrefix(bytes.TrimSpace(c.body), []byte("{")) {
		return identity.Errorf(identity.CodeInvalidRequest, "The request body is not the JSON object that this function takes.")
	}
	return nil
}

// tokenRequest reads scopes and expiresInMinutes from the query or the body, and
// fills in what the configuration says where neither has them.
func (a *app) tokenRequest(c *call) (identity.TokenRequest, error) {
	var in tokenInput
	if err := c.decodeBody(&in); err != nil {
		return identity.TokenRequest{}, err
	}
	scopes, expires := c.query("scopes"), c.query("expiresInMinutes")
	if scopes != nil && in.Scopes != nil || expires != nil && in.ExpiresInMinutes != nil || len(expires) > 1 {
		return identity.TokenRequest{}, identity.Errorf(identity.CodeInvalidRequest, "Send each parameter once, in the query or in the body.")
	}
	if scopes != nil {
		in.Scopes = strings.FieldsFunc(strings.Join(scopes, ","), func(r rune) bool { return r == ',' || r == ' ' })
	}
	if expires != nil {
		n, err := strconv.Atoi(expires[0])
		if err != nil {
			return identity.TokenRequest{}, expiresOutOfRange()
		}
		in.ExpiresInMinutes = &n
	}
	return a.checkTokenInput(in, scopes != nil || in.Scopes != nil)
}

func (a *app) checkTokenInput(in tokenInput, scopesGiven bool) (identity.TokenRequest, error) {
	req := identity.TokenRequest{Scopes: a.TokenScopes, ExpiresIn: a.TokenExpiresIn}
	if scopesGiven {
		if len(in.Scopes) == 0 {
			return req, identity.Errorf(identity.CodeInvalidScope, "Name at least one scope or leave the parameter out.")
		}
		for _, scope := range in.Scopes {
			if !slices.Contains(a.TokenScopes, scope) {
				return req, identity.Errorf(identity.CodeInvalidScope, "The scopes that can be asked for are %s.", strings.Join(a.TokenScopes, " and "))
			}
		}
		slices.Sort(in.Scopes)
		req.Scopes = slices.Compact(in.Scopes)
	}
	if in.ExpiresInMinutes != nil {
		if n := *in.ExpiresInMinutes; n < minMinutes || n > maxMinutes { // before it is multiplied
			return req, expiresOutOfRange()
		}
		req.ExpiresIn = time.Duration(*in.ExpiresInMinutes) * time.Minute
	}
	return req, nil
}

func expiresOutOfRange() error {
	return identity.Errorf(identity.CodeInvalidRequest, "expiresInMinutes is a whole number from %d to %d.", minMinutes, maxMinutes)
}
