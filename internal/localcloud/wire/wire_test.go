package wire

import (
	"crypto/rsa"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestATokenVerifiesWithItsOwnKeyOnly(t *testing.T) {
	key, err := NewKey(time.Now())
	require.NoError(t, err)
	other, err := NewKey(time.Now())
	require.NoError(t, err)
	byID := func(kid string) *rsa.PublicKey {
		return map[string]*rsa.PublicKey{key.ID: key.Public()}[kid]
	}
	good := key.Sign(nil, map[string]any{"sub": "alice"})
	parts := strings.Split(good, ".")

	claims, err := Verify(good, byID)
	require.NoError(t, err)
	assert.Equal(t, "alice", claims["sub"])

	for name, token := range map[string]string{
		"another key":                   other.Sign(nil, nil),
		"another key under this key id": other.Sign(map[string]any{"kid": key.ID}, nil),
		"no key id":                     key.Sign(map[string]any{"kid": nil}, nil),
		"another algorithm":             key.Sign(map[string]any{"alg": "none"}, nil),
		"other claims":                  parts[0] + "." + segment(map[string]any{"sub": "bob"}) + "." + parts[2],
		"no signature":                  parts[0] + "." + parts[1] + ".",
		"two parts":                     parts[0] + "." + parts[1],
		"nothing":                       "",
	} {
		_, err := Verify(token, byID)
		assert.ErrorIs(t, err, ErrSignature, name)
	}
}

func TestSignFillsOnlyWhatIsAbsent(t *testing.T) {
	key, err := NewKey(time.Now())
	require.NoError(t, err)
	header := func(token string) (h map[string]any) {
		require.NoError(t, open(strings.Split(token, ".")[0], &h))
		return h
	}
	assert.Equal(t, map[string]any{"alg": "RS256", "typ": "JWT", "kid": key.ID}, header(key.Sign(nil, nil)))
	assert.Equal(t, map[string]any{"alg": "HS256", "typ": "at+jwt", "x": true},
		header(key.Sign(map[string]any{"alg": "HS256", "typ": "at+jwt", "kid": nil, "x": true}, nil)))
}

func TestGUIDsAreRandomVersion4(t *testing.T) {
	a, b := NewGUID(), NewGUID()
	assert.NotEqual(t, a, b)
	assert.Regexp(t, regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`), a)
}

func TestAFaultComesAndGoes(t *testing.T) {
	var hook FaultHook
	w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil)
	assert.False(t, hook.Handled(w, r))
	hook.Set(func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusTeapot)
		return true
	})
	assert.True(t, hook.Handled(w, r))
	assert.Equal(t, http.StatusTeapot, w.Code)
	hook.Set(nil)
	assert.False(t, hook.Handled(w, r))
}

func TestCountsAreACopy(t *testing.T) {
	var c Counter
	assert.Empty(t, c.Counts())
	c.Add("a")
	c.Add("a")
	c.Counts()["a"] = 9
	assert.Equal(t, map[string]int{"a": 2}, c.Counts())
}

func TestJWKIsPlainJSON(t *testing.T) {
	key, err := NewKey(time.Now())
	require.NoError(t, err)
	text, err := json.Marshal(key.JWK())
	require.NoError(t, err)
	assert.Contains(t, string(text), `"e":"AQAB"`)
	assert.NotContains(t, string(text), `"d":`)
}
