package entraid

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// browser is a directory seen by one browser, with its cookies.
func (d *directory) browser() *directory {
	d.t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(d.t, err)
	client := *d.http
	client.Jar = jar
	copied := *d
	copied.http = &client
	return &copied
}

// authorize sends a request to sign in and returns the answer to the client app,
// empty when a page comes instead.
func (d *directory) authorize(form url.Values) (answer url.Values, page string) {
	d.t.Helper()
	return d.answered(d.get(authorizePath + "?" + form.Encode()))
}

func (d *directory) answered(resp *http.Response) (answer url.Values, page string) {
	d.t.Helper()
	if resp.StatusCode == http.StatusFound {
		location, err := resp.Location()
		require.NoError(d.t, err)
		return location.Query(), ""
	}
	text, err := io.ReadAll(resp.Body)
	require.NoError(d.t, err)
	return nil, string(text)
}

// click sends the form of a page, with a button of that value.
func (d *directory) click(page, field, value string) (answer url.Values, next string) {
	d.t.Helper()
	require.Contains(d.t, page, `name="`+field+`" value="`+value+`"`)
	form := url.Values{}
	for _, m := range regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`).FindAllStringSubmatch(page, -1) {
		form.Set(m[1], strings.NewReplacer("&#43;", "+", "&amp;", "&", "&#34;", `"`).Replace(m[2]))
	}
	form.Set(field, value)
	return d.answered(d.post(authorizePath, form))
}

func silent(pairs ...string) url.Values {
	return with(with(signIn(), "prompt", "none", "login_hint", ""), pairs...)
}

func TestASessionSignsInSilently(t *testing.T) {
	d := newDirectory(t).browser()
	answer, _ := d.authorize(silent())
	assert.Equal(t, "login_required", answer.Get("error"))

	_, page := d.authorize(signIn())
	answer, _ = d.click(page, choiceField, d.alice.choice())
	require.NotEmpty(t, answer.Get("code"))

	answer, _ = d.authorize(silent())
	code := answer.Get("code")
	require.NotEmpty(t, code, answer)
	assert.NotEmpty(t, answer.Get("session_state"))
	d.tokens(redemption(code))
	answer, _ = d.authorize(silent("login_hint", "bob@contoso.example"))
	assert.Equal(t, "login_required", answer.Get("error"), "the hint names another")
	answer, _ = d.authorize(with(signIn(), "login_hint", ""))
	assert.NotEmpty(t, answer.Get("code"), "no page for the only account")
	for _, prompt := range []string{"login", "select_account"} {
		_, page := d.authorize(with(signIn(), "prompt", prompt))
		assert.Contains(t, page, "Pick an account", prompt)
	}

	_, page = d.authorize(with(signIn(), "prompt", "select_account"))
	answer, _ = d.click(page, choiceField, SampleUsers()[1].choice())
	require.NotEmpty(t, answer.Get("code"))
	answer, _ = d.authorize(silent())
	assert.Equal(t, "interaction_required", answer.Get("error"), "two accounts, which one?")
	answer, _ = d.authorize(silent("login_hint", d.alice.UPN))
	assert.NotEmpty(t, answer.Get("code"))
}

func TestASessionEnds(t *testing.T) {
	for name, end := range map[string]func(d *directory){
		"with time":             func(d *directory) { d.Server.now = func() time.Time { return d.now.Add(sessionLifetime) } },
		"by signing out":        func(d *directory) { d.get("/" + SampleTenantID + "/oauth2/v2.0/logout") },
		"by revocation":         func(d *directory) { d.RevokeRefreshTokens(d.alice) },
		"with the user":         func(d *directory) { d.RemoveUser(d.alice.TenantID, d.alice.ObjectID) },
		"by a hint to sign out": func(d *directory) { d.get("/common/oauth2/v2.0/logout?logout_hint=ALICE@contoso.example") },
		"with another seal key": func(d *directory) { require.NoError(d.t, d.newSealKey()) },
	} {
		t.Run(name, func(t *testing.T) {
			d := newDirectory(t).browser()
			d.code(signIn())
			answer, _ := d.authorize(silent())
			require.NotEmpty(t, answer.Get("code"))
			end(d)
			answer, _ = d.authorize(silent())
			assert.Equal(t, "login_required", answer.Get("error"))
		})
	}
}

