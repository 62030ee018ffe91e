// Package scripts tests the scripts beside it.
package scripts

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"acsauth/scripts/fakeaz"
)

const (
	tenant       = fakeaz.TenantID
	apiID        = fakeaz.NewAppID
	clientID     = "9b3e6a70-1c58-4d2f-8e07-64fa5d1b2c93"
	otherClient  = "0d9c8b7a-6f5e-4d3c-9b2a-1f0e9d8c7b6a"
	identityID   = "1b2d6e4f-a5c3-4f70-9b81-4d3e2c1f0a92"
	acsForTeams  = "1fd5118e-2576-4263-8130-9503064c837a"
	registration = "./register-app.sh"
)

// bench is a directory and the script.
type bench struct {
	t    *testing.T
	path string
	file string
}

// az is the fake as a program, made once. It is built rather than run by this
// test itself, because it starts some twenty times for one run of the script.
var az = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "acsauth-fake-az-")
	if err != nil {
		return "", err
	}
	out, err := exec.Command("go", "build", "-o", filepath.Join(dir, "az"), "./fakeaz/az").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return dir, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, err := az(); err == nil {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

func newBench(t *testing.T, d fakeaz.Directory) bench {
	t.Helper()
	if _, err := exec.LookPath("bash"); err != nil || runtime.GOOS == "windows" {
		t.Skip("the script is for bash")
	}
	dir, err := az()
	require.NoError(t, err)
	b := bench{t, dir, filepath.Join(t.TempDir(), "state.json")}
	require.NoError(t, d.Save(b.file))
	return b
}

func (b bench) run(args ...string) (string, error) {
	cmd := exec.Command("bash", append([]string{registration}, args...)...)
	cmd.Env = append(os.Environ(), "PATH="+b.path+string(os.PathListSeparator)+os.Getenv("PATH"), fakeaz.StateFile+"="+b.file)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (b bench) directory() *fakeaz.Directory {
	b.t.Helper()
	d, err := fakeaz.Load(b.file)
	require.NoError(b.t, err)
	return d
}

func TestEverythingIsRegisteredOnceHoweverOftenItRuns(t *testing.T) {
	b := newBench(t, fakeaz.Directory{Apps: map[string]map[string]any{clientID: {"id": "object-of-" + clientID, "displayName": "client"}}})
	all := []string{"--client", clientID, "--identity", strings.ToUpper(identityID), "--roles", "--teams", "--graph"}
	out, err := b.run(all...)
	require.NoError(t, err, out)
	assert.Contains(t, out, "ENTRA_TENANT_ID="+tenant+"\nENTRA_CLIENT_ID="+apiID+"\nscope for clients: api://"+apiID+"/access_as_user\n")
	assert.Contains(t, out, "https://login.microsoftonline.com/"+tenant+"/adminconsent?client_id="+apiID)

	d := b.directory()
	assert.Equal(t, []string{"app create", "patch api", "patch identifierUris", "patch oauth2PermissionScopes", "patch preAuthorizedApplications", "patch appRoles",
		"sp create " + apiID, "federated https://login.microsoftonline.com/" + tenant + "/v2.0", "sp create " + acsForTeams,
		"permission " + apiID, "permission " + clientID, "permission " + apiID}, d.Changes)
	app := d.Apps[apiID]
	assert.Equal(t, "AzureADMyOrg", app["signInAudience"])
	assert.Equal(t, []any{"api://" + apiID}, app["identifierUris"])
	assert.Equal(t, []any{float64(2)}, d.Query(apiID, "api.requestedAccessTokenVersion"))
	assert.Equal(t, []any{"access_as_user"}, d.Query(apiID, "api.oauth2PermissionScopes[].value"))
	assert.Equal(t, []any{clientID}, d.Query(apiID, "api.preAuthorizedApplications[].appId"))
	assert.Equal(t, d.Query(apiID, "api.oauth2PermissionScopes[0].id"), d.Query(apiID, "api.preAuthorizedApplications[].delegatedPermissionIds"))
	assert.Equal(t, []any{"Guest", "Host"}, d.Query(apiID, "appRoles[].value"))
	assert.Equal(t, []string{identityID}, d.Federated)
	assert.Equal(t, []any{fakeaz.ManageCalls, fakeaz.ManageChats}, d.Query(clientID, "requiredResourceAccess[].resourceAccess[].id"))

	assert.Equal(t, []any{fakeaz.ReadWrite}, d.Query(apiID, "requiredResourceAccess[?resourceAppId=='"+fakeaz.GraphAppID+"'].resourceAccess[].id"))

	out, err = b.run(append(all, "--app", apiID)...)
	require.NoError(t, err, out)
	assert.Equal(t, d, b.directory(), "the second time changes nothing")

	out, err = b.run("--app", apiID, "--client", strings.ToUpper(otherClient), "--client", clientID)
	require.NoError(t, err, out)
	assert.Equal(t, []any{otherClient, clientID}, b.directory().Query(apiID, "api.preAuthorizedApplications[].appId"), "one more")
}

func TestTeamsPhoneIsAskedForBesideWhatThereIs(t *testing.T) {
	b := newBench(t, fakeaz.Directory{})
	for _, options := range [][]string{{"--teams"}, {"--teams-phone", "--app", apiID}, {"--teams-phone", "--app", apiID}} {
		out, err := b.run(options...)
		require.NoError(t, err, out)
		assert.Contains(t, out, "adminconsent")
	}
	assert.Equal(t, []any{fakeaz.ManageCalls, fakeaz.ManageChats, fakeaz.PhoneCalls}, b.directory().Query(apiID, "requiredResourceAccess[].resourceAccess[].id"))
}

func TestADryRunChangesNothing(t *testing.T) {
	b := newBench(t, fakeaz.Directory{})
	out, err := b.run("--dry-run")
	require.NoError(t, err, out)
	assert.Contains(t, out, "would run: az ad app create --display-name acsauth --sign-in-audience AzureADMyOrg")
	assert.Empty(t, b.directory().Changes)

	b = newBench(t, fakeaz.Directory{Apps: map[string]map[string]any{apiID: {"id": "o", "displayName": "acsauth"}}})
	out, err = b.run("--dry-run", "--app", apiID, "--client", clientID, "--identity", identityID, "--roles")
	require.NoError(t, err, out)
	for _, change := range []string{"requestedAccessTokenVersion", "identifierUris", "oauth2PermissionScopes", "preAuthorizedApplications", "appRoles", "sp create", "federated-credential create"} {
		assert.Contains(t, out, change)
	}
	assert.Empty(t, b.directory().Changes)
}

func TestWhatSomebodyElseMadeIsLeftAlone(t *testing.T) {
	app := func(more map[string]any) fakeaz.Directory {
		all := map[string]any{"id": "o", "displayName": "acsauth"}
		maps.Copy(all, more)
		return fakeaz.Directory{Apps: map[string]map[string]any{apiID: all}}
	}
	named := []string{"--app", apiID}
	for name, row := range map[string]struct {
		d    fakeaz.Directory
		args []string
		want string
	}{
		"not there":                {fakeaz.Directory{}, named, "does not show the registration " + apiID},
		"other scopes":             {app(map[string]any{"api": map[string]any{"oauth2PermissionScopes": []any{map[string]any{"value": "read"}}}}), named, "has scopes of its own"},
		"other roles":              {app(map[string]any{"appRoles": []any{map[string]any{"value": "Admin"}}}), append(named, "--roles"), "has app roles of its own"},
		"not signed in":            {fakeaz.Directory{SignedOut: true}, nil, "az login"},
		"not a GUID":               {fakeaz.Directory{}, []string{"--client", "x"}, "x is not a GUID"},
		"no id":                    {app(nil), []string{"--app", "acsauth"}, "acsauth is not a GUID"},
		"a quote":                  {fakeaz.Directory{}, []string{"--name", "x' or 1 eq 1"}, "--name takes"},
		"an app of another tenant": {fakeaz.Directory{}, []string{"--teams", "--client", otherClient}, otherClient + " is no registration of this tenant"},
		"no value":                 {fakeaz.Directory{}, []string{"--client"}, "--client needs a value"},
		"an empty value":           {fakeaz.Directory{}, []string{"--identity", ""}, "--identity needs a value"},
		"unknown option":           {fakeaz.Directory{}, []string{"--force"}, "usage:"},
	} {
		b := newBench(t, row.d)
		out, err := b.run(row.args...)
		assert.Error(t, err, name)
		assert.Contains(t, out, row.want, name)
		assert.NotContains(t, out, "ENTRA_CLIENT_ID", name)
	}
}

// Anybody in the tenant may have made one of the name, and keep a secret for it.
func TestARegistrationIsNotTakenByItsName(t *testing.T) {
	for _, d := range []fakeaz.Directory{
		{Apps: map[string]map[string]any{otherClient: {"id": "o", "displayName": "calls"}}},
		{Apps: map[string]map[string]any{otherClient: {"id": "o", "displayName": "calls"}, clientID: {"id": "p", "displayName": "calls"}}},
	} {
		b := newBench(t, d)
		for _, more := range []string{"--roles", "--dry-run"} {
			out, err := b.run("--name", "calls", more)
			require.Error(t, err)
			assert.Contains(t, out, "there is a registration named calls: "+strings.Join(slices.Sorted(maps.Keys(d.Apps)), ", ")+".")
			assert.Empty(t, b.directory().Changes)
		}
		out, err := b.run("--name", "our calls")
		require.NoError(t, err, out)
		assert.Contains(t, out, "ENTRA_CLIENT_ID="+apiID)
		assert.NotContains(t, b.directory().Apps[otherClient], "api")
	}
}

func TestTheScopeThatThereIsKeepsItsID(t *testing.T) {
	b := newBench(t, fakeaz.Directory{Apps: map[string]map[string]any{apiID: {"id": "o", "displayName": "acsauth",
		"identifierUris": []any{"api://contoso/calls"},
		"api":            map[string]any{"oauth2PermissionScopes": []any{map[string]any{"id": "mine", "value": "access_as_user"}}}}}})
	out, err := b.run("--app", strings.ToUpper(apiID), "--client", clientID)
	require.NoError(t, err, out)
	assert.Equal(t, []any{"mine"}, b.directory().Query(apiID, "api.preAuthorizedApplications[].delegatedPermissionIds"))
	assert.Contains(t, out, "scope for clients: api://contoso/calls/access_as_user")
}

func TestTheScriptIsClean(t *testing.T) {
	shellcheck, err := exec.LookPath("shellcheck")
	if err != nil {
		t.Skip("shellcheck is not installed")
	}
	out, err := exec.Command(shellcheck, registration).CombinedOutput()
	assert.NoError(t, err, string(out))
}
