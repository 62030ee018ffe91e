package entra

import (
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"math/big"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"acsauth/internal/identity"
)

func TestGoodTokensPass(t *testing.T) {
	d := newDirectory(t)
	for name, token := range map[string]string{
		"as Entra ID makes it":              d.goodToken(),
		"several scopes":                    d.goodToken(object{"scp": "other access_as_user third"}),
		"audience as URI":                   d.goodToken(object{"aud": "api://" + testAPI}),
		"one minute of skew in nbf":         d.goodToken(object{"nbf": testNow.Unix() + 60}),
		"no nbf":                            d.goodToken(object{"nbf": nil}),
		"times with a fraction":             d.goodToken(object{"exp": float64(testNow.Unix()) + 60.5}),
		"type in lower case":                sign(goodHeader(object{"typ": "jwt"}), d.goodClaims()),
		"no type":                           sign(goodHeader(object{"typ": nil}), d.goodClaims()),
		"a thumbprint beside the key id":    sign(goodHeader(object{"x5t": testKeyID}), d.goodClaims()),
		"app roles of the user":             d.goodToken(object{"roles": []string{"Host"}}),
		"idtyp user":                        d.goodToken(object{"idtyp": "user"}),
		"claims that say nothing to us":     d.goodToken(object{"groups": []string{"a"}, "xms_cc": []string{"cp1"}, "nested": object{"a": object{"b": 1}}}),
		"tenant and user in upper case":     d.goodToken(object{"tid": strings.ToUpper(testTenant), "oid": strings.ToUpper(testUser)}),
		"a client that is not named at all": d.goodToken(object{"azp": nil}),
	} {
		t.Run(name, func(t *testing.T) {
			caller, err := d.verifier(t).Verify(t.Context(), token)
			require.NoError(t, err)
			assert.Equal(t, identity.User{TenantID: testTenant, ObjectID: testUser}, caller.User)
		})
	}
	caller, err := d.verifier(t).Verify(t.Context(), d.goodToken(object{"roles": []string{"Host", "Guest"}}))
	require.NoError(t, err)
	assert.Equal(t, testSPA, caller.ClientID)
	assert.Equal(t, []string{"Host", "Guest"}, caller.Roles)
}

// badToken is a token that must not pass, and must not cause a request to
// anywhere once the keys are there.
type badToken struct {
	name  string
	token string
	code  identity.Code // invalid_token where empty
}

