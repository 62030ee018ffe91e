package entra

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	testTenant = "aaaaaaaa-0000-4000-8000-00000000000a"
	testAPI    = "bbbbbbbb-0000-4000-8000-00000000000b"
	testSPA    = "cccccccc-0000-4000-8000-00000000000c"
	testUser   = "dddddddd-0000-4000-8000-00000000000d"
	testKeyID  = "key-1"
)

var testNow = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// testKeys are made once: RSA keys are slow to make.
var testKeys = sync.OnceValue(func() [2]*rsa.PrivateKey {
	var keys [2]*rsa.PrivateKey
	for i := range keys {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		keys[i] = key
	}
	return keys
})

type object = map[string]any

// directory is an issuer whose keys endpoint answers what a test wants.
type directory struct {
	*httptest.Server
	answer  atomic.Pointer[http.HandlerFunc]
	fetches atomic.Int32
	now     atomic.Pointer[time.Time]
}

func newDirectory(t testing.TB) *directory {
	t.Helper()
	d := &directory{}
	d.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.fetches.Add(1)
		(*d.answer.Load())(w, r)
	}))
	t.Cleanup(d.Close)
	d.serve(keysAnswer(publicJWK(testKeyID, &testKeys()[0].PublicKey)))
	d.setNow(testNow)
	return d
}

func (d *directory) serve(h http.HandlerFunc) { d.answer.Store(&h) }
func (d *directory) setNow(t time.Time)       { d.now.Store(&t) }
func (d *directory) clock() time.Time         { return *d.now.Load() }
func (d *directory) advance(by time.Duration) { d.setNow(d.clock().Add(by)) }
func (d *directory) issuer() string           { return d.URL + "/" + testTenant + "/v2.0" }
func (d *directory) expected() Expected {
	return Expected{AuthorityHost: d.URL, Tenants: []string{testTenant}, Audiences: []string{testAPI, "api://" + testAPI}, Scope: "access_as_user"}
}

func (d *directory) verifier(t testing.TB, change ...func(*Expected)) *Verifier {
	t.Helper()
	expected := d.expected()
	for _, c := range change {
		c(&expected)
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	v, err := New(expected, client, slog.New(slog.DiscardHandler), d.clock)
	require.NoError(t, err)
	return v
}

func keysAnswer(keys ...object) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(object{"keys": keys})
	}
}

func status(code int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	}
}

func publicJWK(kid string, key *rsa.PublicKey, change ...object) object {
	jwk := object{"kty": "RSA", "use": "sig", "kid": kid, "x5t": kid, "issuer": "",
		"n": encode(key.N.Bytes()), "e": encode(big.NewInt(int64(key.E)).Bytes())}
	delete(jwk, "issuer")
	for _, c := range change {
		apply(jwk, c)
	}
	return jwk
}

// apply sets members, and removes those that change has as nil.
func apply(to, change object) {
	maps.Copy(to, change)
	maps.DeleteFunc(to, func(_ string, v any) bool { return v == nil })
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func goodHeader(change ...object) object {
	h := object{"typ": "JWT", "alg": "RS256", "kid": testKeyID}
	for _, c := range change {
		apply(h, c)
	}
	return h
}

func (d *directory) goodClaims(change ...object) object {
	now := testNow.Unix()
	c := object{
		"iss": d.issuer(), "aud": testAPI, "tid": testTenant, "oid": testUser, "sub": "pairwise",
		"ver": "2.0", "scp": "access_as_user", "azp": testSPA, "azpacr": "0", "uti": "u", "rh": "r",
		"name": "Alice", "preferred_username": "alice@contoso.example",
		"iat": now, "nbf": now, "exp": now + 3900,
	}
	for _, ch := range change {
		apply(c, ch)
	}
	return c
}

func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

// signRaw signs any two byte strings as the parts of a JWS.
func signRaw(key *rsa.PrivateKey, header, payload []byte) string {
	return signText(key, encode(header), encode(payload))
}

// spareBits sets the bits of a segment's last character that carry nothing. The
// segment must encode a number of bytes that three does not divide.
func spareBits(segment string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	i := strings.IndexByte(alphabet, segment[len(segment)-1])
	if len(segment)%4 == 0 || i&1 != 0 {
		panic("no spare bits here")
	}
	return segment[:len(segment)-1] + alphabet[i+1:i+2]
}

// signText signs two segments as they stand.
func signText(key *rsa.PrivateKey, header, payload string) string {
	input := header + "." + payload
	digest := sha256.Sum256([]byte(input))
	signature, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:])
	if err != nil {
		panic(err)
	}
	return input + "." + encode(signature)
}

func sign(header, claims object) string {
	return signRaw(testKeys()[0], mustJSON(header), mustJSON(claims))
}

func (d *directory) goodToken(change ...object) string {
	return sign(goodHeader(), d.goodClaims(change...))
}

func notDividedByThree(json string) string {
	if len(json)%3 == 0 {
		return json + " "
	}
	return json
}
