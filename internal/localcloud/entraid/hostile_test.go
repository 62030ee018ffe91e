package entraid

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What a clumsy or hostile client sends to the token endpoint is refused in
// Entra's words, and what it sent comes back at most once.
func TestOddTokenRequestsAreRefusedInJSON(t *testing.T) {
	d := newDirectory(t)
	long := strings.Repeat("x", 10_000)
	for name, form := range map[string]url.Values{
		"nothing":                  {},
		"client id of any length":  {"grant_type": {"client_credentials"}, "client_id": {long}},
		"grant type of any length": {"grant_type": {long}},
		"characters of no meaning": {"grant_type": {"authorization_code"}, "client_id": {spaID}, "code": {"1.\x00\xff\u202e"}},
		"a code of any length":     {"grant_type": {"authorization_code"}, "client_id": {spaID}, "code": {"1." + long}},
		"claims nested deep":       with(credentials(ACSScope), "claims", strings.Repeat("[", 20_000)),
		"claims that are a number": with(onBehalfOf("a.b.c"), "claims", "7"),
		"ten thousand scopes":      with(credentials(ACSScope), "scope", strings.Repeat("a ", 10_000)),
		"scope of slashes":         with(credentials(ACSScope), "scope", "////"),
		"scope of dots":            with(credentials(ACSScope), "scope", "/.default"),
		"assertion of empty parts": asserting(".."),
		"assertion of lists":       asserting("W10.W10.W10"),
		"assertion of null":        asserting("bnVsbA.bnVsbA.bnVsbA"),
		"a body beyond all bounds": {"grant_type": {strings.Repeat("x", maxBody)}},
	} {
		t.Run(name, func(t *testing.T) {
			resp := d.post(tokenPath, form)
			assert.GreaterOrEqual(t, resp.StatusCode, 400)
			assert.Less(t, resp.StatusCode, 500)
			assert.NotEmpty(t, object(t, resp)["error_codes"])
		})
	}
	for kind, body := range map[string]string{
		"application/json":                    `{"grant_type":"client_credentials"}`,
		"multipart/form-data":                 "x",
		"application/x-www-form-urlencoded;;": "grant_type=x",
		"":                                    "grant_type=x",
		"application/x-www-form-urlencoded":   "%zz=1&;;",
	} {
		req, err := http.NewRequest(http.MethodPost, d.baseURL+tokenPath, strings.NewReader(body))
		require.NoError(t, err)
		req.Header.Set("Content-Type", kind)
		resp, err := d.http.Do(req)
		require.NoError(t, err)
		assert.Equal(t, http.StatusBadRequest, resp.StatusCode, kind)
		assert.NotEmpty(t, object(t, resp)["error_codes"], kind)
		require.NoError(t, resp.Body.Close())
	}
}

func TestOddSignInRequestsEndOnAPage(t *testing.T) {
	d := newDirectory(t)
	for name, query := range map[string]string{
		"nothing":              "",
		"beyond all bounds":    strings.Repeat("x", maxQuery+1),
		"bad escapes":          "client_id=%zz",
		"markup in client id":  "client_id=" + url.QueryEscape("<script>alert(1)</script>"),
		"markup in a redirect": with(signIn(), "redirect_uri", "javascript:alert(1)").Encode(),
	} {
		resp := d.get(authorizePath + "?" + query)
		text, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		assert.Equal(t, http.StatusBadRequest, resp.StatusCode, name)
		assert.Contains(t, string(text), "AADSTS", name)
		assert.NotContains(t, string(text), "<script>", name)
		assert.Empty(t, resp.Header.Get("Location"), name)
	}
	req, err := http.NewRequest(http.MethodGet, d.baseURL+authorizePath+"?"+silent().Encode(), nil)
	require.NoError(t, err)
	for range 50 {
		req.AddCookie(&http.Cookie{Name: d.cookie, Value: "1." + strings.Repeat("A", 200)})
	}
	resp, err := d.http.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	assert.Contains(t, resp.Header.Get("Location"), "error=login_required")
}

func TestAllMayHappenAtOnce(t *testing.T) {
	d := newDirectory(t)
	state, err := d.Export()
	require.NoError(t, err)
	var all sync.WaitGroup
	for i := range 12 {
		all.Go(func() {
			resp, err := d.http.PostForm(d.baseURL+authorizePath, with(signIn(), choiceField, d.alice.choice()))
			if assert.NoError(t, err) {
				assert.NoError(t, resp.Body.Close())
			}
			resp, err = d.http.PostForm(d.baseURL+tokenPath, credentials(ACSScope))
			if assert.NoError(t, err) {
				assert.NoError(t, resp.Body.Close())
			}
			switch i % 6 {
			case 0:
				assert.NoError(t, d.AnnounceKey())
			case 1:
				assert.NoError(t, d.UpdateUser(d.alice.TenantID, d.alice.ObjectID, func(u *User) { u.Roles = append([]string{"R"}, u.Roles...) }))
			case 2:
				d.RevokeRefreshTokens(d.alice)
			case 3:
				_, err := d.Export()
				assert.NoError(t, err)
			case 4:
				assert.NoError(t, d.Import(state))
			case 5:
				d.SetPolicy(Policy{ConsentRequired: true})
				assert.NoError(t, d.Consent(d.alice, apiID))
			}
			_, err = d.AccessToken(d.alice, spaID, apiScope)
			assert.NoError(t, err)
			d.Users()
			d.Clients()
			d.Keys()
		})
	}
	all.Wait()
}
