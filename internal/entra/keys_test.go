package entra

import (
	"crypto/rsa"
	"fmt"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"acsauth/internal/identity"
)

func tokenOf(d *directory, kid string, key int) string {
	return signRaw(testKeys()[key], mustJSON(goodHeader(object{"kid": kid})), mustJSON(d.goodClaims(object{
		"exp": d.clock().Unix() + 3600, "iat": d.clock().Unix(), "nbf": d.clock().Unix()})))
}

func atOnce(n int, work func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { work(i) })
	}
	wg.Wait()
}

func TestAColdStartWithManyCallersFetchesOnce(t *testing.T) {
	d := newDirectory(t)
	v := d.verifier(t)
	token := d.goodToken()
	atOnce(200, func(int) {
		_, err := v.Verify(t.Context(), token)
		assert.NoError(t, err)
	})
	assert.EqualValues(t, 1, d.fetches.Load())
}

func TestFloodsOfBadTokensCauseOneFetchAtMost(t *testing.T) {
	d := newDirectory(t)
	v := d.verifier(t)
	require.NoError(t, v.Warm(t.Context()))
	good := d.goodToken()
	atOnce(64, func(i int) {
		for j := range 16 {
			_, err := v.Verify(t.Context(), tokenOf(d, fmt.Sprintf("random-%d-%d", i, j), 0))
			assert.Equal(t, identity.CodeInvalidToken, identity.CodeOf(err))
			_, err = v.Verify(t.Context(), tokenOf(d, testKeyID, 1))
			assert.Equal(t, identity.CodeInvalidToken, identity.CodeOf(err))
			_, err = v.Verify(t.Context(), good)
			assert.NoError(t, err)
		}
	})
	assert.EqualValues(t, 2, d.fetches.Load(), "one to warm up, one for unknown key ids")

	d.advance(unknownPause)
	_, err := v.Verify(t.Context(), tokenOf(d, "random", 0))
	assert.Error(t, err)
	assert.EqualValues(t, 3, d.fetches.Load(), "the pause has passed")
}

func TestTheFirstTokensOfANewKeyPass(t *testing.T) {
	d := newDirectory(t)
	v := d.verifier(t)
	require.NoError(t, v.Warm(t.Context()))
	d.serve(keysAnswer(publicJWK(testKeyID, &testKeys()[0].PublicKey), publicJWK("key-2", &testKeys()[1].PublicKey)))
	token := tokenOf(d, "key-2", 1)
	atOnce(64, func(int) {
		_, err := v.Verify(t.Context(), token)
		assert.NoError(t, err)
	})
	assert.EqualValues(t, 2, d.fetches.Load())
	_, err := v.Verify(t.Context(), d.goodToken())
	assert.NoError(t, err, "the old key is still published")
}

func TestGoodKeysOutliveWhateverTheEndpointAnswers(t *testing.T) {
	weak := publicJWK("weak", &rsa.PublicKey{N: new(big.Int).SetBit(big.NewInt(1), 1023, 1), E: 65537})
	for name, h := range map[string]http.HandlerFunc{
		"500":             status(500, "no"),
		"empty":           status(200, ""),
		"an empty object": status(200, "{}"),
		"no keys":         keysAnswer(),
		"keys of null":    status(200, `{"keys":null}`),
		"HTML":            status(200, "<html></html>"),
		"cut short":       status(200, `{"keys":[{"kty":"RSA"`),
		"keys twice":      status(200, `{"keys":[],"keys":[]}`),
		"only a weak key": keysAnswer(weak),
		"too long":        status(200, `{"keys":[`+strings.Repeat(" ", maxKeysSize)+`]}`),
		"a redirect":      func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) },
		"a broken answer": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write([]byte("{"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDirectory(t)
			v := d.verifier(t)
			require.NoError(t, v.Warm(t.Context()))
			good := d.answer.Load()
			d.serve(h)
			d.advance(keysRefresh + time.Second) // the next token refreshes in the background
			_, err := v.Verify(t.Context(), tokenOf(d, testKeyID, 0))
			assert.NoError(t, err)
			assert.Eventually(t, func() bool { return d.fetches.Load() == 2 }, time.Minute, time.Millisecond)
			_, err = v.Verify(t.Context(), tokenOf(d, "unknown", 0))
			assert.Equal(t, identity.CodeInvalidToken, identity.CodeOf(err), "keys are there, so it is the token's fault")
			_, err = v.Verify(t.Context(), tokenOf(d, testKeyID, 0))
			assert.NoError(t, err)

			cold := d.verifier(t)
			_, err = cold.Verify(t.Context(), tokenOf(d, testKeyID, 0))
			assert.Equal(t, identity.CodeUpstreamUnavailable, identity.CodeOf(err), "a cold start is our trouble")
			assert.ErrorIs(t, cold.Warm(t.Context()), errNoKeys)
			d.serve(*good)
			d.advance(maxColdPause)
			_, err = cold.Verify(t.Context(), tokenOf(d, testKeyID, 0))
			assert.NoError(t, err, "it recovers by itself")
			assert.NoError(t, cold.Warm(t.Context()))
		})
	}
}

