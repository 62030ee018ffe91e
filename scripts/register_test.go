// Package scripts tests the scripts beside it.
package scripts

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	tenant       = "6f1d7c52-3b0e-4a9c-8d27-51c0a4e9b310"
	apiID        = "5f0d8c1a-7e42-4b6d-9a35-2c81e0b7d946"
	clientID     = "9b3e6a70-1c58-4d2f-8e07-64fa5d1b2c93"
	otherClient  = "0d9c8b7a-6f5e-4d3c-9b2a-1f0e9d8c7b6a"
	identityID   = "1b2d6e4f-a5c3-4f70-9b81-4d3e2c1f0a92"
	acsForTeams  = "1fd5118e-2576-4263-8130-9503064c837a"
	manageCalls  = "11111111-aaaa-4aaa-8aaa-111111111111"
	manageChats  = "22222222-bbbb-4bbb-8bbb-222222222222"
	stateFile    = "FAKE_AZ_STATE"
	registration = "./register-app.sh"
)

// TestMain is also the Azure CLI: this program does its work when it is called az.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "az" {
		os.Exit(fakeAz(os.Args[1:]))
	}
	os.Exit(m.Run())
}

// directory is what the fake knows: registrations and service principals by
// client id, and what has been changed.
type directory struct {
	SignedOut  bool
	Apps       map[string]map[string]any
	Principals map[string]bool
	Federated  []string // subjects
	Changes    []string
}

func fakeAz(args []string) int {
	file := os.Getenv(stateFile)
	var d directory
	b, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(b, &d)
	}
	if err != nil {
		panic(err)
	}
	defer func() {
		b, err := json.Marshal(d)
		if err == nil {
			err = os.WriteFile(file, b, 0o600)
		}
		if err != nil {
			panic(err)
		}
	}()
	return d.do(args)
}

func option(args []string, name string) string {
	if i := slices.Index(args, name); i >= 0 {
		return args[i+1]
	}
	return ""
}

func (d *directory) do(args []string) int {
	line := strings.Join(args, " ")
	id, query := option(args, "--id"), option(args, "--query")
	command, _, _ := strings.Cut(line, " --")
	switch command {
	case "account show":
		if d.SignedOut {
			return 1
		}
		fmt.Println(tenant)
	case "ad app list":
		for _, id := range slices.Sorted(maps.Keys(d.Apps)) {
			if option(args, "--filter") == fmt.Sprintf("displayName eq '%s'", d.Apps[id]["displayName"]) {
				fmt.Println(id)
			}
		}
	case "ad app create":
		d.Apps[apiID] = map[string]any{"id": "object-of-" + apiID, "displayName": option(args, "--display-name"), "signInAudience": option(args, "--sign-in-audience")}
		d.changed("app create")
	case "rest":
		return d.patch(args)
	case "ad app show":
		if d.Apps[id] == nil {
			return 3
		}
		for _, v := range d.query(id, query) {
			fmt.Println(v)
		}
	case "ad sp show":
		if !d.Principals[id] {
			return 3
		}
		if name := between(query, "value=='", "'"); name != "" {
			fmt.Println(map[string]string{"Teams.ManageCalls": manageCalls, "Teams.ManageChats": manageChats}[name])
		}
	case "ad sp create":
		d.Principals[id] = true
		d.changed("sp create " + id)
	case "ad app federated-credential list":
		for _, subject := range d.Federated {
			fmt.Println(subject)
		}
	case "ad app federated-credential create":
		var p struct{ Name, Issuer, Subject string }
		if json.Unmarshal([]byte(option(args, "--parameters")), &p) != nil {
			return 1
		}
		d.Federated = append(d.Federated, p.Subject)
		d.changed("federated " + p.Issuer)
	case "ad app permission add":
		i := slices.Index(args, "--api-permissions")
		d.permit(id, args[i+1:])
		d.changed("permission " + id)
	default:
		fmt.Fprintln(os.Stderr, "the fake does not know:", line)
		return 2
	}
	return 0
}

func (d *directory) changed(what string) { d.Changes = append(d.Changes, what) }

