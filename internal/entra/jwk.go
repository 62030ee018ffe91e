package entra

import (
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"math/big"
	"slices"
	"strings"

	json "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// key is one that may be used.
type key struct {
	public     *rsa.PublicKey
	thumbprint string // its x5t, or empty
}

// jwk is a JSON Web Key as far as it matters for RS256 (RFC 7517, RFC 7518 §6.3).
type jwk struct {
	Type       string   `json:"kty"`
	ID         string   `json:"kid"`
	Use        string   `json:"use"`
	Algorithm  string   `json:"alg"`
	Operations []string `json:"key_ops"`
	Modulus    string   `json:"n"`
	Exponent   string   `json:"e"`
	Thumbprint string   `json:"x5t"`
	Issuer     string   `json:"issuer"` // Entra ID's own: whose tokens the key may sign
}

// parse reads a JWK set. A key that is unfit for RS256, weak, broken or another
// issuer's is left out; it does not spoil the others.
func (k *keySet) parse(body []byte) (map[string][]key, error) {
	var set struct {
		Keys []jsontext.Value `json:"keys"`
	}
	// Lenient around the keys, strict with each.
	if err := json.Unmarshal(body, &set, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)); err != nil {
		return nil, errors.New("the keys endpoint's answer is not a key set")
	}
	byID := map[string][]key{}
	for _, raw := range set.Keys {
		var candidate jwk
		if json.Unmarshal(raw, &candidate) != nil || !k.mayUse(candidate) {
			continue
		}
		if public := candidate.rsa(); public != nil {
			byID[candidate.ID] = append(byID[candidate.ID], key{public, candidate.Thumbprint})
		}
	}
	if len(byID) == 0 {
		return nil, errors.New("the keys endpoint's answer holds no usable key")
	}
	return byID, nil
}

func (k *keySet) mayUse(key jwk) bool {
	issuer := strings.ReplaceAll(key.Issuer, "{tenantid}", k.tenantID)
	return key.Type == "RSA" &&
		key.ID != "" && len(key.ID) <= maxKeyID &&
		(key.Use == "" || key.Use == "sig") &&
		(key.Algorithm == "" || key.Algorithm == "RS256") &&
		(key.Operations == nil || slices.Contains(key.Operations, "verify")) &&
		(issuer == "" || slices.Contains(k.issuers, issuer))
}

// rsa returns nil for a key that is malformed or too weak.
func (key jwk) rsa() *rsa.PublicKey {
	n, err := base64.RawURLEncoding.DecodeString(key.Modulus)
	if err != nil {
		return nil
	}
	e, err := base64.RawURLEncoding.DecodeString(key.Exponent)
	if err != nil || len(e) > 4 {
		return nil
	}
	modulus, exponent := new(big.Int).SetBytes(n), new(big.Int).SetBytes(e).Int64()
	if bits := modulus.BitLen(); bits < 2048 || bits > 8192 || modulus.Bit(0) == 0 {
		return nil
	}
	if exponent < 65537 || exponent > 1<<31-1 || exponent%2 == 0 {
		return nil
	}
	return &rsa.PublicKey{N: modulus, E: int(exponent)}
}
