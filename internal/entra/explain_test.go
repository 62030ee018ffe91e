package entra

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// broken are the rules that a token breaks.
func broken(findings []Finding) (rules []string) {
	for _, f := range findings {
		if f.Broken() {
			rules = append(rules, f.Rule)
		}
	}
	return rules
}

func TestExplainFindsARuleBrokenForEveryTokenThatIsRefused(t *testing.T) {
	d := newDirectory(t)
	v := d.verifier(t)
	findings, err := v.Explain(t.Context(), d.goodToken())
	require.NoError(t, err)
	assert.Empty(t, broken(findings))
	assert.Len(t, findings, 15)
	for _, row := range d.badTokens() {
		findings, verdict := v.Explain(t.Context(), row.token)
		_, err := v.Verify(t.Context(), row.token)
		assert.Equal(t, err.Error(), verdict.Error(), row.name)
		assert.NotEmpty(t, broken(findings), row.name)
		if row.name != "a source that is not there" { // go-oidc's own rule
			assert.NotContains(t, broken(findings), "token", row.name)
		}
		shown := fmt.Sprint(findings)
		for _, part := range strings.Split(row.token, ".") {
			if len(part) > 60 {
				assert.NotContains(t, shown, part[:60], row.name)
			}
		}
	}
}

func TestExplainSaysWhatIsWrongAndWhatToDo(t *testing.T) {
	d := newDirectory(t)
	hour := 3600 * time.Second
	for name, row := range map[string]struct {
		token       string
		rule        string
		found, cure string
	}{
		"expired":                {d.goodToken(object{"exp": testNow.Add(-hour).Unix(), "iat": testNow.Add(-2 * hour).Unix()}), "expiry", "1h0m0s ago", "Get a new token"},
		"from the future":        {d.goodToken(object{"iat": testNow.Add(hour / 2).Unix()}), "beginning", "in 30m0s", "clock"},
		"for Microsoft Graph":    {d.goodToken(object{"aud": "00000003-0000-0000-c000-000000000000"}), "audience", "is none of " + testAPI, "api://<client id>/access_as_user"},
		"of another tenant":      {d.goodToken(object{"iss": d.URL + "/" + testUser + "/v2.0", "tid": testUser}), "issuer", "is none of " + d.issuer(), "ENTRA_TENANT_ID"},
		"of version 1.0":         {d.goodToken(object{"iss": "https://sts.windows.net/" + testTenant + "/", "ver": "1.0"}), "issuer", "v1.0", "requestedAccessTokenVersion"},
		"an ID token":            {d.goodToken(object{"scp": nil}), "kind", "ID token", "Sign a user in"},
		"without the scope":      {d.goodToken(object{"scp": "User.Read"}), "scope", `"User.Read"`, "consent"},
		"without oid":            {d.goodToken(object{"oid": nil}), "user", `oid ""`, "profile"},
		"of another client":      {d.goodToken(object{"azp": testUser}), "client", testUser, "ENTRA_ALLOWED_CLIENT_IDS"},
		"with a changed payload": {changedPayload(d), "signature", "signature is wrong", "changed on its way"},
		"with the word Bearer":   {"Bearer " + d.goodToken(), "form", "not base64url", "Bearer"},
		"for Graph's own eyes":   {sign(goodHeader(object{"nonce": "n"}), d.goodClaims()), "header", "no place here", "Graph"},
	} {
		v := d.verifier(t, func(e *Expected) { e.Clients = []string{testSPA} })
		findings, err := v.Explain(t.Context(), row.token)
		require.Error(t, err, name)
		require.Equal(t, []string{row.rule}, broken(findings), name)
		for _, f := range findings {
			if f.Broken() {
				assert.Contains(t, f.Found, row.found, name)
				assert.Contains(t, f.Cure, row.cure, name)
			}
		}
	}
}

func changedPayload(d *directory) string {
	parts := strings.Split(d.goodToken(), ".")
	return parts[0] + "." + encode(mustJSON(d.goodClaims(object{"oid": testSPA}))) + "." + parts[2]
}

func TestExplainShowsWhatAStrangerWroteQuotedAndCutShort(t *testing.T) {
	d := newDirectory(t)
	findings, err := d.verifier(t).Explain(t.Context(), d.goodToken(object{"scp": "\x1b[31m\n" + strings.Repeat("x", 3000), "name": "Ada", "preferred_username": "ada@contoso.example"}))
	require.Error(t, err)
	shown := fmt.Sprint(findings)
	assert.NotContains(t, shown, "\x1b")
	assert.NotContains(t, shown, "\n")
	assert.NotContains(t, shown, strings.Repeat("x", 101))
	assert.NotContains(t, strings.ToLower(shown), "ada")
}

func TestTheMetadataTellsAWrongTenantOrHost(t *testing.T) {
	d := newDirectory(t)
	for name, row := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"as expected": {func(w http.ResponseWriter, r *http.Request) {
			assert.Equal(t, "/"+testTenant+"/v2.0/.well-known/openid-configuration", r.URL.Path)
			_, _ = fmt.Fprintf(w, `{"issuer":%q}`, d.issuer())
		}, ""},
		"another issuer": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = fmt.Fprint(w, `{"issuer":"https://evil.example"}`)
		}, `names the issuer "https://evil.example"`},
		"no such tenant": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadRequest) }, "answered 400"},
		"a proxy's page": {func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, "<html>") }, "is no OpenID configuration"},
	} {
		d.serve(row.answer)
		err := d.verifier(t).CheckMetadata(t.Context())
		if row.want == "" {
			assert.NoError(t, err, name)
		} else {
			assert.ErrorContains(t, err, row.want, name)
		}
	}
}