// patch merges a body into a registration as Microsoft Graph does: members of
// api one by one, lists as a whole.
func (d *directory) patch(args []string) int {
	objectID := option(args, "--url")[strings.LastIndex(option(args, "--url"), "/")+1:]
	var body map[string]any
	if option(args, "--method") != "PATCH" || json.Unmarshal([]byte(option(args, "--body")), &body) != nil {
		return 1
	}
	for _, app := range d.Apps {
		if app["id"] != objectID {
			continue
		}
		for key, value := range body {
			if members, ok := value.(map[string]any); ok && app[key] != nil {
				maps.Copy(app[key].(map[string]any), members)
				d.changed("patch " + strings.Join(slices.Sorted(maps.Keys(members)), " "))
				continue
			}
			app[key] = value
			d.changed("patch " + key)
		}
		return 0
	}
	return 3
}

func (d *directory) permit(id string, permissions []string) {
	var access []any
	for _, p := range permissions {
		access = append(access, map[string]any{"id": strings.TrimSuffix(p, "=Scope"), "type": "Scope"})
	}
	d.Apps[id]["requiredResourceAccess"] = []any{map[string]any{"resourceAppId": acsForTeams, "resourceAccess": access}}
}

// query answers the forms of JMESPath that the script uses: a.b, a[0].b, a[].b,
// and [?x=='y'], which the fake takes for [].
func (d *directory) query(id, query string) []any {
	found := []any{any(d.Apps[id])}
	for step := range strings.SplitSeq(filter.ReplaceAllString(query, "[]"), ".") {
		key, index, _ := strings.Cut(step, "[")
		var next []any
		for _, v := range found {
			member := v.(map[string]any)[key]
			if list, ok := member.([]any); ok && index == "]" {
				next = append(next, list...)
			} else if ok && len(list) > 0 {
				next = append(next, list[0])
			} else if !ok && member != nil {
				next = append(next, member)
			}
		}
		found = next
	}
	return found
}

var filter = regexp.MustCompile(`\[\?[^\]]*\]`)

func between(s, before, after string) string {
	_, s, _ = strings.Cut(s, before)
	s, _, _ = strings.Cut(s, after)
	return s
}

// bench is a directory and the script.
type bench struct {
	t    *testing.T
	path string
	file string
}

func newBench(t *testing.T, d directory) bench {
	t.Helper()
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("the script is for bash")
	}
	if d.Apps == nil {
		d.Apps = map[string]map[string]any{}
	}
	if d.Principals == nil {
		d.Principals = map[string]bool{}
	}
	dir := t.TempDir()
	me, err := os.Executable()
	require.NoError(t, err)
	require.NoError(t, os.Symlink(me, filepath.Join(dir, "az")))
	b, err := json.Marshal(d)
	require.NoError(t, err)
	s := bench{t, dir, filepath.Join(dir, "state.json")}
	require.NoError(t, os.WriteFile(s.file, b, 0o600))
	return s
}

