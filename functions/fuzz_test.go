package functions

import (
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"acsauth/internal/identity"
)

// FuzzTokenRequest: whatever a caller sends, what goes to ACS keeps to the
// scopes and lifetimes that they may have.
func FuzzTokenRequest(f *testing.F) {
	for _, s := range [][2]string{
		{`{"scopes":["chat"],"expiresInMinutes":60}`, ""}, {"", "scopes=chat,voip&expiresInMinutes=1440"},
		{`{"expiresInMinutes":-153722868}`, ""}, {"", "expiresInMinutes=-9007199254740932"}, {"", "expiresInMinutes=-90071992547"},
		{`null`, "%zz"}, {`{"SCOPES":null}`, "Scopes="}, {`{"scopes":["chat","chat"]}`, "x=1&x=2"},
	} {
		f.Add([]byte(s[0]), s[1])
	}
	most := identity.Grant{Scopes: []string{"chat", "voip"}, ExpiresIn: 8 * time.Hour}
	a := &app{Options: Options{TokenPolicy: identity.TokenPolicy{Default: most, ExpiresIn: 24 * time.Hour}}}
	f.Fuzz(func(t *testing.T, body []byte, query string) {
		r := httptest.NewRequest("POST", "/", nil)
		r.URL = &url.URL{Path: "/", RawQuery: query}
		c := &call{r: r, body: body}
		req, err := a.tokenRequest(c)
		if err != nil {
			assert.NotEqual(t, identity.CodeInternal, publicError(err).Code, "%v", err)
			return
		}
		assert.GreaterOrEqual(t, req.ExpiresIn, identity.MinExpiresIn)
		assert.LessOrEqual(t, req.ExpiresIn, most.ExpiresIn)
		require.NotEmpty(t, req.Scopes)
		assert.Subset(t, most.Scopes, req.Scopes)
	})
}
