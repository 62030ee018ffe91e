package entra

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

var plainGUID = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// plainCheck returns "<tid>:<oid>" in lower case, or why the token is no good.
func plainCheck(raw string, d *directory) (user string, err error) {
	parts := strings.Split(raw, ".")
	if len(raw) > 8192 || len(parts) != 3 {
		return "", fmt.Errorf("%d bytes in %d parts", len(raw), len(parts))
	}
	var decoded [3][]byte
	for i, p := range parts {
		if decoded[i], err = base64.RawURLEncoding.DecodeString(p); err != nil {
			return "", err
		}
		if base64.RawURLEncoding.EncodeToString(decoded[i]) != p {
			return "", fmt.Errorf("part %d is not canonical", i)
		}
	}
	header, err := plainObject(decoded[0])
	if err != nil {
		return "", fmt.Errorf("header: %w", err)
	}
	for name := range header {
		if name != "alg" && name != "kid" && name != "typ" && name != "x5t" {
			return "", fmt.Errorf("header has %q", name)
		}
	}
	if header["alg"] != "RS256" || header["kid"] != testKeyID {
		return "", fmt.Errorf("alg %v, kid %v", header["alg"], header["kid"])
	}
	if typ := header["typ"]; typ != nil && typ != "" {
		if s, ok := typ.(string); !ok || strings.ToLower(s) != "jwt" {
			return "", fmt.Errorf("typ %v", typ)
		}
	}
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err := rsa.VerifyPKCS1v15(&testKeys()[0].PublicKey, crypto.SHA256, digest[:], decoded[2]); err != nil {
		return "", err
	}
	claims, err := plainObject(decoded[1])
	if err != nil {
		return "", fmt.Errorf("claims: %w", err)
	}
	for name := range claims {
		for _, known := range []string{"iss", "aud", "tid", "oid", "ver", "scp", "idtyp", "azp", "appid", "sub", "tfp", "acr", "roles", "exp", "nbf", "iat"} {
			if name != known && strings.EqualFold(name, known) {
				return "", fmt.Errorf("claim %q", name)
			}
		}
	}
	text := func(name string) string { s, _ := claims[name].(string); return s }
	seconds := func(name string) float64 {
		n, _ := claims[name].(json.Number)
		s, err := strconv.ParseFloat(string(n), 64)
		if err != nil {
			return -1
		}
		return s
	}
	now, exp, iat := float64(testNow.Unix()), seconds("exp"), seconds("iat")
	user = strings.ToLower(text("tid")) + ":" + strings.ToLower(text("oid"))
	words := " " + text("scp") + " "
	switch {
	case text("iss") != d.issuer():
		err = fmt.Errorf("iss %v", claims["iss"])
	case text("aud") != testAPI && text("aud") != "api://"+testAPI:
		err = fmt.Errorf("aud %v", claims["aud"])
	case strings.ToLower(text("tid")) != testTenant || !plainGUID.MatchString(strings.ToLower(text("oid"))):
		err = fmt.Errorf("tid %v, oid %v", claims["tid"], claims["oid"])
	case text("ver") != "2.0":
		err = fmt.Errorf("ver %v", claims["ver"])
	case !strings.Contains(words, " access_as_user "):
		err = fmt.Errorf("scp %v", claims["scp"])
	case strings.ToLower(text("idtyp")) == "app":
		err = fmt.Errorf("idtyp %v", claims["idtyp"])
	case exp <= now:
		err = fmt.Errorf("expired at %v", exp)
	case iat <= 0 || iat > now+300:
		err = fmt.Errorf("issued at %v", iat)
	case claims["nbf"] != nil && (seconds("nbf") <= 0 || seconds("nbf") > now+300):
		err = fmt.Errorf("not before %v", claims["nbf"])
	case exp-iat <= 0 || exp-iat > (25*time.Hour).Seconds():
		err = fmt.Errorf("lives from %v to %v", iat, exp)
	}
	return user, err
}

// plainObject decodes exactly one JSON object in UTF-8 in which no name stands
// twice, at any depth.
func plainObject(b []byte) (map[string]any, error) {
	if !utf8.Valid(b) {
		return nil, fmt.Errorf("not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	v, err := plainValue(d)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("something follows")
	}
	o, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("not an object")
	}
	return o, nil
}

func plainValue(d *json.Decoder) (any, error) {
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t {
	case json.Delim('{'):
		o := map[string]any{}
		for d.More() {
			name, err := d.Token()
			if err != nil {
				return nil, err
			}
			s, ok := name.(string)
			if _, twice := o[s]; !ok || twice {
				return nil, fmt.Errorf("%q stands twice", s)
			}
			if o[s], err = plainValue(d); err != nil {
				return nil, err
			}
		}
		_, err := d.Token()
		return o, err
	case json.Delim('['):
		a := []any{}
		for d.More() {
			v, err := plainValue(d)
			if err != nil {
				return nil, err
			}
			a = append(a, v)
		}
		_, err := d.Token()
		return a, err
	}
	return t, nil
}
