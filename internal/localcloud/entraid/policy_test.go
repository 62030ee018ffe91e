package entraid

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const graphScope = GraphURI + "/User.Read"

// policed has Alice's policy set to p.
func (d *directory) policed(p Policy) {
	d.t.Helper()
	d.alice.Policy = p
	require.NoError(d.t, d.AddUser(d.alice))
}

// assertion signs Alice in and returns her token for the API.
func (d *directory) assertion(pairs ...string) string {
	d.t.Helper()
	code := d.code(with(signIn(), pairs...))
	return member(d.t, d.tokens(with(redemption(code), "scope", apiScope)), "access_token")
}

func TestOnBehalfOfWaitsForConsent(t *testing.T) {
	d := newDirectory(t)
	d.policed(Policy{ConsentRequired: true})
	assertion := d.assertion()
	body := d.refused(onBehalfOf(assertion), http.StatusBadRequest, "invalid_grant", 65001)
	assert.Equal(t, "consent_required", body["suberror"])
	assert.Contains(t, body["error_description"], "has not consented to use the application with ID '"+apiID+"' named 'API'")
	assert.NotContains(t, body, "claims")

	require.NoError(t, d.Consent(d.alice, apiID, GraphURI+"/User.ReadWrite"))
	d.refused(onBehalfOf(assertion), http.StatusBadRequest, "invalid_grant", 65001)
	require.NoError(t, d.Consent(d.alice, apiID, graphScope))
	d.tokens(onBehalfOf(assertion))

	d.ForgetConsents()
	d.refused(onBehalfOf(assertion), http.StatusBadRequest, "invalid_grant", 65001)
	// The client app asks for the API and all that the API needs.
	d.assertion("scope", "api://"+apiID+"/.default")
	d.tokens(onBehalfOf(assertion))
}

func TestATokenCarriesAllThatIsConsentedTo(t *testing.T) {
	d := newDirectory(t)
	d.clients[0].Permissions = []string{GraphURI + "/User.ReadWrite"}
	assertion := d.assertion()
	both := func() {
		t.Helper()
		body := d.tokens(onBehalfOf(assertion)) // asks for User.Read
		assert.Equal(t, "User.Read User.ReadWrite", claimsOf(t, member(t, body, "access_token"))["scp"])
		assert.Contains(t, body["scope"], GraphURI+"/User.ReadWrite")
	}
	both()

	d.policed(Policy{ConsentRequired: true})
	require.NoError(t, d.Consent(d.alice, apiID, graphScope))
	assert.Equal(t, "User.Read", claimsOf(t, member(t, d.tokens(onBehalfOf(assertion)), "access_token"))["scp"])
	require.NoError(t, d.Consent(d.alice, apiID, GraphURI+"/User.ReadWrite"))
	both()
}

func TestOnBehalfOfIsChallengedUntilTheUserStepsUp(t *testing.T) {
	d := newDirectory(t)
	d.SetPolicy(Policy{StepUpRequired: true})
	body := d.refused(onBehalfOf(d.assertion()), http.StatusBadRequest, "interaction_required", 50076)
	assert.Equal(t, "basic_action", body["suberror"])
	assert.JSONEq(t, stepUpClaims, member(t, body, "claims"))

	d.tokens(onBehalfOf(d.assertion("claims", member(t, body, "claims"), factorField, "approved")))
	d.tokens(onBehalfOf(d.assertion("scope", apiScope+" "+graphScope, factorField, "approved")))
	d.SetPolicy(Policy{})
	d.tokens(onBehalfOf(d.assertion()))
}

func TestWhoIsBlockedOrDisabledGetsNoToken(t *testing.T) {
	d := newDirectory(t)
	assertion := d.assertion()
	d.policed(Policy{Blocked: true})
	assert.Equal(t, "message_only", d.refused(onBehalfOf(assertion), http.StatusBadRequest, "invalid_grant", 53003)["suberror"])
	d.policed(Policy{Disabled: true})
	d.refused(onBehalfOf(assertion), http.StatusBadRequest, "invalid_grant", 50057)
	d.policed(Policy{})
	d.tokens(onBehalfOf(assertion))
}