func (b bench) run(args ...string) (string, error) {
	cmd := exec.Command("bash", append([]string{registration}, args...)...)
	cmd.Env = append(os.Environ(), "PATH="+b.path+string(os.PathListSeparator)+os.Getenv("PATH"), stateFile+"="+b.file)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (b bench) directory() *directory {
	b.t.Helper()
	content, err := os.ReadFile(b.file)
	require.NoError(b.t, err)
	d := &directory{}
	require.NoError(b.t, json.Unmarshal(content, d))
	return d
}

func TestEverythingIsRegisteredOnceHoweverOftenItRuns(t *testing.T) {
	b := newBench(t, directory{Apps: map[string]map[string]any{clientID: {"id": "object-of-" + clientID, "displayName": "client"}}})
	all := []string{"--client", clientID, "--identity", identityID, "--roles", "--teams"}
	out, err := b.run(all...)
	require.NoError(t, err, out)
	assert.Contains(t, out, "ENTRA_TENANT_ID="+tenant+"\nENTRA_CLIENT_ID="+apiID+"\nscope for clients: api://"+apiID+"/access_as_user\n")
	assert.Contains(t, out, "https://login.microsoftonline.com/"+tenant+"/adminconsent?client_id="+apiID)

	d := b.directory()
	assert.Equal(t, []string{"app create", "patch api", "patch identifierUris", "patch oauth2PermissionScopes", "patch preAuthorizedApplications", "patch appRoles",
		"sp create " + apiID, "federated https://login.microsoftonline.com/" + tenant + "/v2.0", "sp create " + acsForTeams,
		"permission " + apiID, "permission " + clientID}, d.Changes)
	app := d.Apps[apiID]
	assert.Equal(t, "AzureADMyOrg", app["signInAudience"])
	assert.Equal(t, []any{"api://" + apiID}, app["identifierUris"])
	assert.Equal(t, []any{float64(2)}, d.query(apiID, "api.requestedAccessTokenVersion"))
	assert.Equal(t, []any{"access_as_user"}, d.query(apiID, "api.oauth2PermissionScopes[].value"))
	assert.Equal(t, []any{clientID}, d.query(apiID, "api.preAuthorizedApplications[].appId"))
	assert.Equal(t, d.query(apiID, "api.oauth2PermissionScopes[0].id"), d.query(apiID, "api.preAuthorizedApplications[].delegatedPermissionIds"))
	assert.Equal(t, []any{"Guest", "Host"}, d.query(apiID, "appRoles[].value"))
	assert.Equal(t, []string{identityID}, d.Federated)
	assert.Equal(t, []any{manageCalls, manageChats}, d.query(clientID, "requiredResourceAccess[].resourceAccess[].id"))

	out, err = b.run(all...)
	require.NoError(t, err, out)
	assert.Equal(t, d, b.directory(), "the second time changes nothing")

	out, err = b.run("--client", strings.ToUpper(otherClient), "--client", clientID)
	require.NoError(t, err, out)
	assert.Equal(t, []any{otherClient, clientID}, b.directory().query(apiID, "api.preAuthorizedApplications[].appId"), "one more")
}

func TestADryRunChangesNothing(t *testing.T) {
	b := newBench(t, directory{})
	out, err := b.run("--dry-run")
	require.NoError(t, err, out)
	assert.Contains(t, out, "would run: az ad app create --display-name acsauth --sign-in-audience AzureADMyOrg")
	assert.Empty(t, b.directory().Changes)

	b = newBench(t, directory{Apps: map[string]map[string]any{apiID: {"id": "o", "displayName": "acsauth"}}})
	out, err = b.run("--dry-run", "--client", clientID, "--identity", identityID, "--roles")
	require.NoError(t, err, out)
	for _, change := range []string{"requestedAccessTokenVersion", "identifierUris", "oauth2PermissionScopes", "preAuthorizedApplications", "appRoles", "sp create", "federated-credential create"} {
		assert.Contains(t, out, change)
	}
	assert.Empty(t, b.directory().Changes)
}

func TestWhatSomebodyElseMadeIsLeftAlone(t *testing.T) {
	app := func(more map[string]any) directory {
		all := map[string]any{"id": "o", "displayName": "acsauth"}
		maps.Copy(all, more)
		return directory{Apps: map[string]map[string]any{apiID: all}}
	}
	for name, row := range map[string]struct {
		d    directory
		args []string
		want string
	}{
		"two of a name":  {directory{Apps: map[string]map[string]any{apiID: {"displayName": "acsauth"}, clientID: {"displayName": "acsauth"}}}, nil, "several registrations named acsauth"},
		"other scopes":   {app(map[string]any{"api": map[string]any{"oauth2PermissionScopes": []any{map[string]any{"value": "read"}}}}), nil, "has scopes of its own"},
		"other roles":    {app(map[string]any{"appRoles": []any{map[string]any{"value": "Admin"}}}), []string{"--roles"}, "has app roles of its own"},
		"not signed in":  {directory{SignedOut: true}, nil, "az login"},
		"not a GUID":     {directory{}, []string{"--client", "x"}, "x is not a GUID"},
		"a quote":        {directory{}, []string{"--name", "x' or 1 eq 1"}, "--name takes"},
		"no value":       {directory{}, []string{"--client"}, "--client needs a value"},
		"unknown option": {directory{}, []string{"--force"}, "usage:"},
	} {
		b := newBench(t, row.d)
		out, err := b.run(row.args...)
		assert.Error(t, err, name)
		assert.Contains(t, out, row.want, name)
		assert.NotContains(t, out, "ENTRA_CLIENT_ID", name)
	}
}

func TestTheScopeThatThereIsKeepsItsID(t *testing.T) {
	b := newBench(t, directory{Apps: map[string]map[string]any{apiID: {"id": "o", "displayName": "acsauth",
		"identifierUris": []any{"api://contoso/calls"},
		"api":            map[string]any{"oauth2PermissionScopes": []any{map[string]any{"id": "mine", "value": "access_as_user"}}}}}})
	out, err := b.run("--client", clientID)
	require.NoError(t, err, out)
	assert.Equal(t, []any{"mine"}, b.directory().query(apiID, "api.preAuthorizedApplications[].delegatedPermissionIds"))
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
