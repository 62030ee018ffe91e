package infra

import (
	"encoding/json"
	"flag"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

var update = flag.Bool("update", false, "write azuredeploy.json anew")

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	return string(b)
}

func TestTheTemplateOfThePortalIsTheBicep(t *testing.T) {
	b, err := parse(read(t, "main.bicep"))
	require.NoError(t, err)
	want, err := compile(b)
	require.NoError(t, err)
	if *update {
		require.NoError(t, os.WriteFile("azuredeploy.json", want, 0o644))
	}
	assert.Equal(t, string(want), read(t, "azuredeploy.json"), "run: go test ./infra -update")
	assert.True(t, json.Valid(want))
}

func TestAzdKnowsEveryParameterThatHasNoDefault(t *testing.T) {
	b, err := parse(read(t, "main.bicep"))
	require.NoError(t, err)
	var file struct {
		Parameters map[string]struct{ Value any }
	}
	require.NoError(t, json.Unmarshal([]byte(read(t, "main.parameters.json")), &file))
	known := map[string]bool{}
	for _, p := range b.params {
		known[p.name] = true
		if p.value == nil {
			assert.Contains(t, file.Parameters, p.name)
		}
	}
	for name := range file.Parameters {
		assert.True(t, known[name], "%s is no parameter of main.bicep", name)
	}
}

func TestAzdBuildsAndDeploysThePackage(t *testing.T) {
	var project struct {
		Infra    struct{ Provider, Path, Module string }
		Services map[string]struct {
			Project, Host, Language, Dist string
			Hooks                         map[string]map[string]struct{ Shell, Run string }
		}
	}
	require.NoError(t, yaml.Unmarshal([]byte(read(t, "../azure.yaml")), &project))
	assert.Equal(t, "infra", project.Infra.Path)
	assert.FileExists(t, project.Infra.Module+".bicep")
	b, err := parse(read(t, "main.bicep"))
	require.NoError(t, err)
	var tag any
	for _, d := range b.resources {
		if d.name == "app" {
			tag = at(map[string]object{"app": d.value.(object)}, "app.tags").(object).get("azd-service-name")
		}
	}
	require.Len(t, project.Services, 1)
	api := project.Services[tag.(string)]
	assert.Equal(t, "function", api.Host)
	assert.Equal(t, "custom", api.Language, "go is the other worker's")
	assert.Equal(t, ".", api.Project)
	assert.Equal(t, "dist/acsauth-linux-amd64.zip", api.Dist, "azd takes a zip as it is, with the executable bit")
	for _, system := range []string{"posix", "windows"} {
		assert.Equal(t, "go run ./tools/package", api.Hooks["prepackage"][system].Run)
	}
}

func TestTheAlertLooksForWhatTheSweepLogs(t *testing.T) {
	sweep := read(t, "../internal/identity/sweep.go")
	assert.Contains(t, sweep, `"swept noted erasures"`)
	assert.Contains(t, sweep, `slog.Int("overdue", `)
	for _, file := range []string{"main.bicep", "../docs/operations.md"} {
		assert.Contains(t, read(t, file), `AppTraces | where Message has "swept noted erasures"`, file)
	}
}