func TestConsentIsAskedForOnAPage(t *testing.T) {
	d := newDirectory(t).browser()
	d.policed(Policy{ConsentRequired: true})
	_, page := d.authorize(signIn())
	_, page = d.click(page, choiceField, d.alice.choice())
	assert.Contains(t, page, "Permissions requested")
	assert.Contains(t, page, "access_as_user, of api://"+apiID)
	answer, _ := d.click(page, consentField, "")
	assert.Equal(t, "access_denied", answer.Get("error"))
	assert.Equal(t, "cancel", answer.Get("error_subcode"))

	answer, _ = d.click(page, consentField, "accept")
	require.NotEmpty(t, answer.Get("code"))
	answer, _ = d.authorize(silent())
	assert.NotEmpty(t, answer.Get("code"), "consented to for good")
	answer, _ = d.authorize(silent("scope", TeamsURI+"/Teams.ManageCalls"))
	assert.Equal(t, "interaction_required", answer.Get("error"))
	assert.Contains(t, answer.Get("error_description"), "AADSTS65001")
	assert.Equal(t, "consent_required", answer.Get("suberror"))

	d.policed(Policy{})
	_, page = d.authorize(with(signIn(), "prompt", "consent"))
	assert.Contains(t, page, "Permissions requested", "asked for, so shown")
	_, page = d.authorize(with(signIn(), "prompt", "consent", "scope", "api://"+apiID+"/.default"))
	assert.Contains(t, page, "let API have all that it needs on your behalf")
}

func TestASecondFactorIsAskedForOnAPage(t *testing.T) {
	d := newDirectory(t).browser()
	d.policed(Policy{StepUpRequired: true})
	d.code(signIn())
	answer, _ := d.authorize(silent("scope", graphScope))
	assert.Equal(t, "interaction_required", answer.Get("error"))
	assert.JSONEq(t, stepUpClaims, answer.Get("claims"))

	_, page := d.authorize(with(signIn(), "claims", answer.Get("claims")))
	assert.Contains(t, page, "Approve sign in request")
	answer, _ = d.click(page, factorField, "approved")
	require.NotEmpty(t, answer.Get("code"))
	d.tokens(onBehalfOf(member(t, d.tokens(with(redemption(answer.Get("code")), "scope", apiScope)), "access_token")))
	answer, _ = d.authorize(silent("scope", graphScope))
	assert.NotEmpty(t, answer.Get("code"), "the session remembers")
}

func TestWhoMayNotSignInIsTold(t *testing.T) {
	d := newDirectory(t).browser()
	for policy, number := range map[Policy]string{{Blocked: true}: "AADSTS53003", {Disabled: true}: "AADSTS50057"} {
		d.policed(policy)
		_, page := d.authorize(signIn())
		_, page = d.click(page, choiceField, d.alice.choice())
		assert.Contains(t, page, number)
	}
	answer, page := d.answered(d.post(authorizePath, with(signIn(), choiceField, otherID+"."+otherID)))
	assert.Empty(t, answer)
	assert.Contains(t, page, "AADSTS50034")
}

func TestAnswersTakeTheWayThatIsAskedFor(t *testing.T) {
	d := newDirectory(t)
	post := func(mode string) (*http.Response, string) {
		resp := d.post(authorizePath, with(signIn(), "response_mode", mode, choiceField, d.alice.choice()))
		text, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return resp, string(text)
	}
	resp, _ := post("query")
	assert.Contains(t, resp.Header.Get("Location"), redirect+"?code=")
	resp, _ = post("fragment")
	assert.Contains(t, resp.Header.Get("Location"), redirect+"#code=")
	resp, page := post("form_post")
	assert.Equal(t, http.StatusOK, resp.StatusCode)
	assert.Contains(t, page, `<form method="post" action="`+redirect+`">`)
	assert.Contains(t, page, `name="code" value="1.`)
	nonce := regexp.MustCompile(`<script nonce="([^"]+)">document.forms\[0\].submit\(\)`).FindStringSubmatch(page)
	require.Len(t, nonce, 2)
	assert.Contains(t, resp.Header.Get("Content-Security-Policy"), "'nonce-"+nonce[1]+"'")
}

func TestHintsOrderThePage(t *testing.T) {
	d := newDirectory(t)
	_, page := d.authorize(with(signIn(), "domain_hint", "contoso.example"))
	assert.Contains(t, page, "Alice Teams")
	_, page = d.authorize(with(signIn(), "domain_hint", "nobody.example"))
	assert.Contains(t, page, "Alice Teams", "a hint that fits nobody hides nobody")
	assert.Regexp(t, regexp.MustCompile(d.alice.ObjectID+`" autofocus`), page)
	resp := d.get("/common/oauth2/v2.0/authorize?" + signIn().Encode())
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	assert.Contains(t, string(text), "Alice Teams")
	assert.NotContains(t, string(text), "Grace Guest", "a guest is asked for at home")
}

func TestSigningOutTellsTheApps(t *testing.T) {
	d := newDirectory(t).browser()
	d.Server.clients[2].LogoutURL = "https://app.example/out?x=1"
	d.code(signIn())
	_, page := d.answered(d.get("/" + SampleTenantID + "/oauth2/v2.0/logout?post_logout_redirect_uri=" + url.QueryEscape(redirect)))
	assert.Regexp(t, `<iframe src="https://app.example/out\?iss=[^"]+&amp;sid=[0-9a-f-]{36}&amp;x=1" hidden>`, page)
	assert.Contains(t, page, `url=`+redirect)
}