func (d *directory) badTokens() []badToken {
	good := d.goodToken()
	parts := strings.Split(good, ".")
	header, payload, signature := parts[0], parts[1], parts[2]
	key := testKeys()[0]
	claims := func(change object) string { return d.goodToken(change) }
	head := func(change object) string { return sign(goodHeader(change), d.goodClaims()) }
	raw := func(header, payload string) string { return signRaw(key, []byte(header), []byte(payload)) }
	goodHead, goodBody := string(mustJSON(goodHeader())), string(mustJSON(d.goodClaims()))
	with := func(extra string) string { return raw(goodHead, "{"+extra+","+goodBody[1:]) }
	after := func(extra string) string { return raw(goodHead, goodBody[:len(goodBody)-1]+","+extra+"}") }
	now := testNow.Unix()

	hs := func(secret []byte) string {
		input := encode(mustJSON(goodHeader(object{"alg": "HS256"}))) + "." + payload
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(input))
		return input + "." + encode(mac.Sum(nil))
	}
	pss := func() string {
		input := encode(mustJSON(goodHeader(object{"alg": "PS256"}))) + "." + payload
		digest := sha256.Sum256([]byte(input))
		sig, err := rsa.SignPSS(rand.Reader, key, crypto.SHA256, digest[:], nil)
		if err != nil {
			panic(err)
		}
		return input + "." + encode(sig)
	}

	rows := []badToken{
		{"empty", "", ""},
		{"one part", header, ""},
		{"two parts", header + "." + payload, ""},
		{"four parts", good + "." + signature, ""},
		{"five parts", good + "." + signature + "." + signature, ""},
		{"an empty header", "." + payload + "." + signature, ""},
		{"an empty payload", header + ".." + signature, ""},
		{"an empty signature", header + "." + payload + ".", ""},
		{"longer than 8 KiB", claims(object{"padding": strings.Repeat("x", 8000)}), ""},
		{"JSON serialization", `{"protected":"` + header + `","payload":"` + payload + `","signature":"` + signature + `"}`, ""},
		{"a space in front", " " + good, ""},
		{"a line end inside", header + ".\n" + payload + "." + signature, ""},
		{"a line end at the end", good + "\n", ""},
		{"a carriage return in the payload", header + "." + payload[:10] + "\r" + payload[10:] + "." + signature, ""},
		{"a no-break space inside", header + ".\u00a0" + payload + "." + signature, ""},
		{"padding", header + "." + payload + "." + signature + "==", ""},
		{"the other base64 alphabet", strings.NewReplacer("-", "+", "_", "/").Replace(good) + "+", ""},
		{"spare bits in the header", signText(key, spareBits(encode([]byte(notDividedByThree(goodHead)))), payload), ""},
		{"spare bits in the payload", signText(key, header, spareBits(encode([]byte(notDividedByThree(goodBody))))), ""},
		{"spare bits in the signature", header + "." + payload + "." + spareBits(signature), ""},
		{"percent-encoded dots", strings.ReplaceAll(good, ".", "%2E"), ""},

		{"signed with another key", signRaw(testKeys()[1], mustJSON(goodHeader()), mustJSON(d.goodClaims())), ""},
		{"signature of zeros", header + "." + payload + "." + encode(make([]byte, 256)), ""},
		{"signature of the modulus less one", header + "." + payload + "." + encode(new(big.Int).Sub(key.N, big.NewInt(1)).Bytes()), ""},
		{"signature cut short", header + "." + payload + "." + signature[:len(signature)-4], ""},
		{"signature too long", header + "." + payload + "." + signature + "AAAA", ""},
		{"payload changed", header + "." + encode(mustJSON(d.goodClaims(object{"oid": testSPA}))) + "." + signature, ""},
		{"header changed", encode(mustJSON(goodHeader(object{"typ": nil}))) + "." + payload + "." + signature, ""},
		{"HS256 with the modulus", hs(key.N.Bytes()), ""},
		{"HS256 with nothing", hs(nil), ""},
		{"PS256 by the right key", pss(), ""},

		{"two header names", raw(`{"alg":"RS256","alg":"RS256","kid":"`+testKeyID+`"}`, goodBody), ""},
		{"a header that is no object", raw(`[]`, goodBody), ""},
		{"a header of null", raw(`null`, goodBody), ""},
		{"something after the header", raw(goodHead+"{}", goodBody), ""},
		{"a deep header", raw(`{"typ":`+strings.Repeat("[", 3000)+strings.Repeat("]", 3000)+`,`+goodHead[1:], goodBody), ""},

		{"exp now", claims(object{"exp": now}), ""},
		{"exp a second ago", claims(object{"exp": now - 1, "iat": now - 100}), ""},
		{"no exp", claims(object{"exp": nil}), ""},
		{"exp null", raw(goodHead, strings.Replace(goodBody, `"exp":`+fmt.Sprint(now+3900), `"exp":null`, 1)), ""},
		{"exp a string", claims(object{"exp": fmt.Sprint(now + 60)}), ""},
		{"exp negative", claims(object{"exp": -1}), ""},
		{"exp in the year 9999", claims(object{"exp": int64(253402300799)}), ""},
		{"exp beyond an integer", claims(object{"exp": 9e18}), ""},
		{"exp beyond anything", claims(object{"exp": 1e300}), ""},
		{"exp before iat", claims(object{"iat": now + 100, "exp": now + 50}), ""},
		{"a life of 26 hours", claims(object{"exp": now + 26*3600}), ""},
		{"nbf in six minutes", claims(object{"nbf": now + 360}), ""},
		{"nbf a string", claims(object{"nbf": "now"}), ""},
		{"iat tomorrow", claims(object{"iat": now + 86400, "exp": now + 90000}), ""},
		{"no iat", claims(object{"iat": nil}), ""},

		{"Graph's audience", claims(object{"aud": "00000003-0000-0000-c000-000000000000"}), ""},
		{"no audience", claims(object{"aud": nil}), ""},
		{"audience a number", claims(object{"aud": 1}), ""},
		{"audience an object", claims(object{"aud": object{"0": testAPI}}), ""},
		{"audience an empty list", claims(object{"aud": []string{}}), ""},
		{"audience a list with ours", claims(object{"aud": []string{testAPI}}), ""},
		{"audience a list with ours and another", claims(object{"aud": []string{testAPI, "evil"}}), ""},
		{"audience with a slash", claims(object{"aud": testAPI + "/"}), ""},
		{"audience in upper case", claims(object{"aud": strings.ToUpper(testAPI)}), ""},
		{"audience that begins alike", claims(object{"aud": testAPI + "0"}), ""},

		{"issuer of another tenant", claims(object{"iss": strings.Replace(d.issuer(), testTenant, testUser, 1)}), ""},
		{"issuer and tid of another tenant", claims(object{"iss": strings.Replace(d.issuer(), testTenant, testUser, 1), "tid": testUser}), ""},
		{"issuer with a slash", claims(object{"iss": d.issuer() + "/"}), ""},
		{"issuer of version 1.0", claims(object{"iss": "https://sts.windows.net/" + testTenant + "/", "ver": "1.0"}), ""},
		{"issuer as template", claims(object{"iss": d.URL + "/{tenantid}/v2.0"}), ""},
		{"issuer with a user name", claims(object{"iss": strings.Replace(d.issuer(), "://", "://login@", 1)}), ""},
		{"no issuer", claims(object{"iss": nil}), ""},
		{"tid of another tenant", claims(object{"tid": testUser}), ""},
		{"no tid", claims(object{"tid": nil}), ""},
		{"tid that is no GUID", claims(object{"tid": "contoso"}), ""},
		{"no oid", claims(object{"oid": nil}), ""},
		{"an empty oid", claims(object{"oid": ""}), ""},
		{"oid that is no GUID", claims(object{"oid": "../" + testUser[3:]}), ""},
		{"oid a number", claims(object{"oid": 7}), ""},
		{"no version", claims(object{"ver": nil}), ""},
		{"version 3.0", claims(object{"ver": "3.0"}), ""},
		{"version 1.0 from the issuer of 2.0", claims(object{"ver": "1.0"}), ""},

		{"ID token", claims(object{"scp": nil, "nonce": "n"}), identity.CodeUserTokenRequired},
		{"app alone, with roles", claims(object{"scp": nil, "roles": []string{"access_as_user"}, "idtyp": "app"}), identity.CodeUserTokenRequired},
		{"app alone, without idtyp", claims(object{"scp": nil, "roles": []string{"access_as_user"}}), identity.CodeUserTokenRequired},
		{"app alone with a scope all the same", claims(object{"idtyp": "app"}), identity.CodeUserTokenRequired},
		{"app alone in capitals", claims(object{"idtyp": "APP"}), identity.CodeUserTokenRequired},
		{"no scope", claims(object{"scp": ""}), identity.CodeUserTokenRequired},
		{"scope that ends alike", claims(object{"scp": "xaccess_as_user"}), identity.CodeInsufficientScope},
		{"scope that begins alike", claims(object{"scp": "access_as_user2"}), identity.CodeInsufficientScope},
		{"scope in capitals", claims(object{"scp": "ACCESS_AS_USER"}), identity.CodeInsufficientScope},
		{"scope with a comma", claims(object{"scp": "access_as_user,"}), identity.CodeInsufficientScope},
		{"scope after a tab", claims(object{"scp": "other\taccess_as_user"}), identity.CodeInsufficientScope},
		{"scope a list", claims(object{"scp": []string{"access_as_user"}}), ""},
		{"scope a number", claims(object{"scp": 1}), ""},

		{"oid twice, ours last", with(`"oid":"` + testSPA + `"`), ""},
		{"oid twice, ours first", after(`"oid":"` + testSPA + `"`), ""},
		{"aud twice, ours last", with(`"aud":"evil"`), ""},
		{"aud twice by an escape", after(`"\u0061ud":"` + testAPI + `"`), ""},
		{"aud in capitals beside it", after(`"AUD":"` + testAPI + `"`), ""},
		{"aud in capitals alone", claims(object{"aud": nil, "AUD": testAPI}), ""},
		{"iss with a long s beside it", after(`"iſs":"` + d.issuer() + `"`), ""},
		{"Oid beside it", after(`"Oid":"` + testSPA + `"`), ""},
		{"a name twice in a nested object", after(`"x":{"a":1,"a":2}`), ""},
		{"invalid UTF-8", after("\"x\":\"\xff\""), ""},
		{"half a surrogate", after(`"x":"\ud800"`), ""},
		{"UTF-16", raw(goodHead, "\ufeff"+goodBody), ""},
		{"something after the claims", raw(goodHead, goodBody+"{}"), ""},
		{"claims that are no object", raw(goodHead, `["`+testAPI+`"]`), ""},
		{"claims that are null", raw(goodHead, `null`), ""},
		{"claims cut short", raw(goodHead, goodBody[:len(goodBody)-1]), ""},
		{"deep claims", raw(goodHead, `{"x":`+strings.Repeat(`[`, 2900)+strings.Repeat(`]`, 2900)+`,`+goodBody[1:]), ""},
		{"a token as claims", raw(goodHead, `"`+good+`"`), ""},
		{"a source that is not there", after(`"_claim_names":{"groups":"src1"}`), ""},
	}
	for _, alg := range []any{"none", "None", "nOnE", "NONE", "none ", "RS384", "RS512", "PS256", "ES256", "EdDSA", "ML-DSA-44", "rs256", "RS256\u0000", "", nil, 1, []string{"RS256"}} {
		rows = append(rows,
			badToken{fmt.Sprintf("alg %q, signed", fmt.Sprint(alg)), head(object{"alg": alg}), ""},
			badToken{fmt.Sprintf("alg %q, empty signature", fmt.Sprint(alg)), encode(mustJSON(goodHeader(object{"alg": alg}))) + "." + payload + ".", ""})
	}
	for _, kid := range []any{nil, "", "../../dev/null", "' OR 1=1 --", "\u0000", "KEY-1", strings.Repeat("k", 4000), []string{testKeyID}, 1} {
		rows = append(rows, badToken{fmt.Sprintf("kid %.20q", fmt.Sprint(kid)), head(object{"kid": kid}), ""})
	}
	jwk := publicJWK(testKeyID, &testKeys()[1].PublicKey)
	for name, value := range map[string]any{
		"jwk": jwk, "jku": d.URL + "/evil", "x5u": d.URL + "/evil", "x5c": []string{"MIIB"}, "crit": []string{}, "CRIT": []string{"exp"},
		"b64": false, "cty": "JWT", "zip": "DEF", "nonce": "n", "p2c": 1, "enc": "A256GCM", "Alg": "none", "KID": "x",
	} {
		rows = append(rows, badToken{"header " + name, head(object{name: value}), ""})
	}
	for _, x5t := range []any{"another", 1, []string{testKeyID}, object{}} {
		rows = append(rows, badToken{fmt.Sprintf("x5t %v", x5t), head(object{"x5t": x5t}), ""})
	}
	for _, crit := range [][]string{{"exp"}, {"b64"}} {
		rows = append(rows, badToken{"crit " + crit[0], head(object{"crit": crit, "b64": true}), ""})
	}
	for _, typ := range []string{"logout+jwt", "secevent+jwt", "dpop+jwt", "at+jwt", "JOSE", "JWE"} {
		rows = append(rows, badToken{"typ " + typ, head(object{"typ": typ}), ""})
	}
	return rows
}

