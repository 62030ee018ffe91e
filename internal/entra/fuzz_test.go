package entra

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// obvious is Verify written again with nothing in mind but to be plainly right:
// no speed, no reasons. It knows what goodToken can look like.
func (d *directory) obvious(raw string) error {
	for _, c := range raw {
		if !strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.", c) {
			return errors.New("alphabet")
		}
	}
	parts := strings.Split(raw, ".")
	if len(parts) != 3 || len(raw) > 8192 {
		return errors.New("form")
	}
	var decoded [3][]byte
	for i, part := range parts {
		b, err := base64.RawURLEncoding.DecodeString(part)
		if err != nil || base64.RawURLEncoding.EncodeToString(b) != part {
			return errors.New("base64")
		}
		decoded[i] = b
	}
	var header, claims map[string]any
	if json.Unmarshal(decoded[0], &header) != nil || json.Unmarshal(decoded[1], &claims) != nil {
		return errors.New("JSON")
	}
	if header["alg"] != "RS256" || header["kid"] != testKeyID {
		return errors.New("header")
	}
	for name := range header {
		if !slices.Contains([]string{"alg", "kid", "typ", "x5t"}, name) {
			return errors.New("header parameter")
		}
	}
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if rsa.VerifyPKCS1v15(&testKeys()[0].PublicKey, crypto.SHA256, digest[:], decoded[2]) != nil {
		return errors.New("signature")
	}
	now := float64(testNow.Unix())
	exp, _ := claims["exp"].(float64)
	iat, _ := claims["iat"].(float64)
	scp, _ := claims["scp"].(string)
	switch {
	case claims["iss"] != d.issuer(), claims["aud"] != testAPI && claims["aud"] != "api://"+testAPI:
		return errors.New("issuer or audience")
	case exp <= now, iat > now+300, exp <= iat, exp-iat > 25*3600:
		return errors.New("time")
	case claims["ver"] != "2.0", !strings.EqualFold(asText(claims["tid"]), testTenant), len(asText(claims["oid"])) != 36:
		return errors.New("version, tenant or user")
	case !slices.Contains(strings.Split(scp, " "), "access_as_user"), strings.EqualFold(asText(claims["idtyp"]), "app"):
		return errors.New("scope or kind")
	}
	return nil
}

func asText(v any) string { s, _ := v.(string); return s }

// FuzzVerify: whatever passes must pass the obvious check too. The seeds hold
// every token of the attack list, so that the fuzzer has parts to play with.
func FuzzVerify(f *testing.F) {
	d := newDirectory(f)
	v := d.verifier(f)
	require.NoError(f, v.Warm(f.Context()))
	f.Add(d.goodToken())
	for _, row := range d.badTokens() {
		f.Add(row.token)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		if _, err := v.Verify(t.Context(), raw); err == nil {
			assert.NoError(t, d.obvious(raw), raw)
		}
	})
}

// FuzzClaims signs whatever the fuzzer makes of header and claims, so that it
// gets past the signature.
func FuzzClaims(f *testing.F) {
	d := newDirectory(f)
	v := d.verifier(f)
	require.NoError(f, v.Warm(f.Context()))
	f.Add(mustJSON(goodHeader()), mustJSON(d.goodClaims()))
	for _, row := range d.badTokens() {
		if header, payload, _, err := segments(row.token); err == nil {
			f.Add(header, payload)
		}
	}
	f.Fuzz(func(t *testing.T, header, payload []byte) {
		raw := signRaw(testKeys()[0], header, payload)
		caller, err := v.Verify(t.Context(), raw)
		if err != nil {
			return
		}
		assert.NoError(t, d.obvious(raw), raw)
		assert.Equal(t, testTenant, caller.TenantID)
		assert.NoError(t, caller.Check())
	})
}

// FuzzAuthorization: a token is found only where there is one header of the
// plain form, whose rest is the token as it stands.
func FuzzAuthorization(f *testing.F) {
	for _, s := range []string{"Bearer a.b.c", "bearer  x", "Basic x", "Bearer a b", "Bearer\ta", "Bearer a,b", "", "BEARER =", "Bearer \"a\""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header["Authorization"] = []string{value}
		token, err := bearerToken(r)
		if err != nil {
			assert.Empty(t, token)
			return
		}
		assert.True(t, strings.HasSuffix(value, " "+token))
		scheme := strings.TrimRight(strings.TrimSuffix(value, token), " ")
		assert.True(t, strings.EqualFold(scheme, "Bearer"), "%q", scheme)
		assert.False(t, strings.ContainsAny(token, " ,\t\r\n\"\x00"))
		r.Header["Authorization"] = []string{value, value}
		_, err = bearerToken(r)
		assert.Error(t, err, "twice")
	})
}
