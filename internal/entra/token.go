package entra

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// maxToken is generous: Entra ID's access tokens are 1 to 3 KiB.
const maxToken = 8 << 10

// token is a compact JWS taken apart, with nothing verified.
type token struct {
	header header
	claims claims
}

type header struct{ alg, kid, typ string }

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

// segments splits a compact JWS and decodes its three parts. It refuses what
// lenient decoders let through: white space, padding, the other alphabet, and
// trailing bits that make two texts of one token.
func segments(raw string) (header, payload, signature []byte, err error) {
	if len(raw) > maxToken {
		return nil, nil, nil, errors.New("token is too long")
	}
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		return nil, nil, nil, errors.New("token has not three parts")
	}
	var decoded [3][]byte
	for i, part := range parts {
		if strings.ContainsAny(part, "\r\n") { // which encoding/base64 skips
			return nil, nil, nil, errors.New("token has a line end in it")
		}
		if decoded[i], err = base64.RawURLEncoding.Strict().DecodeString(part); err != nil {
			return nil, nil, nil, errors.New("token is not base64url")
		}
	}
	return decoded[0], decoded[1], decoded[2], nil
}

func parseToken(raw string) (token, error) {
	head, payload, _, err := segments(raw)
	if err != nil {
		return token{}, err
	}
	var t token
	if t.header, err = parseHeader(head); err != nil {
		return token{}, err
	}
	if t.claims, err = parseClaims(payload); err != nil {
		return token{}, err
	}
	return t, nil
}

func parseHeader(b []byte) (h header, err error) {
	err = members(b, func(name string, value *jsontext.Decoder) error {
		switch name {
		case "alg":
			return text(value, &h.alg)
		case "kid":
			return text(value, &h.kid)
		case "typ":
			return text(value, &h.typ)
		case "x5t": // a second name of the key, which is found by kid
			return value.SkipValue()
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

// claimNames lists what parseClaims reads. The same name in another case is
// refused: another reader of the token might take it for the claim.
var claimNames = []string{"iss", "aud", "tid", "oid", "ver", "scp", "idtyp", "azp", "appid", "sub", "tfp", "acr", "roles", "exp", "nbf", "iat"}

func parseClaims(b []byte) (c claims, err error) {
	err = members(b, func(name string, value *jsontext.Decoder) error {
		switch name {
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
		if slices.ContainsFunc(claimNames, func(known string) bool { return strings.EqualFold(name, known) }) {
			return errors.New("a claim is spelled in another case")
		}
		return value.SkipValue()
	})
	if err == nil && (c.expires.IsZero() || c.issuedAt.IsZero()) {
		err = errors.New("exp or iat is missing")
	}
	return c, err
}

// members reads the JSON object b and calls each for every member, which reads
// the value. A name that stands twice, in nested objects too, invalid UTF-8 and
// anything after the object are errors. No error quotes the text.
func members(b []byte, each func(name string, value *jsontext.Decoder) error) error {
	d := jsontext.NewDecoder(bytes.NewBuffer(b))
	if t, err := d.ReadToken(); err != nil || t.Kind() != '{' {
		return errors.New("not a JSON object")
	}
	for d.PeekKind() == '"' {
		t, err := d.ReadToken()
		if err == nil {
			err = each(t.String(), d)
		}
		if err != nil {
			return unquoted(err)
		}
	}
	if t, err := d.ReadToken(); err != nil || t.Kind() != '}' {
		return errors.New("not valid JSON")
	}
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
		return errors.New("there is something after the JSON object")
	}
	return nil
}

// unquoted drops the decoder's words, which quote the text.
func unquoted(err error) error {
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		return errors.New("a name stands twice")
	case errors.As(err, new(*jsontext.SyntacticError)), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("not valid JSON")
	}
	return err
}

// text reads a string, or null as if the member were absent.
func text(value *jsontext.Decoder, into *string) error {
	t, err := value.ReadToken()
	switch {
	case err != nil:
		return err
	case t.Kind() == '"':
		*into = t.String()
		return nil
	case t.Kind() == 'n':
		return nil
	}
	return errors.New("a value is not a string")
}

// texts reads an array of strings.
func texts(value *jsontext.Decoder, into *[]string) error {
	if t, err := value.ReadToken(); err != nil || t.Kind() != '[' {
		return errors.New("a value is not an array")
	}
	for value.PeekKind() == '"' {
		t, err := value.ReadToken()
		if err != nil {
			return err
		}
		*into = append(*into, t.String())
	}
	if t, err := value.ReadToken(); err != nil || t.Kind() != ']' {
		return errors.New("a value is not an array of strings")
	}
	return nil
}

// numericDate reads seconds since 1970, with or without a fraction (RFC 7519 §2).
func numericDate(value *jsontext.Decoder, into *time.Time) error {
	t, err := value.ReadToken()
	if err != nil {
		return err
	}
	if t.Kind() != '0' {
		return errors.New("a time is not a number")
	}
	seconds, err := t.Float()
	if err != nil || !(seconds >= 1 && seconds <= 1e11) {
		return errors.New("a time is out of range")
	}
	whole, fraction := math.Modf(seconds)
	*into = time.Unix(int64(whole), int64(fraction*1e9))
	return nil
}