func TestBadTokensAreRefused(t *testing.T) {
	d := newDirectory(t)
	v := d.verifier(t)
	require.NoError(t, v.Warm(t.Context()))
	// Use up what unknown key ids may cause, so that zero means zero below.
	_, err := v.Verify(t.Context(), sign(goodHeader(object{"kid": "unknown"}), d.goodClaims()))
	require.Error(t, err)
	before := d.fetches.Load()

	for _, row := range d.badTokens() {
		t.Run(row.name, func(t *testing.T) {
			_, err := v.Verify(t.Context(), row.token)
			require.Error(t, err, "the token passed")
			want := row.code
			if want == "" {
				want = identity.CodeInvalidToken
			}
			assert.Equal(t, want, identity.CodeOf(err), "%v", err)
			assert.NotContains(t, err.Error(), testUser)
			assert.NotContains(t, err.Error(), testTenant)
		})
	}
	assert.Equal(t, before, d.fetches.Load(), "bad tokens caused requests")
}

func TestTimeIsExactAtItsEdges(t *testing.T) {
	d := newDirectory(t)
	v := d.verifier(t)
	token := d.goodToken(object{"nbf": testNow.Unix() + 1000, "iat": testNow.Unix() + 1000, "exp": testNow.Unix() + 2000})
	for _, row := range []struct {
		at time.Duration
		ok bool
	}{
		{1000*time.Second - clockSkew - time.Second, false},
		{1000*time.Second - clockSkew, true},
		{2000*time.Second - time.Nanosecond, true},
		{2000 * time.Second, false},
		{2000*time.Second + time.Nanosecond, false},
	} {
		d.setNow(testNow.Add(row.at))
		_, err := v.Verify(t.Context(), token)
		assert.Equal(t, row.ok, err == nil, "%s: %v", row.at, err)
	}
	d.setNow(testNow)
	_, err := v.Verify(t.Context(), d.goodToken(object{"exp": testNow.Add(maxLifetime).Unix()}))
	assert.NoError(t, err)
	_, err = v.Verify(t.Context(), d.goodToken(object{"exp": testNow.Add(maxLifetime).Unix() + 1}))
	assert.Error(t, err)
}

