package entra

import (
	"crypto/sha256"

	lru "github.com/hashicorp/golang-lru/v2"
)

// maxAccepted is about how many tokens ACS grants a resource in a minute. An entry
// has about a kilobyte.
const maxAccepted = 2048

// acceptedTokens remembers the tokens that were accepted, by their hash, for a
// client sends the same one for an hour. Only their form and signature are taken
// for granted then: the claims are held against Expected and the clock on every
// call. An entry counts as long as the keys that it was checked with are the
// current ones.
type acceptedTokens = lru.Cache[[sha256.Size]byte, accepted]

type accepted struct {
	claims claims
	issuer *issuer
	keys   *keys
}

func newAcceptedTokens() *acceptedTokens {
	tokens, err := lru.New[[sha256.Size]byte, accepted](maxAccepted)
	if err != nil {
		panic(err) // only a size below one is an error
	}
	return tokens
}
