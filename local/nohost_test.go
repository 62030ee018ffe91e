package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"acsauth/internal/localcloud/funchost"
)

// startStandIns is what -no-host does, with root for the app's folder.
func startStandIns(t *testing.T, root string, o options) *standIns {
	t.Helper()
	s := &standIns{}
	t.Cleanup(s.stop)
	require.NoError(t, s.start(t.Context(), o, root))
	require.NoError(t, s.writeSettings(root))
	return s
}

// app is a folder with what `func start` finds in this one.
func app(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	require.NoError(t, os.CopyFS(filepath.Join(root, "getUser"), os.DirFS("../getUser")))
	require.NoError(t, os.CopyFS(filepath.Join(root, "sweepIdentities"), os.DirFS("../sweepIdentities")))
	text, err := os.ReadFile("../host.json")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(root, "host.json"), text, 0o600))
	return root
}

func TestTheSettingsForFuncStartPointAtTheStandIns(t *testing.T) {
	root := app(t)
	s := startStandIns(t, root, options{})
	path := filepath.Join(root, settingsFile)
	info, err := os.Stat(path)
	require.NoError(t, err)
	if runtime.GOOS != "windows" {
		assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	}
	var file struct {
		IsEncrypted bool
		Values      map[string]string
	}
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &file))
	assert.Equal(t, "custom", file.Values["FUNCTIONS_WORKER_RUNTIME"])
	assert.Equal(t, "true", file.Values["AzureWebJobs.sweepIdentities.Disabled"])

	// What `func start` would do: the values are the handler's environment.
	env := append(os.Environ(), "UNUSED=")
	for name, value := range file.Values {
		env = append(env, name+"="+value)
	}
	exe := filepath.Join(t.TempDir(), "handler")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", exe, "acsauth/handler").CombinedOutput()
	require.NoError(t, err, string(out))
	host, err := funchost.Start(t.Context(), funchost.Config{Root: "..", Executable: exe, Env: env})
	require.NoError(t, err)
	defer host.Stop()
	check := exec.CommandContext(t.Context(), exe, "check")
	check.Env = append(env, "LOCAL_STORE_PATH="+filepath.Join(t.TempDir(), "store.db"))
	check.Dir = ".."
	out, err = check.CombinedOutput()
	assert.NoError(t, err, string(out))

	s.stop()
	assert.NoFileExists(t, path, "its keys are worth nothing any more")
}

func TestSettingsThatAreThereStay(t *testing.T) {
	root := app(t)
	path := filepath.Join(root, settingsFile)
	require.NoError(t, os.WriteFile(path, []byte("mine"), 0o644))
	s := startStandIns(t, root, options{})
	var out bytes.Buffer
	s.printWelcome(&out)
	assert.Contains(t, out.String(), "There is a local.settings.json already")
	assert.Contains(t, out.String(), s.folder.file(settingsFile))
	s.stop()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, "mine", string(text))
}

func TestSettingsThatSomebodyChangedStay(t *testing.T) {
	root := app(t)
	s := startStandIns(t, root, options{})
	path := filepath.Join(root, settingsFile)
	require.NoError(t, os.WriteFile(path, []byte("changed"), 0o600))
	s.stop()
	assert.FileExists(t, path)
}

func TestNoHostPrintsHowToGoOn(t *testing.T) {
	s := startStandIns(t, app(t), options{})
	var out bytes.Buffer
	s.printWelcome(&out)
	for _, want := range []string{"NOT FOR PRODUCTION", "func start", s.URL, s.cloud.EntraURL, s.cloud.ACSURL, s.cloud.GraphURL} {
		assert.Contains(t, out.String(), want)
	}
	for _, secret := range s.cloud.Secrets() {
		assert.NotContains(t, out.String(), secret, "terminals are recorded")
	}
	for _, name := range []string{"NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"} {
		m := regexp.MustCompile(`export ` + name + `='(.*)'`).FindStringSubmatch(out.String())
		require.NotNil(t, m, name)
		assert.FileExists(t, m[1])
	}
	connection, err := os.ReadFile(s.folder.file(connectionFile))
	require.NoError(t, err)
	assert.True(t, strings.HasPrefix(string(connection), "endpoint="+s.cloud.ACSURL), "what clients parse")
}

// curl stands for any client that knows the certificate by what was printed.
func TestAnotherProgramTrustsTheStandInsByWhatWasPrinted(t *testing.T) {
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("there is no curl")
	}
	s := startStandIns(t, app(t), options{})
	cmd := exec.CommandContext(t.Context(), curl, "-sS", "--fail", s.cloud.EntraURL+"/common/v2.0/.well-known/openid-configuration")
	own := func(pair string) bool {
		return strings.HasPrefix(pair, "CURL_CA_BUNDLE=") || strings.HasPrefix(pair, "SSL_CERT_DIR=")
	}
	cmd.Env = append(slices.DeleteFunc(os.Environ(), own), "SSL_CERT_FILE="+s.cloud.CACertFile)
	out, err := cmd.CombinedOutput()
	assert.NoError(t, err, string(out))
}

func TestNoHostServesUntilItIsTold(t *testing.T) {
	if _, err := os.Stat(filepath.Join("..", settingsFile)); err == nil {
		t.Skip("there is a local.settings.json of somebody's")
	}
	out, printed := lines(t)
	var errs bytes.Buffer
	ctx, cancel := context.WithCancel(t.Context())
	exit := make(chan int, 1)
	go func() { exit <- run(ctx, []string{"-no-host", "-port", "0"}, out, &errs) }()
	waitForLine(t, printed, "Ctrl-C stops everything")
	cancel()
	assert.Equal(t, 0, <-exit)
	assert.Empty(t, errs.String())
	assert.NoFileExists(t, filepath.Join("..", settingsFile))
}