func TestOnlyListedClientsMayCall(t *testing.T) {
	d := newDirectory(t)
	v := d.verifier(t, func(e *Expected) { e.Clients = []string{testSPA} })
	_, err := v.Verify(t.Context(), d.goodToken(object{"azp": strings.ToUpper(testSPA)}))
	assert.NoError(t, err)
	for _, azp := range []any{testAPI, "", nil} {
		_, err = v.Verify(t.Context(), d.goodToken(object{"azp": azp, "appid": testSPA}))
		assert.Equal(t, identity.CodeClientNotAllowed, identity.CodeOf(err))
	}
}

func TestVersion1TokensPassWhenTheSettingSaysSo(t *testing.T) {
	d := newDirectory(t)
	v1 := object{"iss": "https://sts.windows.net/" + testTenant + "/", "ver": "1.0", "aud": "api://" + testAPI, "azp": nil, "appid": testSPA}
	v := d.verifier(t, func(e *Expected) { e.AcceptV1 = true })
	caller, err := v.Verify(t.Context(), d.goodToken(v1))
	require.NoError(t, err)
	assert.Equal(t, testSPA, caller.ClientID)
	_, err = v.Verify(t.Context(), d.goodToken())
	assert.NoError(t, err)
	_, err = d.verifier(t).Verify(t.Context(), d.goodToken(v1))
	assert.Equal(t, identity.CodeInvalidToken, identity.CodeOf(err))
}

