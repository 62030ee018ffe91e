package functions

import (
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"acsauth"
	"acsauth/functions/contract"
	"acsauth/internal/identity"
)

// withOptional is the route table of this checkout as it is where, of the folders
// that may be missing, these are there.
func withOptional(t *testing.T, folders ...string) RouteTable {
	t.Helper()
	table, err := ReadRouteTable(acsauth.AppFolder)
	require.NoError(t, err)
	for name, route := range map[string]route{"user": {path: "user"}, "token": {path: "token/{kind?}"}} {
		if !slices.Contains(folders, name) {
			delete(table.routes, name)
		} else if !table.has(name) {
			table.routes[name] = route
		}
	}
	return table
}

func TestTheContractTheFunctionsAndTheirFoldersAgree(t *testing.T) {
	for _, folders := range [][]string{{"user", "token"}, {"user"}, {"token"}, nil} {
		table := withOptional(t, folders...)
		doc := contract.Load(t, table.document())
		a := &app{}
		var err error
		a.paths, err = table.bind(all(), false)
		require.NoError(t, err)

		documented := map[string]bool{}
		for path, item := range doc.Paths.Map() {
			f, _, ok := a.find("/api" + path)
			if !assert.True(t, ok, "no function at %s", path) {
				continue
			}
			documented[f.name] = true
			var methods []string
			for method := range item.Operations() {
				methods = append(methods, method)
			}
			assert.ElementsMatch(t, f.methods, methods, path)
			for method, op := range item.Operations() {
				assert.Equal(t, f.public, op.Security != nil && len(*op.Security) == 0, "%s %s", method, path)
			}
		}
		assert.Len(t, documented, len(a.paths), "with %v", folders)
	}
}

func TestTheContractHasNothingThatNoPathUses(t *testing.T) {
	for _, folders := range [][]string{{"user", "token"}, {"user"}, {"token"}, nil} {
		document := withOptional(t, folders...).document()
		doc := contract.Load(t, document)
		for _, tag := range doc.Tags {
			assert.Contains(t, string(document), "tags: ["+tag.Name+"]", "with %v", folders)
		}
		for name := range doc.Components.Responses {
			assert.Contains(t, string(document), `"#/components/responses/`+name+`"`, "with %v", folders)
		}
		for name := range doc.Components.Schemas {
			assert.Contains(t, string(document), `"#/components/schemas/`+name+`"`, "with %v", folders)
		}
		assert.NotContains(t, string(document), "# if ")
		assert.NotContains(t, string(document), "# end")
		assert.Equal(t, folders != nil, strings.Contains(strings.ToLower(string(document)), "hero"))
	}
}

func TestTheContractNamesEveryCode(t *testing.T) {
	doc := contract.Load(t, []byte(openapiYAML))
	var documented []string
	for _, v := range doc.Components.Schemas["Code"].Value.Enum {
		documented = append(documented, v.(string))
	}
	var used []string
	for code := range byCode {
		used = append(used, string(code))
	}
	assert.ElementsMatch(t, used, documented)
}

func TestTheContractNamesEveryScope(t *testing.T) {
	doc := contract.Load(t, []byte(openapiYAML))
	scopes := doc.Components.Schemas["TokenRequest"].Value.Properties["scopes"].Value.Items.Value.Enum
	for _, scope := range identity.Scopes() {
		assert.Contains(t, scopes, any(scope))
	}
	assert.Len(t, scopes, len(identity.Scopes()))
}

func TestEveryFolderSendsAllMethodsToTheHandler(t *testing.T) {
	table, err := ReadRouteTable(acsauth.AppFolder)
	require.NoError(t, err)
	for name, route := range table.routes {
		if route.timer {
			continue
		}
		b, err := os.ReadFile("../" + name + "/function.json")
		require.NoError(t, err)
		for _, method := range []string{"get", "head", "post", "put", "patch", "delete", "options"} {
			assert.Contains(t, string(b), `"`+method+`"`, name)
		}
		assert.Contains(t, string(b), `"authLevel": "anonymous"`, name)
		assert.Equal(t, 1, strings.Count(string(b), "httpTrigger"), name)
	}
}

func TestOnlyTheAppFolderGoesToAzure(t *testing.T) {
	git := func(args ...string) []string {
		cmd := exec.Command("git", append([]string{"-C", ".."}, args...)...)
		out, err := cmd.Output()
		require.NoError(t, err, "git needs a checkout")
		return strings.Fields(string(out))
	}
	ignored := git("ls-files", "--cached", "--ignored", "--exclude-from=.funcignore")
	deleted := git("ls-files", "--deleted") // and not committed yet
	var published []string
	for _, file := range git("ls-files") {
		if !slices.Contains(ignored, file) && !slices.Contains(deleted, file) {
			published = append(published, file)
		}
	}
	folders, err := fs.Glob(acsauth.AppFolder, "*/function.json")
	require.NoError(t, err)
	assert.ElementsMatch(t, append(folders, "host.json"), published)
}
