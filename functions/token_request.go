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

const minMinutes = int(identity.MinExpiresIn / time.Minute)

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
// fills in what the caller's app roles allow where neither has them.
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
		n, _ := strconv.Atoi(expires[0]) // out of range where it is no number
		in.ExpiresInMinutes = &n
	}
	return a.checkTokenInput(in, scopes != nil || in.Scopes != nil, a.TokenPolicy.Grant(c.caller.Roles))
}

// checkTokenInput holds in against the most that the caller may have.
func (a *app) checkTokenInput(in tokenInput, scopesGiven bool, most identity.Grant) (identity.TokenRequest, error) {
	req := identity.TokenRequest{Scopes: most.Scopes, ExpiresIn: min(a.TokenPolicy.ExpiresIn, most.ExpiresIn)}
	if scopesGiven {
		if len(in.Scopes) == 0 {
			return req, identity.Errorf(identity.CodeInvalidScope, "Name at least one scope or leave the parameter out.")
		}
		for _, scope := range in.Scopes {
			if !slices.Contains(most.Scopes, scope) {
				return req, identity.Errorf(identity.CodeInvalidScope, "The scopes that you can ask for are %s.", strings.Join(most.Scopes, " and "))
			}
		}
		slices.Sort(in.Scopes)
		req.Scopes = slices.Compact(in.Scopes)
	}
	if in.ExpiresInMinutes != nil {
		n, highest := *in.ExpiresInMinutes, int(most.ExpiresIn/time.Minute)
		if n < minMinutes || n > highest { // before it is multiplied
			return req, identity.Errorf(identity.CodeInvalidRequest, "expiresInMinutes is a whole number from %d to %d.", minMinutes, highest)
		}
		req.ExpiresIn = time.Duration(n) * time.Minute
	}
	return req, nil
}
