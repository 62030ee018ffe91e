package functions

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"acsauth"
	"acsauth/functions/contract"
	"acsauth/internal/identity"
)

func TestTheContractTheFunctionsAndTheirFoldersAgree(t *testing.T) {
	doc := contract.Load(t)
	table, err := ReadRouteTable(acsauth.AppFolder)
	require.NoError(t, err)
	paths, err := table.bind(all())
	require.NoError(t, err)

	for path, item := range doc.Paths.Map() {
		f, ok := paths[routeKey("/api"+path)]
		if !assert.True(t, ok, "no function at %s", path) {
			continue
		}
		var methods []string
		for method := range item.Operations() {
			methods = append(methods, method)
		}
		assert.ElementsMatch(t, f.methods, methods, path)
		for method, op := range item.Operations() {
			assert.Equal(t, f.public, op.Security != nil && len(*op.Security) == 0, "%s %s", method, path)
		}
	}
	assert.Len(t, paths, doc.Paths.Len())
}

func TestTheContractNamesEveryCode(t *testing.T) {
	doc := contract.Load(t)
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
	doc := contract.Load(t)
	scopes := doc.Components.Schemas["TokenRequest"].Value.Properties["scopes"].Value.Items.Value.Enum
	for _, scope := range identity.Scopes() {
		assert.Contains(t, scopes, any(scope))
	}
	assert.Len(t, scopes, len(identity.Scopes()))
}

func TestEveryFolderSendsAllMethodsToTheHandler(t *testing.T) {
	table, err := ReadRouteTable(acsauth.AppFolder)
	require.NoError(t, err)
	for name := range table.routes {
		b, err := os.ReadFile("../" + name + "/function.json")
		require.NoError(t, err)
		for _, method := range []string{"get", "head", "post", "put", "patch", "delete", "options"} {
			assert.Contains(t, string(b), `"`+method+`"`, name)
		}
		assert.Contains(t, string(b), `"authLevel": "anonymous"`, name)
		assert.Equal(t, 1, strings.Count(string(b), "httpTrigger"), name)
	}
	assert.True(t, slices.ContainsFunc(all(), func(f function) bool { return f.name == "openapi" }))
}
