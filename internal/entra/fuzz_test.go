package entra

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// FuzzVerify holds Verify against plainCheck, a second reading of the rules that
// shares no code with it: encoding/json, crypto/rsa and nothing clever. What
// Verify accepts must pass there too and name the same user. Nothing that is
// asked may cause a request to the keys endpoint.
//
// The fuzzer writes header and claims; the right key signs them. Then one byte
// of the finished token may be changed, or the token be replaced altogether.
func FuzzVerify(f *testing.F) {
	d := newDirectory(f)
	v := d.verifier(f)
	if err := v.Warm(f.Context()); err != nil {
		f.Fatal(err)
	}
	// Spend the one fetch that an unknown key id may cause.
	_, _ = v.Verify(f.Context(), sign(goodHeader(object{"kid": "spent"}), d.goodClaims()))
	fetches := d.fetches.Load()

	// The issuer has a random port: a placeholder stands for it in the corpus.
	const here = "https://issuer.example"
	add := func(header, claims []byte) {
		f.Add(header, bytes.ReplaceAll(claims, []byte(d.URL), []byte(here)), uint16(0), byte(0), "")
	}
	head, good := mustJSON(goodHeader()), d.goodClaims()
	addFlipped := func(at uint16, flip byte) {
		f.Add(head, bytes.ReplaceAll(mustJSON(good), []byte(d.URL), []byte(here)), at, flip, "")
	}
	add(head, mustJSON(good))
	for _, change := range []object{
		{"aud": "api://" + testAPI}, {"aud": []string{testAPI}}, {"scp": "a access_as_user b"}, {"scp": nil}, {"scp": "access_as_user2"}, {"scp": "x\taccess_as_user"}, {"idtyp": "app"},
		{"nbf": nil}, {"exp": 1e300}, {"exp": float64(testNow.Unix()) + .5}, {"nested": object{"a": []any{1, object{"b": nil}}}},
		{"OID": testUser}, {"tid": strings.ToUpper(testTenant)}, {"roles": []string{"x"}}, {"azp": nil}, {"oid": "\u0000"},
	} {
		add(head, mustJSON(d.goodClaims(change)))
	}
	for _, change := range []object{{"typ": nil}, {"typ": "jwt"}, {"x5t": []int{1}}, {"crit": []string{}}, {"kid": ""}, {"kid": "other"}, {"alg": "none"}, {"ALG": "RS256"}} {
		add(mustJSON(goodHeader(change)), mustJSON(good))
	}
	for _, extra := range []string{`"aud":"x",`, `"\u0061ud":"x",`, `"x":"\ud800",`, "\"x\":\"\xff\",", `"a":{"b":1,"b":2},`, `"exp":null,`, " \n\t"} {
		add(head, append([]byte("{"+extra), mustJSON(good)[1:]...))
	}
	// Bits of the signature's last character that carry nothing; one of the two
	// hits them, whatever that character is.
	addFlipped(0, 0x03)
	addFlipped(0, 0x0e)
	for at := range uint16(8) { // the middle of the signature, the end of the claims
		addFlipped(100+at, 0x01)
		addFlipped(345+at, 0x01)
	}
	f.Add([]byte{}, []byte{}, uint16(0), byte(0), d.goodToken())

	f.Fuzz(func(t *testing.T, header, claims []byte, at uint16, flip byte, whole string) {
		raw := signRaw(testKeys()[0], header, bytes.ReplaceAll(claims, []byte(here), []byte(d.URL)))
		if flip != 0 {
			b := []byte(raw)
			b[len(b)-1-int(at)%len(b)] ^= flip // counted from the end
			raw = string(b)
		}
		if whole != "" {
			raw = whole
		}
		caller, err := v.Verify(t.Context(), raw)
		user, plainErr := plainCheck(raw, d)
		switch {
		case err == nil && plainErr != nil:
			t.Fatalf("accepted, but %v:\n%s", plainErr, raw)
		case err == nil && caller.TenantID+":"+caller.ObjectID != user:
			t.Fatalf("named %s:%s, want %s", caller.TenantID, caller.ObjectID, user)
		case d.fetches.Load() != fetches:
			t.Fatalf("a token made the verifier ask for keys:\n%s", raw)
		}
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
