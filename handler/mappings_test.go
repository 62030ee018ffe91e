package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"acsauth/internal/azurite"
)

// mappingsOf runs "handler mappings".
func mappingsOf(environ []string, stdin string, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	p := Program{Args: append([]string{"mappings"}, args...), Environ: environ, Stdin: strings.NewReader(stdin), Stdout: &out, Stderr: &errs}
	code = p.Run(context.Background())
	return code, out.String(), errs.String()
}

// withUsers returns the settings of a file store that has n mappings.
func withUsers(t *testing.T, n int) []string {
	t.Helper()
	environ := settings(t, nil)
	h := startWith(t, environ)
	for range n {
		require.Equal(t, 201, h.do(request{path: "/api/getUser", token: tokenFor(t, newUser(t))}).status)
	}
	require.Equal(t, 0, h.stop())
	return environ
}

func TestMappingsMoveFromOneStoreToAnother(t *testing.T) {
	file := withUsers(t, 20)
	table := settings(t, map[string]string{"IDENTITY_STORE": "tables", "LOCAL_STORE_PATH": "",
		"TABLES_CONNECTION_STRING": azurite.Start(t, azurite.Options{}).ConnectionString})

	code, lines, errs := mappingsOf(file, "", "export")
	require.Equal(t, 0, code, errs)
	assert.Equal(t, 20, strings.Count(lines, "\n"))
	assert.Equal(t, "exported 20 mappings and 0 erasures; 0 could not be read\n", errs)

	code, out, errs := mappingsOf(table, lines, "import", "-dry-run")
	assert.Equal(t, 0, code)
	assert.Empty(t, out)
	assert.Equal(t, "would import 20 mappings and 0 erasures; 0 mappings were there, 0 in conflict, 0 lines refused\n", errs)
	code, _, errs = mappingsOf(table, lines, "import")
	assert.Equal(t, 0, code)
	assert.Equal(t, "imported 20 mappings and 0 erasures; 0 mappings were there, 0 in conflict, 0 lines refused\n", errs)
	code, again, _ := mappingsOf(table, "", "export")
	assert.Equal(t, 0, code)
	assert.Equal(t, lines, again)

	first := lines[:strings.Index(lines, "\n")+1]
	key := field(first, "tenantId") + ":" + field(first, "objectId")
	code, rest, _ := mappingsOf(table, "", "export", "-after", key)
	assert.Equal(t, 0, code)
	assert.Equal(t, lines, first+rest)

	conflict := strings.Replace(lines, field(first, "acsUserId"), "8:acs:somebody_else", 1)
	code, _, errs = mappingsOf(table, conflict+"nonsense\n", "import")
	assert.Equal(t, 1, code)
	assert.Contains(t, errs, "line 1: the user has another ACS identity here")
	assert.Contains(t, errs, "line 21: is not a JSON object")
	assert.Contains(t, errs, "imported 0 mappings and 0 erasures; 19 mappings were there, 1 in conflict, 1 lines refused\n")

	other := settings(t, map[string]string{"ACS_CONNECTION_STRING": "endpoint=https://fabrikam.example;accesskey=a2V5"})
	code, _, errs = mappingsOf(other, lines, "import")
	assert.Equal(t, 1, code)
	assert.Contains(t, errs, "line 1: belongs to another ACS resource than fabrikam.example")
}

// field is the value of a member that is text.
func field(line, name string) string {
	_, rest, _ := strings.Cut(line, `"`+name+`":"`)
	value, _, _ := strings.Cut(rest, `"`)
	return value
}

func TestMappingsGoToAFileOfTheirOwn(t *testing.T) {
	environ := withUsers(t, 2)
	path := filepath.Join(t.TempDir(), "backup.ndjson")
	code, _, errs := mappingsOf(environ, "", "export", "-file", path, "-dry-run")
	assert.Equal(t, 0, code, errs)
	assert.NoFileExists(t, path)
	code, out, errs := mappingsOf(environ, "", "export", "-file", path)
	require.Equal(t, 0, code, errs)
	assert.Empty(t, out)
	if runtime.GOOS != "windows" {
		info, err := os.Stat(path)
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	}
	code, _, errs = mappingsOf(environ, "", "export", "-file", path)
	assert.Equal(t, 1, code)
	assert.Contains(t, errs, "exists", "no backup is written over")
	code, _, errs = mappingsOf(settings(t, nil), "", "import", "-file", path)
	assert.Equal(t, 0, code)
	assert.Contains(t, errs, "imported 2 mappings")
}

