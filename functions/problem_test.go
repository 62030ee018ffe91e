package functions

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"acsauth/internal/identity"
)

func TestEach401And403HasAChallenge(t *testing.T) {
	a := &app{Options: Options{RequiredScope: "access_as_user"}}
	for code, kind := range byCode {
		challenge := a.challenge(identity.Errorf(code, `a "detail", with \\ what ends a quoted string`))
		wanted := kind.status == http.StatusUnauthorized || kind.status == http.StatusForbidden
		assert.Equal(t, wanted, challenge != "", string(code))
		assert.Zero(t, strings.Count(challenge, `"`)%2)
		assert.NotContains(t, challenge, `\`)
		assert.NotContains(t, challenge, "detail,")
	}
}

// The parser of Microsoft's samples, which splits at every comma and "=":
// https://learn.microsoft.com/entra/identity-platform/claims-challenge
func TestMicrosoftsSamplesCanReadAClaimsChallenge(t *testing.T) {
	a := &app{}
	for _, claims := range []string{`{"a":1}`, `{"a":12}`, `{"a":123}`} {
		e := identity.Errorf(identity.CodeInteractionRequired, "The user has to sign in again.")
		e.Challenge = identity.Challenge{AuthorizationURI: "https://login.example/t/oauth2/v2.0/authorize", Claims: claims}
		header := a.challenge(e)
		params := map[string]string{}
		for _, part := range strings.Split(header[strings.Index(header, " ")+1:], ", ") {
			pair := strings.Split(part, "=")
			params[pair[0]] = strings.Trim(pair[1], `"`)
			assert.Len(t, pair, 2, header)
		}
		assert.Equal(t, "insufficient_claims", params["error"])
		assert.Equal(t, "https://login.example/t/oauth2/v2.0/authorize", params["authorization_uri"])
		got, err := base64.StdEncoding.DecodeString(params["claims"])
		assert.NoError(t, err)
		assert.JSONEq(t, claims, string(got))
	}
	assert.Contains(t, a.challenge(identity.Errorf(identity.CodeInteractionRequired, "x")), `error="invalid_token"`)
}