func TestNewRefusesToExpectNothing(t *testing.T) {
	d := newDirectory(t)
	for name, change := range map[string]func(*Expected){
		"no tenant":   func(e *Expected) { e.Tenants = nil },
		"odd tenant":  func(e *Expected) { e.Tenants = []string{"common"} },
		"no audience": func(e *Expected) { e.Audiences = nil },
		"no scope":    func(e *Expected) { e.Scope = "" },
	} {
		expected := d.expected()
		change(&expected)
		_, err := New(expected, nil, nil, nil)
		assert.Error(t, err, name)
	}
}

// asInTheHandler has the collector run as the handler has it run.
func asInTheHandler(b *testing.B) {
	earlier := debug.SetGCPercent(400)
	b.Cleanup(func() { debug.SetGCPercent(earlier) })
}

// BenchmarkRSAVerify is the bare verification that BenchmarkVerify is measured by.
func BenchmarkRSAVerify(b *testing.B) {
	asInTheHandler(b)
	d := newDirectory(b)
	token := d.goodToken()
	_, _, signature, err := segments(token)
	require.NoError(b, err)
	digest := sha256.Sum256([]byte(token[:strings.LastIndexByte(token, '.')]))
	for b.Loop() {
		if err := rsa.VerifyPKCS1v15(&testKeys()[0].PublicKey, crypto.SHA256, digest[:], signature); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkVerify is the whole check of a token of Entra ID's usual length. Of its
// allocations about 95 are go-oidc's and go-jose's, the rest are the strings and
// buffers of the second reading.
func BenchmarkVerify(b *testing.B) {
	asInTheHandler(b)
	d := newDirectory(b)
	v := d.verifier(b)
	token := d.goodToken(object{"rh": strings.Repeat("r", 80), "aio": strings.Repeat("a", 120), "sub": strings.Repeat("s", 43)})
	b.ReportAllocs()
	for b.Loop() {
		v.accepted.Remove(sha256.Sum256([]byte(token)))
		if _, err := v.Verify(b.Context(), token); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkVerifyAgain is the check of a token that was accepted before.
func BenchmarkVerifyAgain(b *testing.B) {
	asInTheHandler(b)
	d := newDirectory(b)
	v := d.verifier(b)
	token := d.goodToken()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Verify(b.Context(), token); err != nil {
			b.Fatal(err)
		}
	}
}
