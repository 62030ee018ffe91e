package functions

import (
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