func TestAnOutageCausesFewFetches(t *testing.T) {
	d := newDirectory(t)
	d.serve(status(503, ""))
	v := d.verifier(t)
	token := d.goodToken()
	atOnce(64, func(int) {
		for range 20 {
			_, err := v.Verify(t.Context(), token)
			assert.Equal(t, identity.CodeUpstreamUnavailable, identity.CodeOf(err))
		}
	})
	assert.EqualValues(t, 1, d.fetches.Load(), "the clock stands still, so the pause never ends")
}

func TestUnknownKeysCauseFewFetchesAlsoWhileTheEndpointFails(t *testing.T) {
	d := newDirectory(t)
	v := d.verifier(t)
	require.NoError(t, v.Warm(t.Context()))
	d.serve(status(500, ""))
	for pause := range 3 {
		for i := range 50 {
			_, err := v.Verify(t.Context(), tokenOf(d, fmt.Sprint("unknown-", i), 0))
			assert.Equal(t, identity.CodeInvalidToken, identity.CodeOf(err))
		}
		assert.EqualValues(t, 2+pause, d.fetches.Load())
		d.advance(failedPause)
	}
}

func TestASignatureCheckIsForItsOwnTokenAlone(t *testing.T) {
	d := newDirectory(t)
	v := d.verifier(t)
	good, err := parseToken(d.goodToken())
	require.NoError(t, err)
	s := &signatureCheck{token: good}
	keys := v.issuers[d.issuer()].keys
	_, err = keys.VerifySignature(s.context(t.Context()), tokenOf(d, testKeyID, 1))
	assert.ErrorIs(t, err, errBadSignature, "what the context holds is another token")
	payload, err := keys.VerifySignature(s.context(t.Context()), good.raw)
	assert.NoError(t, err)
	assert.Equal(t, good.payload, payload)
}

