package entra

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The signature layer against the vectors of https://github.com/C2SP/wycheproof,
// which are not part of this project: WYCHEPROOF names a folder that holds
// testvectors_v1/json_web_signature_test.json. RS256 goes by the vectors'
// results; everything else must be refused.
func TestWycheproof(t *testing.T) {
	folder := os.Getenv("WYCHEPROOF")
	if folder == "" {
		t.Skip("set WYCHEPROOF to the folder of json_web_signature_test.json to run these vectors")
	}
	b, err := os.ReadFile(filepath.Join(folder, "json_web_signature_test.json"))
	require.NoError(t, err)
	var vectors struct {
		TestGroups []struct {
			Comment string
			Public  object
			Private object
			Tests   []struct {
				ID      int `json:"tcId"`
				Comment string
				JWS     string
				Result  string
			}
		}
	}
	require.NoError(t, json.Unmarshal(b, &vectors))
	passed, refused := 0, 0
	for _, group := range vectors.TestGroups {
		jwk := group.Public
		if jwk == nil {
			jwk = group.Private
		}
		d := newDirectory(t)
		// One good key beside it, so that a set with nothing usable in it is not
		// what refuses the rest.
		d.serve(keysAnswer(jwk, publicJWK("another", &testKeys()[1].PublicKey)))
		keys := newKeySet(d.URL, nil, testTenant, http.DefaultClient, slog.New(slog.DiscardHandler), time.Now)
		for _, test := range group.Tests {
			_, err := keys.VerifySignature(t.Context(), test.JWS)
			want := jwk["alg"] == "RS256" && test.Result == "valid"
			assert.Equal(t, want, err == nil, "%s %d %s: %v", group.Comment, test.ID, test.Comment, err)
			if want {
				passed++
			} else {
				refused++
			}
		}
	}
	assert.Positive(t, passed)
	assert.Greater(t, refused, 300)
	t.Logf("%d vectors passed, %d were refused", passed, refused)
}
