package main

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestEveryModuleInTheProgramIsListed(t *testing.T) {
	program := filepath.Join(t.TempDir(), "handler")
	build := exec.Command("go", "build", "-o", program, "acsauth/handler")
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))
	var b bytes.Buffer
	require.NoError(t, run(program, time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC), &b))
	var d document
	require.NoError(t, json.Unmarshal(b.Bytes(), &d))
	assert.Equal(t, "SPDX-2.3", d.SPDXVersion)
	assert.Equal(t, "2026-11-22T12:00:00Z", d.CreationInfo.Created)
	assert.Regexp(t, `^[0-9a-f]{64}$`, d.Packages[0].Checksums[0].ChecksumValue)

	list := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{if not .Main}}pkg:golang/{{.Path}}@{{.Version}}{{end}}{{end}}", "acsauth/handler")
	out, err = list.Output()
	require.NoError(t, err)
	var refs []string
	for _, p := range d.Packages[1:] {
		refs = append(refs, p.ExternalRefs[0].ReferenceLocator)
	}
	for _, want := range strings.Fields(string(out)) {
		assert.Contains(t, refs, want)
	}
	assert.Contains(t, refs[0], "pkg:golang/stdlib@1.")
	ids := map[string]bool{}
	for _, p := range d.Packages {
		assert.False(t, ids[p.SPDXID], p.SPDXID)
		ids[p.SPDXID] = true
	}
	assert.Len(t, d.Relationships, len(d.Packages))
}

func TestWhatIsNoGoProgramIsRefused(t *testing.T) {
	assert.Error(t, run("main.go", time.Now(), &bytes.Buffer{}))
	assert.Error(t, run("missing", time.Now(), &bytes.Buffer{}))
}
