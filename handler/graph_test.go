package main

import (
	"encoding/base64"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"acsauth/internal/azurite"
	"acsauth/internal/bolt"
	"acsauth/internal/graph"
	"acsauth/internal/identity"
	"acsauth/internal/localcloud"
	"acsauth/internal/localcloud/acsidentity"
	"acsauth/internal/localcloud/entraid"
	"acsauth/internal/localcloud/msgraph"
)

const graphKey = "0123456789abcdef0123456789abcdef"

func onGraph(changes ...string) map[string]string {
	all := map[string]string{"IDENTITY_STORE": "graph", "GRAPH_MAPPING_KEYS": graphKey, "RATE_LIMIT_PER_USER": "0"}
	for i := 0; i+1 < len(changes); i += 2 {
		all[changes[i]] = changes[i+1]
	}
	return all
}

// inGraph is the identity in the user's profile, or empty.
func inGraph(u entraid.User) string {
	id, _ := cloud.Graph.Extension(u.TenantID, u.ObjectID, graph.DefaultExtension)["acsUserIdentity"].(string)
	return id
}

// asUser makes a request to Graph as a client of its own.
func asUser(t *testing.T, u entraid.User, method, path, body string) int {
	t.Helper()
	token := tokenFor(t, u, entraid.GraphURI+"/User.ReadWrite")
	req, err := http.NewRequestWithContext(t.Context(), method, cloud.GraphURL+path, strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := cloud.Client().Do(req)
	require.NoError(t, err)
	_, _ = io.Copy(io.Discard, resp.Body)
	require.NoError(t, resp.Body.Close())
	return resp.StatusCode
}

func TestMappingsLiveInTheUsersProfiles(t *testing.T) {
	h := start(t, onGraph())
	u := newUser(t)
	token := tokenFor(t, u)
	before := cloud.ACS.Identities()
	assert.Equal(t, 404, h.do(request{method: "POST", path: "/api/refreshToken", token: token}).status)
	made := h.do(request{path: "/api/getUser", token: token})
	require.Equal(t, 201, made.status, made.text)
	assert.Equal(t, made.userID(), inGraph(u))
	assert.Equal(t, 200, h.do(request{path: "/api/getToken", token: token}).status)

	again := start(t, onGraph("LOCAL_STORE_PATH", t.TempDir()+"/other.db"))
	a := again.do(request{path: "/api/getToken", token: token})
	require.Equal(t, 200, a.status, a.text)
	assert.Equal(t, made.userID(), a.userID(), "another instance finds it")

	assert.Equal(t, 204, h.do(request{method: "DELETE", path: "/api/deleteUser", token: token}).status)
	assert.Equal(t, 204, h.do(request{method: "DELETE", path: "/api/deleteUser", token: token}).status)
	assert.Empty(t, inGraph(u))
	assert.Empty(t, identitiesSince(before))
	assert.Equal(t, 200, h.do(request{path: "/api/health?ready=1"}).status)
}

func TestManyFirstCallsLeaveOneIdentityInGraphAlso(t *testing.T) {
	handlers := []*running{start(t, onGraph()), start(t, onGraph()), start(t, onGraph())}
	before := cloud.ACS.Identities()
	for range 3 {
		u := newUser(t)
		token := tokenFor(t, u)
		answers := make([]answer, 48)
		atOnce(len(answers), func(i int) { answers[i] = handlers[i%3].do(request{path: "/api/getToken", token: token}) })
		for _, a := range answers {
			require.Equal(t, 200, a.status, a.text)
			assert.Equal(t, inGraph(u), a.userID())
		}
	}
	assert.Len(t, identitiesSince(before), 3)
}

func TestAnErasureOnGraphIsFinishedWithoutTheUser(t *testing.T) {
	file := t.TempDir() + "/notes.db"
	h := start(t, onGraph("LOCAL_STORE_PATH", file, "GRAPH_MAPPING_KEYS", ""))
	u := newUser(t)
	token := tokenFor(t, u)
	before := cloud.ACS.Identities()
	made := h.do(request{path: "/api/getUser", token: token})
	require.Equal(t, 201, made.status)
	disturb(t, acsidentity.OpDelete, answers(http.StatusServiceUnavailable, ""))
	assert.Equal(t, 204, h.do(request{method: "DELETE", path: "/api/deleteUser", token: token}).status)
	assert.Empty(t, inGraph(u), "nothing of it is left with the user")
	assert.Len(t, identitiesSince(before), 1)
	cloud.ACS.SetFault(nil)
	require.Equal(t, 0, h.stop())
	assert.ErrorIs(t, claimed(t, file, made.userID()), identity.ErrRetired, "though it lives")

	h = start(t, onGraph("LOCAL_STORE_PATH", file))
	assert.Eventually(t, func() bool { return strings.Contains(h.log.String(), "swept noted erasures") }, time.Minute, 20*time.Millisecond)
	assert.Empty(t, identitiesSince(before))
	require.Equal(t, 0, h.stop())
	assert.ErrorIs(t, claimed(t, file, made.userID()), identity.ErrRetired)
}

// heroIdentity is one that ACS has made for somebody else than this service.
func heroIdentity(t *testing.T) string {
	t.Helper()
	id := start(t, nil).do(request{path: "/api/getUser", token: tokenFor(t, newUser(t))}).userID()
	require.NotEmpty(t, id)
	return id
}

func TestAMappingOfTheHeroSampleIsTaken(t *testing.T) {
	u, file := newUser(t), t.TempDir()+"/notes.db"
	theirs := heroIdentity(t)
	addHeroMapping(t, u, theirs)
	token := tokenFor(t, u)
	getUser := func(h *running) answer { return h.do(request{path: "/api/getUser", token: token}) }

	sealing := start(t, onGraph())
	assert.Equal(t, "access_blocked", getUser(sealing).code())
	plain := start(t, onGraph("GRAPH_MAPPING_KEYS", "", "LOCAL_STORE_PATH", file))
	a := getUser(plain)
	assert.Equal(t, []any{200, theirs}, []any{a.status, a.userID()})
	assert.Contains(t, plain.log.String(), firstCome)
	assert.NotContains(t, plain.log.String(), `"WARN"`)
	require.Equal(t, 0, plain.stop())

	thief := newUser(t)
	addHeroMapping(t, thief, theirs)
	movingOver := start(t, onGraph("GRAPH_ACCEPT_UNSEALED", "true", "LOCAL_STORE_PATH", file))
	assert.Equal(t, "access_blocked", movingOver.do(request{path: "/api/getToken", token: tokenFor(t, thief)}).code())
	assert.Equal(t, theirs, getUser(movingOver).userID())
	assert.Contains(t, movingOver.log.String(), "GRAPH_ACCEPT_UNSEALED", "it warns")
	assert.Equal(t, theirs, getUser(sealing).userID(), "it has a seal now")
}

func TestAnotherUsersIdentityCanNotBePlanted(t *testing.T) {
	instance := azurite.Start(t, azurite.Options{})
	h := start(t, contractOnGraph(instance))
	victim, thief := newUser(t), newUser(t)
	victims := h.do(request{path: "/api/getToken", token: tokenFor(t, victim)}).userID()
	require.NotEmpty(t, victims)
	addHeroMapping(t, thief, victims)
	token := tokenFor(t, thief)
	for _, handler := range []*running{h, start(t, contractOnGraph(instance))} {
		for _, r := range []request{
			{path: "/api/getUser"}, {path: "/api/getToken"}, {path: "/api/user"}, {path: "/api/token"},
			{method: "POST", path: "/api/refreshToken"}, {method: "POST", path: "/api/revokeTokens"},
			{method: "POST", path: "/api/user"}, {method: "DELETE", path: "/api/deleteUser"}, {method: "DELETE", path: "/api/user"},
		} {
			if gone(r.path) {
				continue
			}
			r.token = token
			a := handler.do(r)
			assert.Equal(t, 403, a.status, r.path)
			assert.NotContains(t, a.text, victims)
		}
	}
	a := h.do(request{path: "/api/getToken", token: tokenFor(t, victim)})
	assert.Equal(t, []any{200, victims}, []any{a.status, a.userID()})

	require.Equal(t, 204, asUser(t, thief, "DELETE", "/v1.0/me/extensions/"+graph.DefaultExtension, ""))
	a = h.do(request{path: "/api/getUser", token: token})
	assert.Equal(t, 201, a.status, a.text)
	for _, u := range []entraid.User{victim, thief} {
		assert.Equal(t, 204, h.do(request{method: "DELETE", path: "/api/deleteUser", token: tokenFor(t, u)}).status)
	}
	left := rows(t, instance)
	assert.Len(t, left, 2, "what is retired")
	for _, row := range left {
		assert.Contains(t, row, `"Retired":true`)
		for _, trace := range []string{victim.ObjectID, thief.ObjectID, "8:acs:", victims[len(victims)-36:]} {
			assert.NotContains(t, row, trace, "nothing is left of anybody")
		}
	}
}

func TestAnErasedIdentityCanNotBePlantedEither(t *testing.T) {
	instance := azurite.Start(t, azurite.Options{})
	h, other := start(t, contractOnGraph(instance)), start(t, contractOnGraph(instance))
	t.Cleanup(func() { cloud.ACS.SetFault(nil) })
	victim, thief := newUser(t), newUser(t)
	victims := h.do(request{path: "/api/getToken", token: tokenFor(t, victim)}).userID()
	require.NotEmpty(t, victims)
	disturb(t, acsidentity.OpDelete, answers(http.StatusServiceUnavailable, ""))
	require.Equal(t, 204, h.do(request{method: "DELETE", path: "/api/deleteUser", token: tokenFor(t, victim)}).status)
	require.Contains(t, cloud.ACS.Identities(), victims, "it lives on for a while")
	addHeroMapping(t, thief, victims)
	for _, handler := range []*running{h, other} {
		for _, r := range []request{{path: "/api/getUser"}, {path: "/api/getToken"}, {path: "/api/token"}} {
			r.token = tokenFor(t, thief)
			a := handler.do(r)
			assert.NotEqual(t, 2, a.status/100, r.path)
			assert.NotContains(t, a.text, victims)
		}
		a := handler.do(request{method: "POST", path: "/api/refreshToken", token: tokenFor(t, thief)})
		assert.Equal(t, []any{404, "identity_not_found"}, []any{a.status, a.code()})
	}
	cloud.ACS.SetFault(nil)
	a := other.do(request{path: "/api/getToken", token: tokenFor(t, thief)})
	require.Equal(t, 200, a.status, a.text)
	assert.NotEqual(t, victims, a.userID())
	assert.Equal(t, inGraph(thief), a.userID())
	assert.NotContains(t, cloud.ACS.Identities(), victims)
	a = h.do(request{path: "/api/getUser", token: tokenFor(t, victim)})
	assert.Equal(t, 201, a.status, "who comes back has a new one")
}

// It can be neither used nor erased, and what can't be erased must be no burden for
// the sweeps, nor set off an alert.
func TestAnIdentityOfAnotherResourceIsTakenAway(t *testing.T) {
	file := t.TempDir() + "/notes.db"
	h := start(t, onGraph("GRAPH_MAPPING_KEYS", "", "LOCAL_STORE_PATH", file))
	before := cloud.ACS.Identities()
	u := newUser(t)
	token := tokenFor(t, u)
	plant := func() string {
		foreign := "8:acs:" + identity.NewGUID() + "_" + identity.NewGUID()
		addHeroMapping(t, u, foreign)
		return foreign
	}
	foreign := plant()
	assert.Equal(t, 404, h.do(request{method: "POST", path: "/api/refreshToken", token: token}).status)
	a := h.do(request{path: "/api/getToken", token: token})
	require.Equal(t, 200, a.status, a.text)
	assert.NotEqual(t, foreign, a.userID())
	assert.Equal(t, inGraph(u), a.userID())
	require.Equal(t, 204, h.do(request{method: "DELETE", path: "/api/deleteUser", token: token}).status)

	plant()
	assert.Equal(t, 204, h.do(request{method: "DELETE", path: "/api/deleteUser", token: token}).status)
	assert.Empty(t, inGraph(u))
	assert.Empty(t, identitiesSince(before))
	require.Equal(t, 0, h.stop())
	assert.NotContains(t, h.log.String(), `"status":5`)
	for note, err := range openNotes(t, file).List(t.Context()) {
		assert.Fail(t, "a note is left", "%v %v", note, err)
	}
}

func TestOfTwoUsersWhoNameAnIdentityAtOnceOneGetsIt(t *testing.T) {
	instance := azurite.Start(t, azurite.Options{})
	handlers := []*running{start(t, contractOnGraph(instance)), start(t, contractOnGraph(instance))}
	theirs := heroIdentity(t)
	tokens := make([]string, 2)
	for i := range tokens {
		u := newUser(t)
		addHeroMapping(t, u, theirs)
		tokens[i] = tokenFor(t, u)
	}
	got := make([]answer, 16)
	atOnce(len(got), func(i int) {
		got[i] = handlers[i/8].do(request{path: "/api/getToken", token: tokens[i%2]})
	})
	winner := 0
	if got[0].status != 200 {
		winner = 1
	}
	for i, a := range got {
		if i%2 == winner {
			assert.Equal(t, []any{200, theirs}, []any{a.status, a.userID()}, a.text)
		} else {
			assert.Equal(t, "access_blocked", a.code(), a.text)
		}
	}
	assert.Len(t, rows(t, instance), 1)
}

// contractOnGraph has what IDENTITY_STORE=graph must do with and nothing else.
func contractOnGraph(instance azurite.Instance) map[string]string {
	return map[string]string{"IDENTITY_STORE": "graph", "LOCAL_STORE_PATH": "", "AzureWebJobsStorage": instance.ConnectionString, "RATE_LIMIT_PER_USER": "0"}
}

// rows are all that the table holds, as JSON.
func rows(t *testing.T, instance azurite.Instance) (all []string) {
	t.Helper()
	service, err := aztables.NewServiceClientFromConnectionString(instance.ConnectionString, nil)
	require.NoError(t, err)
	pager := service.NewClient("identities").NewListEntitiesPager(nil)
	for pager.More() {
		page, err := pager.NextPage(t.Context())
		require.NoError(t, err)
		for _, entity := range page.Entities {
			all = append(all, string(entity))
		}
	}
	return all
}

// claimed is what the register in the file says to a stranger who claims the identity.
func claimed(t *testing.T, file, acsUserID string) error {
	t.Helper()
	b := openNotes(t, file)
	defer func() { require.NoError(t, b.Close()) }()
	stranger := newUser(t)
	return b.Claim(t.Context(), acsUserID, identity.User{TenantID: stranger.TenantID, ObjectID: stranger.ObjectID})
}

// openNotes opens the file that notes and claims are in.
func openNotes(t *testing.T, file string) *bolt.Store {
	t.Helper()
	host, err := url.Parse(cloud.ACSURL)
	require.NoError(t, err)
	b, err := bolt.Open(file, host.Hostname())
	require.NoError(t, err)
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func TestWhatEntraIDDemandsReachesTheClient(t *testing.T) {
	h := start(t, onGraph())
	challenged := newUser(t)
	challenged.Policy = entraid.Policy{StepUpRequired: true}
	unconsented := newUser(t)
	unconsented.Policy = entraid.Policy{ConsentRequired: true}
	blocked := newUser(t)
	for _, u := range []entraid.User{challenged, unconsented} {
		require.NoError(t, cloud.Entra.AddUser(u))
		require.NoError(t, cloud.Entra.Consent(u, localcloud.SPAClientID))
	}
	a := h.do(request{path: "/api/getUser", token: tokenFor(t, challenged)})
	assert.Equal(t, []any{401, "interaction_required"}, []any{a.status, a.code()})
	header := a.header.Get("WWW-Authenticate")
	assert.Contains(t, header, `error="insufficient_claims"`)
	assert.Contains(t, header, `authorization_uri="`+cloud.EntraURL+"/"+entraid.SampleTenantID+`/oauth2/v2.0/authorize"`)
	claims := regexp.MustCompile(`claims="([^"]+)"`).FindStringSubmatch(header)
	require.NotNil(t, claims, header)
	text, err := base64.StdEncoding.DecodeString(claims[1])
	require.NoError(t, err)
	assert.Contains(t, string(text), `"access_token"`)

	a = h.do(request{path: "/api/getUser", token: tokenFor(t, unconsented)})
	assert.Equal(t, []any{403, "consent_required"}, []any{a.status, a.code()}, a.text)
	assert.Contains(t, a.header.Get("WWW-Authenticate"), `error="insufficient_scope"`)

	token := tokenFor(t, blocked)
	blocked.Policy = entraid.Policy{Blocked: true}
	require.NoError(t, cloud.Entra.AddUser(blocked))
	a = h.do(request{path: "/api/getUser", token: token})
	assert.Equal(t, []any{403, "access_blocked"}, []any{a.status, a.code()}, a.text)
}

func TestWhenGraphFails(t *testing.T) {
	h := start(t, onGraph())
	t.Cleanup(func() { cloud.Graph.SetFault(nil) })
	before := cloud.ACS.Identities()
	for _, row := range []struct {
		name      string
		operation string
		status    int
		want      int
		code      string
	}{
		{"it throttles", msgraph.OpGetExtension, 429, 503, "upstream_unavailable"},
		{"it is down", msgraph.OpGetExtension, 503, 503, "upstream_unavailable"},
		{"it is down for writers", msgraph.OpCreateExtension, 503, 503, "upstream_unavailable"},
		{"it refuses our token", msgraph.OpGetExtension, 401, 502, "upstream_rejected"},
	} {
		cloud.Graph.SetFault(func(w http.ResponseWriter, r *http.Request) bool {
			if msgraph.Operation(r) != row.operation {
				return false
			}
			w.Header().Set("Retry-After", "17")
			w.WriteHeader(row.status)
			return true
		})
		u := newUser(t)
		a := h.do(request{path: "/api/getToken", token: tokenFor(t, u)})
		assert.Equal(t, []any{row.want, row.code}, []any{a.status, a.code()}, row.name)
		if row.want == 503 {
			assert.Equal(t, "17", a.header.Get("Retry-After"), row.name)
		}
		cloud.Graph.SetFault(nil)
		a = h.do(request{path: "/api/getToken", token: tokenFor(t, u)})
		require.Equal(t, 200, a.status, a.text)
		require.Equal(t, 204, h.do(request{method: "DELETE", path: "/api/deleteUser", token: tokenFor(t, u)}).status)
	}
	assert.Empty(t, identitiesSince(before), "no orphan")
	grace := entraid.SampleUsers()[2]
	a := h.do(request{path: "/api/getUser", token: tokenFor(t, grace)})
	assert.Equal(t, []any{403, "access_blocked"}, []any{a.status, a.code()}, "a guest can't write to their profile")
	assert.Empty(t, identitiesSince(before), "no orphan of a guest")
}

func TestCheckSaysWhatItCannotTryOnGraph(t *testing.T) {
	r, code := checked(t, settings(t, onGraph()))
	assert.Equal(t, 0, code)
	assert.Empty(t, r.failures())
	states := map[string]status{}
	for _, i := range r.Findings {
		states[i.Part+" "+i.Name] = i.Status
	}
	assert.Equal(t, statusOK, states["store Microsoft Graph"])
	assert.Equal(t, statusSkip, states["store mappings"])
	assert.Equal(t, statusOK, states["store delete"], "of the place for notes")
	r, code = checked(t, settings(t, onGraph("GRAPH_MAPPING_KEYS", "")))
	assert.Equal(t, 0, code)
	assert.Empty(t, r.failures(), "the settings of the contract are enough")
	assert.True(t, slices.ContainsFunc(r.Findings, func(i item) bool { return strings.Contains(i.Detail, firstCome) }))
	r, _ = checked(t, settings(t, onGraph("GRAPH_ACCEPT_UNSEALED", "true")))
	assert.Equal(t, []string{"store seal of mappings"}, r.failures())
	host, err := url.Parse(cloud.GraphURL)
	require.NoError(t, err)
	r, code = checked(t, settings(t, onGraph("GRAPH_ENDPOINT", "https://localhost:1")))
	assert.Equal(t, 1, code)
	assert.Contains(t, r.failures(), "store Microsoft Graph", host.Host)
}
