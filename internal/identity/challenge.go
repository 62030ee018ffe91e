package identity

import (
	"bytes"
	"encoding/json"
)

// Challenge is Entra ID's claims challenge: what the client must ask for when it
// has the user sign in again. Either field may be empty.
// https://learn.microsoft.com/entra/identity-platform/claims-challenge
type Challenge struct {
	AuthorizationURI string // where to ask
	Claims           string // what the next access token must satisfy, a JSON object without line ends
}

// maxClaims leaves room in the header that the claims go out in.
const maxClaims = 4 << 10

// NewChallenge leaves out claims that are no JSON object of a fair size.
func NewChallenge(authorizationURI, claims string) Challenge {
	c := Challenge{AuthorizationURI: authorizationURI}
	var compact bytes.Buffer
	if len(claims) <= maxClaims && json.Compact(&compact, []byte(claims)) == nil && compact.Bytes()[0] == '{' {
		c.Claims = compact.String()
	}
	return c
}