func TestAHungEndpointHoldsUpNobodyWhoseKeyIsKnown(t *testing.T) {
	d := newDirectory(t)
	v := d.verifier(t)
	require.NoError(t, v.Warm(t.Context()))
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	d.serve(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	fetched := make(chan struct{})
	go func() {
		defer close(fetched)
		_, _ = v.Verify(t.Context(), tokenOf(d, "unknown", 0))
	}()
	require.Eventually(t, func() bool { return d.fetches.Load() == 2 }, time.Minute, time.Millisecond)
	_, err := v.Verify(t.Context(), d.goodToken())
	assert.NoError(t, err)
	select {
	case <-fetched:
		assert.Fail(t, "it waited for the endpoint")
	default:
	}
}

func TestWithdrawnKeysGo(t *testing.T) {
	d := newDirectory(t)
	v := d.verifier(t)
	require.NoError(t, v.Warm(t.Context()))
	d.serve(keysAnswer(publicJWK("key-2", &testKeys()[1].PublicKey)))
	d.advance(keysRefresh + time.Second)
	_, err := v.Verify(t.Context(), tokenOf(d, testKeyID, 0))
	assert.NoError(t, err, "served with what is there while the new keys come")
	assert.Eventually(t, func() bool {
		_, err := v.Verify(t.Context(), tokenOf(d, testKeyID, 0))
		return err != nil
	}, time.Minute, time.Millisecond)

	d.serve(status(500, ""))
	d.advance(keysExpire + time.Second)
	_, err = v.Verify(t.Context(), tokenOf(d, "key-2", 1))
	assert.Equal(t, identity.CodeUpstreamUnavailable, identity.CodeOf(err), "after a day without a good answer nothing is trusted")
}

func TestUnfitKeysAreLeftOutOneByOne(t *testing.T) {
	other := &testKeys()[1].PublicKey
	good := publicJWK(testKeyID, &testKeys()[0].PublicKey)
	n := func(bits int) string {
		return encode(new(big.Int).SetBit(new(big.Int).Set(big.NewInt(1)), bits-1, 1).Bytes())
	}
	for name, change := range map[string]object{
		"for encryption":     {"use": "enc"},
		"for RSA-OAEP":       {"alg": "RSA-OAEP"},
		"for PS256":          {"alg": "PS256"},
		"for encrypting":     {"key_ops": []string{"encrypt"}},
		"for nothing":        {"key_ops": []string{}},
		"symmetric":          {"kty": "oct", "k": "c2VjcmV0"},
		"elliptic":           {"kty": "EC", "crv": "P-256"},
		"without id":         {"kid": nil},
		"with an empty id":   {"kid": ""},
		"with a long id":     {"kid": strings.Repeat("k", 200)},
		"with a numeric id":  {"kid": 7},
		"of 1024 bits":       {"n": n(1024)},
		"of 2047 bits":       {"n": n(2047)},
		"of 16384 bits":      {"n": n(16384)},
		"with even modulus":  {"n": encode(new(big.Int).Lsh(big.NewInt(1), 2047).Bytes())},
		"with exponent 1":    {"e": "AQ"},
		"with exponent 3":    {"e": "Aw"},
		"with even exponent": {"e": "AQAA"},
		"with huge exponent": {"e": encode(make([]byte, 300))},
		"with no modulus":    {"n": nil},
		"with bad base64":    {"n": "!!!"},
		"of another issuer":  {"issuer": "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0"},
		"with issuer a list": {"issuer": []string{"x"}},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDirectory(t)
			d.serve(keysAnswer(publicJWK("unfit", other, change), good))
			v := d.verifier(t)
			_, err := v.Verify(t.Context(), d.goodToken())
			assert.NoError(t, err, "the good key beside it")
			assert.Len(t, v.issuers[d.issuer()].keys.current.Load().byID, 1, "the unfit key is not there at all")
			_, err = v.Verify(t.Context(), tokenOf(d, "unfit", 1))
			assert.Equal(t, identity.CodeInvalidToken, identity.CodeOf(err))
		})
	}
}

func TestOneKeyWithANameTwiceSpoilsNoOther(t *testing.T) {
	d := newDirectory(t)
	good := string(mustJSON(publicJWK(testKeyID, &testKeys()[0].PublicKey)))
	for _, bad := range []string{`{"kid":"a","kid":"b"}`, `{"kid":"\ud800"}`, "{\"kid\":\"\xff\"}", `null`, `7`, `[]`} {
		d.serve(status(200, `{"keys":[`+bad+`,`+good+`]}`))
		_, err := d.verifier(t).Verify(t.Context(), d.goodToken())
		assert.NoError(t, err, bad)
	}
}

func TestAKeyMaySignForItsOwnIssuer(t *testing.T) {
	d := newDirectory(t)
	for _, issuer := range []string{d.issuer(), d.URL + "/{tenantid}/v2.0"} {
		d.serve(keysAnswer(publicJWK(testKeyID, &testKeys()[0].PublicKey, object{"issuer": issuer})))
		_, err := d.verifier(t).Verify(t.Context(), d.goodToken())
		assert.NoError(t, err, issuer)
	}
}

func TestOneIDForTwoKeys(t *testing.T) {
	d := newDirectory(t)
	d.serve(keysAnswer(publicJWK("same", &testKeys()[0].PublicKey), publicJWK("same", &testKeys()[1].PublicKey)))
	v := d.verifier(t)
	for key := range testKeys() {
		_, err := v.Verify(t.Context(), tokenOf(d, "same", key))
		assert.NoError(t, err)
	}
}
