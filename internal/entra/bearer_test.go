package entra

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"acsauth/internal/identity"
)

func TestTheTokenIsTakenFromOneHeaderAlone(t *testing.T) {
	d := newDirectory(t)
	v := d.verifier(t)
	good := d.goodToken()
	const (
		passes  = identity.Code("")
		none    = identity.Code("none") // no credentials: a bare challenge
		mangled = identity.CodeInvalidRequest
		invalid = identity.CodeInvalidToken
	)
	for _, row := range []struct {
		name    string
		headers []string
		target  string
		want    identity.Code
	}{
		{"as usual", []string{"Bearer " + good}, "/", passes},
		{"scheme in lower case", []string{"bearer " + good}, "/", passes},
		{"scheme in capitals", []string{"BEARER " + good}, "/", passes},
		{"several spaces", []string{"Bearer   " + good}, "/", passes},
		{"no header", nil, "/", none},
		{"an empty header", []string{""}, "/", none},
		{"another scheme", []string{"Basic dXNlcjpwYXNz"}, "/", none},
		{"a scheme that begins alike", []string{"BearerX " + good}, "/", none},
		{"no header, token in the query", nil, "/?access_token=" + good, none},
		{"the scheme alone", []string{"Bearer"}, "/", mangled},
		{"the scheme and a space", []string{"Bearer "}, "/", mangled},
		{"a tab", []string{"Bearer\t" + good}, "/", mangled},
		{"a tab after the space", []string{"Bearer \t" + good}, "/", mangled},
		{"a space at the end", []string{"Bearer " + good + " "}, "/", mangled},
		{"two tokens", []string{"Bearer " + good + " " + good}, "/", mangled},
		{"two tokens with a comma", []string{"Bearer " + good + "," + good}, "/", mangled},
		{"two headers", []string{"Bearer " + good, "Bearer " + good}, "/", mangled},
		{"two headers, one of another scheme", []string{"Basic x", "Bearer " + good}, "/", mangled},
		{"a quoted token", []string{`Bearer "` + good + `"`}, "/", mangled},
		{"a Latin-1 byte", []string{"Bearer " + good + "\xe9"}, "/", mangled},
		{"a zero byte", []string{"Bearer " + good + "\x00"}, "/", mangled},
		{"a colon", []string{"Bearer: " + good}, "/", mangled},
		{"in the query too", []string{"Bearer " + good}, "/?access_token=x", mangled},
		{"in the query too, in capitals", []string{"Bearer " + good}, "/?ACCESS_TOKEN=x", mangled},
		{"null", []string{"Bearer null"}, "/", invalid},
		{"undefined", []string{"Bearer undefined"}, "/", invalid},
		{"an object", []string{"Bearer [object Object]"}, "/", invalid},
		{"too long", []string{"Bearer " + strings.Repeat("a", 9000)}, "/", invalid},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, row.target, nil)
			r.Header["Authorization"] = row.headers
			for _, name := range []string{"X-Ms-Client-Principal", "X-Ms-Token-Aad-Access-Token", "X-Forwarded-Authorization", "Cookie"} {
				r.Header.Set(name, good)
			}
			caller, err := v.Authenticate(r)
			switch row.want {
			case passes:
				require.NoError(t, err)
				assert.Equal(t, testUser, caller.ObjectID)
			case none:
				assert.ErrorIs(t, err, identity.ErrNoCredentials)
				assert.Equal(t, identity.CodeInvalidToken, identity.CodeOf(err))
			default:
				assert.Equal(t, row.want, identity.CodeOf(err), "%v", err)
				assert.NotErrorIs(t, err, identity.ErrNoCredentials)
				assert.Equal(t, row.want == mangled, assert.ObjectsAreEqual(identity.ErrBadCredentials, causeOf(err)))
			}
		})
	}
}

func causeOf(err error) error {
	e, ok := err.(*identity.Error)
	if !ok {
		return nil
	}
	return e.Err
}
