package entra

import (
	"encoding/base64"
	"errors"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// maxToken is generous: Entra ID's access tokens are 1 to 3 KiB.
const maxToken = 8 << 10

var errTooLong = errors.New("token is too long")

// token is a compact JWS taken apart, with nothing verified.
type token struct {
	raw                string
	header             header
	payload, signature []byte
}

type header struct{ alg, kid, typ, x5t string }

// segments splits a compact JWS and decodes its three parts. It refuses what
// lenient decoders let through: white space, padding, the other alphabet, and
// trailing bits that make two texts of one token.
func segments(raw string) (header, payload, signature []byte, err error) {
	if len(raw) > maxToken {
		return nil, nil, nil, errTooLong
	}
	if strings.IndexByte(raw, '\n') >= 0 || strings.IndexByte(raw, '\r') >= 0 { // which encoding/base64 skips
		return nil, nil, nil, errors.New("token has a line end in it")
	}
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		return nil, nil, nil, errors.New("token has not three parts")
	}
	var decoded [3][]byte
	for i, part := range parts {
		if decoded[i], err = base64.RawURLEncoding.Strict().DecodeString(part); err != nil {
			return nil, nil, nil, errors.New("token is not base64url")
		}
	}
	return decoded[0], decoded[1], decoded[2], nil
}

// parseToken also holds the header against the policy.
func parseToken(raw string) (token, error) {
	head, payload, signature, err := segments(raw)
	if err != nil {
		return token{}, err
	}
	h, err := parseHeader(head)
	if err == nil {
		err = h.check()
	}
	return token{raw, h, payload, signature}, err
}

func parseHeader(b []byte) (h header, err error) {
	err = members(b, func(name []byte, value *jsontext.Decoder) error {
		switch string(name) {
		case "alg":
			return text(value, &h.alg)
		case "kid":
			return text(value, &h.kid)
		case "typ":
			return text(value, &h.typ)
		case "x5t": // a second name of the key: keySet holds it to that
			return text(value, &h.x5t)
		}
		// crit, jku, jwk, x5u, zip, b64, cty, and the nonce of tokens that are
		// for Microsoft's own eyes
		return errors.New("header has a parameter that has no place here")
	})
	return h, err
}

// check is the policy for the headers of access tokens.
func (h header) check() error {
	switch {
	case h.alg != "RS256":
		return errors.New("algorithm is not RS256")
	case h.kid == "" || len(h.kid) > maxKeyID:
		return errors.New("key id is missing or too long")
	case h.typ != "" && !strings.EqualFold(h.typ, "JWT"):
		return errors.New("token is of another type")
	}
	return nil
}
