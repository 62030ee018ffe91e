package main

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"acsauth/internal/localcloud"
	"acsauth/internal/localcloud/entraid"
	"acsauth/internal/localcloud/funchost"
)

// checkout copies what git has or would take of this checkout to a folder of
// its own.
func checkout(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	list := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	list.Dir = "../.."
	out, err := list.Output()
	require.NoError(t, err, "git needs a checkout")
	for name := range strings.SplitSeq(strings.Trim(string(out), "\x00"), "\x00") {
		b, err := os.ReadFile(filepath.Join("../..", name))
		if os.IsNotExist(err) {
			continue // deleted, and not committed yet
		}
		require.NoError(t, err)
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), b, 0o644))
	}
	return dir
}

// packaged runs the command inside a checkout and returns the zip.
func packaged(t *testing.T, dir string, args ...string) []byte {
	t.Helper()
	t.Chdir(dir)
	zipFile := filepath.Join(t.TempDir(), "app.zip")
	var out, errs bytes.Buffer
	require.NoError(t, run(t.Context(), append(args, "-o", zipFile), &out, &errs), errs.String())
	assert.Contains(t, out.String(), zipFile)
	b, err := os.ReadFile(zipFile)
	require.NoError(t, err)
	return b
}

// names lists the zip's entries after it has looked at their form.
func names(t *testing.T, b []byte) []string {
	t.Helper()
	r, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	require.NoError(t, err)
	var list []string
	for _, f := range r.File {
		list = append(list, f.Name)
		mode := fs.FileMode(0o644)
		if f.Name == "bin/handler" {
			mode = 0o755
		}
		assert.Equal(t, mode, f.Mode(), f.Name)
		assert.EqualValues(t, 3, f.CreatorVersion>>8, "%s: only entries made on Unix have a mode", f.Name)
		assert.Equal(t, packed, f.Modified.UTC(), f.Name)
	}
	return list
}

func TestTheSameSourcesMakeTheSameZip(t *testing.T) {
	one, two := checkout(t), checkout(t)
	first := packaged(t, one, "-version", "v1.2.3")
	require.NoError(t, os.RemoveAll(filepath.Join(one, "bin")))
	assert.True(t, bytes.Equal(first, packaged(t, one, "-version", "v1.2.3")), "built twice")
	assert.True(t, bytes.Equal(first, packaged(t, two, "-version", "v1.2.3")), "built in another folder")
	for name, value := range map[string]string{"TZ": "Asia/Tokyo", "GOFLAGS": "-tags=other", "GOEXPERIMENT": "jsonv2", "GOFIPS140": "latest", "GOAMD64": "v3", "CGO_ENABLED": "1"} {
		t.Setenv(name, value)
	}
	assert.True(t, bytes.Equal(first, packaged(t, two, "-version", "v1.2.3")), "built in another environment")
	assert.False(t, bytes.Equal(first, packaged(t, two, "-version", "v1.2.4")), "another version")
}

func TestThePackageHoldsWhatFuncPublishes(t *testing.T) {
	dir := checkout(t)
	got := names(t, packaged(t, dir))

	// What developers and builds leave lying about.
	for _, name := range []string{"dist/app.zip", "dist/app/host.json", ".azure/dev/.env", ".data/identities.db", "node_modules/a/index.js",
		"local.settings.json", "handler.test", "cpu.prof", ".vscode/settings.json", ".idea/a.xml", ".env", ".DS_Store", "e2e/a/function.json", "getToken/notes.md"} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o644))
	}
	git := exec.Command("git", "ls-files", "--others", "--exclude-from=.funcignore")
	git.Dir = dir
	require.NoError(t, exec.Command("git", "init", "-q", dir).Run())
	out, err := git.Output()
	require.NoError(t, err)
	assert.ElementsMatch(t, strings.Fields(string(out)), got)
	assert.Contains(t, got, "getToken/function.json")
}

func TestThePackageRunsUnderTheFunctionsHost(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the package is for Linux")
	}
	root := unpacked(t, packaged(t, checkout(t), "-arch", runtime.GOARCH, "-version", "v9.8.7"))
	out, err := exec.Command(filepath.Join(root, "bin", "handler"), "version").Output()
	require.NoError(t, err)
	assert.Contains(t, string(out), "acsauth v9.8.7 ")

	cloud, err := localcloud.Start(localcloud.Options{Dir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(cloud.Close)
	host, err := funchost.Start(t.Context(), funchost.Config{Root: root,
		Env: append(cloud.Settings(), "IDENTITY_STORE=local", "LOCAL_STORE_PATH="+filepath.Join(t.TempDir(), "identities.db"))})
	require.NoError(t, err)
	t.Cleanup(host.Stop)
	front := httptest.NewServer(host)
	defer front.Close()

	token, err := cloud.Entra.AccessToken(entraid.SampleUsers()[0], localcloud.SPAClientID, localcloud.APIScope)
	require.NoError(t, err)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, front.URL+"/api/getToken", nil)
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	var answer struct{ Token string }
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&answer))
	assert.Equal(t, http.StatusOK, resp.StatusCode)
	assert.NotEmpty(t, answer.Token)
}

// unpacked keeps the modes, as the Functions host does.
func unpacked(t *testing.T, b []byte) string {
	t.Helper()
	dir := t.TempDir()
	r, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	require.NoError(t, err)
	for _, f := range r.File {
		entry, err := f.Open()
		require.NoError(t, err)
		content, err := io.ReadAll(entry)
		require.NoError(t, err)
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, f.Name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, f.Name), content, f.Mode()))
	}
	return dir
}

func TestBothArchitecturesAreBuilt(t *testing.T) {
	dir := checkout(t)
	assert.NotEqual(t, packaged(t, dir, "-arch", "amd64", "-version", "v1"), packaged(t, dir, "-arch", "arm64", "-version", "v1"))
}

func TestAnIncompleteAppIsRefused(t *testing.T) {
	whole := fstest.MapFS{"bin/handler": {}, "host.json": {}, "getToken/function.json": {}}
	require.NoError(t, writeZip(&bytes.Buffer{}, whole))
	for name := range whole {
		app := fstest.MapFS{}
		for other, file := range whole {
			if other != name {
				app[other] = file
			}
		}
		assert.Error(t, writeZip(&bytes.Buffer{}, app), "without %s", name)
	}
}

func TestTheExecutableIsTheOneThatHostJSONNames(t *testing.T) {
	b, err := os.ReadFile("../../host.json")
	require.NoError(t, err)
	var host struct {
		CustomHandler struct {
			Description struct{ DefaultExecutablePath string }
		}
	}
	require.NoError(t, json.Unmarshal(b, &host))
	assert.Equal(t, executable, host.CustomHandler.Description.DefaultExecutablePath)
}

func TestWrongArguments(t *testing.T) {
	for _, args := range [][]string{{"-arch", "386"}, {"now"}, {"-nothing"}, {"-version", "a b"}} {
		var errs bytes.Buffer
		assert.Error(t, run(t.Context(), args, io.Discard, &errs), "%q", args)
	}
}
