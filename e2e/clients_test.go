package e2e

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"acsauth/internal/localcloud"
	"acsauth/internal/localcloud/entraid"
)

const (
	teamsCalls     = entraid.TeamsURI + "/Teams.ManageCalls"
	teamsChats     = entraid.TeamsURI + "/Teams.ManageChats"
	extensionCalls = entraid.TeamsURI + "/TeamsExtension.ManageCalls"
	graphRead      = entraid.GraphURI + "/User.Read"
	graphWrite     = entraid.GraphURI + "/User.ReadWrite"
)

func TestOfficialClients(t *testing.T) {
	pages := http.NewServeMux()
	pages.Handle("/node_modules/", http.FileServer(http.Dir(packages(t)))) // skips here, before anything is started
	pages.Handle("/", http.FileServer(http.Dir("site")))
	s := start(t, pages)
	alice := entraid.SampleUsers()[0]
	for _, script := range []struct {
		name string
		env  func(t *testing.T) []string // beside the common one
	}{
		{"communication-identity.mjs", func(t *testing.T) []string {
			return []string{"USER=" + alice.ObjectID, "TEAMS_TOKEN=" + s.token(t, alice, teamsCalls, teamsChats)}
		}},
		{"communication-common.mjs", func(t *testing.T) []string {
			user := s.newUser(t, 1, entraid.Policy{})
			require.NoError(t, s.cloud.ACS.Assign(user.TenantID, user.ObjectID, localcloud.SPAClientID))
			return []string{
				"USER=" + user.ObjectID,
				"ACCESS_TOKEN=" + s.token(t, user, localcloud.APIScope),
				"TEAMS_TOKEN=" + s.token(t, user, teamsCalls, teamsChats),
				"EXTENSION_TOKEN=" + s.token(t, user, extensionCalls),
			}
		}},
		{"graph-client.mjs", func(t *testing.T) []string {
			user := s.newUser(t, 5, entraid.Policy{})
			return []string{
				"USER=" + user.ObjectID,
				"READ_TOKEN=" + s.token(t, user, graphRead),
				"WRITE_TOKEN=" + s.token(t, user, graphWrite),
				"OTHER_APP_TOKEN=" + s.tokenThrough(t, localcloud.APIClientID, user, graphWrite),
				"GUEST_TOKEN=" + s.token(t, entraid.SampleUsers()[2], graphWrite),
			}
		}},
		{"hero-client.mjs", func(t *testing.T) []string {
			if names := deleted(); names != nil {
				t.Skipf("the folders of the functions that answer this client were deleted: %v", names)
			}
			user := s.newUser(t, 4, entraid.Policy{})
			return []string{
				"ACCESS_TOKEN=" + s.token(t, user, localcloud.APIScope),
				"TEAMS_TOKEN=" + s.token(t, user, teamsCalls, teamsChats),
			}
		}},
		{"mapped-names.mjs", func(t *testing.T) []string {
			user := s.newUser(t, 6, entraid.Policy{})
			return []string{
				"USER=" + user.ObjectID,
				"ACCESS_TOKEN=" + s.token(t, user, localcloud.APIScope),
				"TEAMS_TOKEN=" + s.tokenThrough(t, localcloud.APIClientID, user, teamsCalls, teamsChats),
			}
		}},
		{"desktop-app.mjs", func(t *testing.T) []string { return chromium(t, s.cloud) }},
		{"msal-browser.mjs", func(t *testing.T) []string { return chromium(t, s.cloud) }},
		{"msal-node.mjs", func(t *testing.T) []string {
			challenged := s.newUser(t, 3, entraid.Policy{StepUpRequired: true})
			return []string{
				"ALICE=" + alice.ObjectID,
				"ALICE_TOKEN=" + s.token(t, alice, localcloud.APIScope),
				"TEAMS_TOKEN=" + s.token(t, alice, teamsCalls),
				"UNCONSENTED_TOKEN=" + s.token(t, s.newUser(t, 2, entraid.Policy{ConsentRequired: true}), localcloud.APIScope),
				"CHALLENGED=" + challenged.ObjectID,
				"CHALLENGED_TOKEN=" + s.token(t, challenged, localcloud.APIScope),
			}
		}},
	} {
		t.Run(script.name, func(t *testing.T) {
			t.Parallel()
			runScript(t, script.name, append(s.environ(), script.env(t)...)...)
		})
	}
}

// newUser is the nth of those who live in no sample.
func (s *stack) newUser(t testing.TB, n int, policy entraid.Policy) entraid.User {
	t.Helper()
	u := entraid.User{TenantID: entraid.SampleTenantID, ObjectID: fmt.Sprintf("d0000000-0000-4000-8000-%012d", n),
		Name: "Somebody", UPN: fmt.Sprintf("somebody-%d@contoso.example", n), Teams: true, Policy: policy}
	require.NoError(t, s.cloud.Entra.AddUser(u))
	return u
}

// token is what the user gets through the sample client.
func (s *stack) token(t testing.TB, u entraid.User, scopes ...string) string {
	t.Helper()
	return s.tokenThrough(t, localcloud.SPAClientID, u, scopes...)
}

func (s *stack) tokenThrough(t testing.TB, clientID string, u entraid.User, scopes ...string) string {
	t.Helper()
	token, err := s.cloud.Entra.AccessToken(u, clientID, scopes...)
	require.NoError(t, err)
	return token
}
