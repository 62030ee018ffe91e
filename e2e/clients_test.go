package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"

	"acsauth/internal/localcloud"
	"acsauth/internal/localcloud/entraid"
)

func TestOfficialClients(t *testing.T) {
	packages(t) // skips here, before anything is started
	s := start(t)
	for _, script := range []struct {
		name string
		env  func(t *testing.T, s *stack) []string // beside the common one
	}{
		{"communication-identity.mjs", aliceForTeams},
		{"msal-browser.mjs", func(t *testing.T, s *stack) []string { return chromium(t, s.cloud) }},
	} {
		t.Run(script.name, func(t *testing.T) {
			t.Parallel()
			env := s.environ()
			if script.env != nil {
				env = append(env, script.env(t, s)...)
			}
			runScript(t, script.name, env...)
		})
	}
}

// aliceForTeams is a Teams user and the token that she gives to ACS.
func aliceForTeams(t *testing.T, s *stack) []string {
	t.Helper()
	alice := entraid.SampleUsers()[0]
	token, err := s.cloud.Entra.AccessToken(alice, localcloud.SPAClientID,
		entraid.TeamsURI+"/Teams.ManageCalls", entraid.TeamsURI+"/Teams.ManageChats")
	require.NoError(t, err)
	return []string{"TEAMS_TOKEN=" + token, "TEAMS_USER=" + alice.ObjectID}
}
