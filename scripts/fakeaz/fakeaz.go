// Package fakeaz stands in for the Azure CLI in tests of scripts: it answers, and
// carries out, the few commands on registrations that they use.
package fakeaz

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
)

// What every directory has.
const (
	TenantID    = "6f1d7c52-3b0e-4a9c-8d27-51c0a4e9b310"
	NewAppID    = "5f0d8c1a-7e42-4b6d-9a35-2c81e0b7d946" // of the next registration that is made
	ManageCalls = "11111111-aaaa-4aaa-8aaa-111111111111" // id of the permission Teams.ManageCalls
	ManageChats = "22222222-bbbb-4bbb-8bbb-222222222222"
	PhoneCalls  = "33333333-cccc-4ccc-8ccc-333333333333" // of TeamsExtension.ManageCalls
	GraphAppID  = "00000003-0000-0000-c000-000000000000"
	ReadWrite   = "b4e74841-8e56-480b-be8b-910348b18b4c" // of Graph's User.ReadWrite
)

var permissions = map[string]string{"Teams.ManageCalls": ManageCalls, "Teams.ManageChats": ManageChats,
	"TeamsExtension.ManageCalls": PhoneCalls, "User.ReadWrite": ReadWrite}

// StateFile is the environment variable that names the file a Directory is kept in.
const StateFile = "FAKE_AZ_STATE"

// Directory is what the fake knows: registrations and service principals by
// client id, and what has been changed.
type Directory struct {
	SignedOut  bool
	Apps       map[string]map[string]any
	Principals map[string]bool
	Federated  []string // subjects
	Changes    []string
}

// Load reads a Directory from file.
func Load(file string) (*Directory, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	d := &Directory{}
	if err := json.Unmarshal(b, d); err != nil {
		return nil, err
	}
	if d.Apps == nil {
		d.Apps = map[string]map[string]any{}
	}
	if d.Principals == nil {
		d.Principals = map[string]bool{}
	}
	return d, nil
}

// Save writes d to file.
func (d *Directory) Save(file string) error {
	b, err := json.Marshal(d)
	if err != nil {
		return err
	}
	return os.WriteFile(file, b, 0o600)
}

func option(args []string, name string) string {
	if i := slices.Index(args, name); i >= 0 {
		return args[i+1]
	}
	return ""
}

// Do carries out a command line without its first word, and returns the exit code.
func (d *Directory) Do(args []string, stdout, stderr io.Writer) int {
	print := func(v any) { _, _ = fmt.Fprintln(stdout, v) }
	line := strings.Join(args, " ")
	id, query := option(args, "--id"), option(args, "--query")
	command, _, _ := strings.Cut(line, " --")
	switch command {
	case "account show":
		if d.SignedOut {
			return 1
		}
		print(TenantID)
	case "ad app list":
		for _, id := range slices.Sorted(maps.Keys(d.Apps)) {
			if option(args, "--filter") == fmt.Sprintf("displayName eq '%s'", d.Apps[id]["displayName"]) {
				print(id)
			}
		}
	case "ad app create":
		d.Apps[NewAppID] = map[string]any{"id": "object-of-" + NewAppID, "displayName": option(args, "--display-name"), "signInAudience": option(args, "--sign-in-audience")}
		d.changed("app create")
		print(NewAppID)
	case "rest":
		return d.patch(args)
	case "ad app show":
		if d.Apps[id] == nil {
			return 3
		}
		for _, v := range d.Query(id, query) {
			print(v)
		}
	case "ad sp show":
		if !d.Principals[id] && id != GraphAppID {
			return 3
		}
		if name := between(query, "value=='", "'"); name != "" {
			print(permissions[name])
		}
	case "ad sp create":
		d.Principals[id] = true
		d.changed("sp create " + id)
	case "ad app federated-credential list":
		for _, subject := range d.Federated {
			print(subject)
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
		d.permit(id, option(args, "--api"), args[i+1:])
		d.changed("permission " + id)
	default:
		_, _ = fmt.Fprintln(stderr, "the fake does not know:", line)
		return 2
	}
	return 0
}

func (d *Directory) changed(what string) { d.Changes = append(d.Changes, what) }

// patch merges a body into a registration as Microsoft Graph does: members of
// api one by one, lists as a whole.
func (d *Directory) patch(args []string) int {
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

func (d *Directory) permit(id, api string, permissions []string) {
	var access []any
	for _, p := range permissions {
		access = append(access, map[string]any{"id": strings.TrimSuffix(p, "=Scope"), "type": "Scope"})
	}
	all, _ := d.Apps[id]["requiredResourceAccess"].([]any)
	d.Apps[id]["requiredResourceAccess"] = append(all, map[string]any{"resourceAppId": api, "resourceAccess": access})
}

// Query answers the forms of JMESPath that the script uses: a.b, a[0].b, a[].b,
// and a[?x=='y'].b.
func (d *Directory) Query(id, query string) []any {
	found := []any{any(d.Apps[id])}
	var where []string
	for _, m := range filter.FindAllStringSubmatch(query, -1) {
		where = m[1:]
	}
	for step := range strings.SplitSeq(filter.ReplaceAllString(query, "[?]"), ".") {
		key, index, _ := strings.Cut(step, "[")
		var next []any
		for _, v := range found {
			member := v.(map[string]any)[key]
			if list, ok := member.([]any); ok && index == "?]" {
				for _, item := range list {
					if item.(map[string]any)[where[0]] == where[1] {
						next = append(next, item)
					}
				}
			} else if ok && index == "]" {
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

var filter = regexp.MustCompile(`\[\?(\w+)=='([^']*)'\]`)

func between(s, before, after string) string {
	_, s, _ = strings.Cut(s, before)
	s, _, _ = strings.Cut(s, after)
	return s
}
