package infra

import (
	"encoding/json"
	"flag"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
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