func TestMappingsSaysWhatIsWrong(t *testing.T) {
	environ := settings(t, nil)
	for _, row := range []struct {
		args []string
		code int
		says string
	}{
		{nil, 2, "say export or import"},
		{[]string{"list"}, 2, `there is no "list"`},
		{[]string{"export", "backup.ndjson"}, 2, "goes behind -file"},
		{[]string{"export", "-after", "5"}, 2, "-after is not a user"},
		{[]string{"import", "-after", "x"}, 2, "-after is not a number"},
		{[]string{"import", "-after", "-1"}, 2, "-after is not a number"},
		{[]string{"import", "-quickly"}, 2, "quickly"},
		{[]string{"import", "-file", "/no/such/file"}, 1, "no such file"},
		{[]string{"export"}, 1, "no identity store to export"},
	} {
		code, out, errs := mappingsOf(environ, "", row.args...)
		assert.Equal(t, row.code, code, row.args)
		assert.Contains(t, errs, row.says)
		assert.Empty(t, out)
	}
	code, out, _ := mappingsOf(nil, "", "-help")
	assert.Equal(t, 0, code)
	assert.Contains(t, out, "mappings export")

	down := settings(t, map[string]string{"IDENTITY_STORE": "tables", "TABLES_CONNECTION_STRING": "TableEndpoint=http://127.0.0.1:1/x;AccountName=acc;AccountKey=a2V5"})
	code, _, errs := mappingsOf(down, "", "export")
	assert.Equal(t, 1, code)
	assert.Contains(t, errs, "connect")

	startWith(t, environ)
	code, _, errs = mappingsOf(environ, "", "export")
	assert.Equal(t, 1, code)
	assert.Contains(t, errs, "another process has it open")
}

func guidNumber(n int) string { return fmt.Sprintf("e0000000-0000-4000-8000-%012d", n) }

func TestAPipeThatCloses(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no signal tells of it there")
	}
	environ := withUsers(t, 1)
	_, line, _ := mappingsOf(environ, "", "export")
	var many strings.Builder
	for n := range 3000 { // more than a pipe holds
		many.WriteString(strings.Replace(strings.Replace(line, field(line, "objectId"), guidNumber(n), 1), field(line, "acsUserId"), "8:acs:r_"+guidNumber(n), 1))
	}
	code, _, errs := mappingsOf(environ, many.String(), "import")
	require.Equal(t, 0, code, errs)

	exe, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(exe, "mappings", "export")
	cmd.Env = append(environ, asHandler+"=1")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	_, err = io.ReadFull(out, make([]byte, 10))
	require.NoError(t, err)
	require.NoError(t, out.Close())
	err = cmd.Wait()
	require.Error(t, err)
	assert.Contains(t, err.Error(), "broken pipe")
	assert.Empty(t, stderr.String(), "it ends as any filter does")

	if disk, err := os.OpenFile("/dev/full", os.O_WRONLY, 0); err == nil {
		defer disk.Close()
		var errs bytes.Buffer
		p := Program{Args: []string{"mappings", "export"}, Environ: environ, Stdout: disk, Stderr: &errs}
		assert.Equal(t, 1, p.Run(t.Context()))
		assert.Contains(t, errs.String(), "no space left on device")
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stopped bytes.Buffer
	p := Program{Args: []string{"mappings", "import"}, Environ: environ, Stdin: strings.NewReader(many.String()), Stdout: io.Discard, Stderr: &stopped}
	assert.Equal(t, 1, p.Run(ctx))
	assert.Contains(t, stopped.String(), "stopped early. For the rest: -after 0\nacsauth: interrupted\n")
}
