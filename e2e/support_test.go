// Package e2e proves the service and its local cloud with official clients: npm
// packages of Microsoft's, and Chromium, which know nothing of either.
//
// Each script (*.mjs) is a test of its own for node:test; a Go test starts what
// it talks to, says in its environment where that is, and runs it. Package node
// says what happens where Node.js is missing, chromium where that is.
package e2e

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"acsauth"
	"acsauth/internal/localcloud"
	"acsauth/internal/localcloud/entraid"
	"acsauth/internal/localcloud/funchost"
	"acsauth/internal/node"
)

// scriptTimeout is far above what any script takes.
const scriptTimeout = 4 * time.Minute

// deleted names the functions of the hero samples whose folders this checkout has
// deleted.
func deleted() (names []string) {
	for _, name := range []string{"user", "token"} {
		if _, err := fs.Stat(acsauth.AppFolder, name); err != nil {
			names = append(names, name)
		}
	}
	return names
}

// packages installs the npm packages of this folder and returns where they are.
func packages(t testing.TB) string {
	t.Helper()
	return install(t, "e2e", ".")
}

// install does so for the folder from, under a name.
func install(t testing.TB, name, from string) string {
	t.Helper()
	node.Path(t) // skips without Node.js even where they are installed
	files := map[string][]byte{}
	hash := sha256.New()
	for _, name := range []string{"package.json", "package-lock.json"} {
		content, err := os.ReadFile(filepath.Join(from, name))
		require.NoError(t, err)
		files[name] = content
		_, _ = hash.Write(content)
	}
	return node.Install(t, name+"-"+hex.EncodeToString(hash.Sum(nil)[:8]), files, "ci", "--ignore-scripts")
}

// workspace copies the files that match pattern to a folder of its own below
// that of packages, where Node.js finds them.
func workspace(t testing.TB, packages, pattern string) string {
	t.Helper()
	dir, err := os.MkdirTemp(packages, "run-")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	files, err := filepath.Glob(pattern)
	require.NoError(t, err)
	for _, file := range files {
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, filepath.Base(file)), content, 0o600))
	}
	return dir
}

// runScript runs one of the scripts here with env added to its environment.
func runScript(t testing.TB, name string, env ...string) {
	t.Helper()
	dir := workspace(t, packages(t), "*.mjs")
	env = append([]string{"NO_PROXY=localhost,127.0.0.1", "no_proxy=localhost,127.0.0.1"}, env...)
	node.Run(t, dir, env, scriptTimeout, name)
}

// chromium is what a script needs to start the browser: where it is, and the key
// of the one certificate that it is to trust, that of cloud.
func chromium(t testing.TB, cloud *localcloud.Cloud) []string {
	t.Helper()
	resp, err := cloud.Client().Get(cloud.EntraURL)
	require.NoError(t, err)
	_ = resp.Body.Close()
	key := sha256.Sum256(resp.TLS.PeerCertificates[0].RawSubjectPublicKeyInfo)
	return append(browser(t), "TRUSTED_KEY="+base64.StdEncoding.EncodeToString(key[:]))
}

// browser says where Chromium is.
func browser(t testing.TB) []string {
	t.Helper()
	path := os.Getenv("ACSAUTH_CHROMIUM")
	if path == "" {
		path = node.Program(t, "install Chromium, or set ACSAUTH_CHROMIUM to the program of one",
			"chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
	}
	return []string{"CHROMIUM=" + path}
}

// stack is the service as the Functions host runs it, in front of the local
// cloud, and a site whose origin may call it.
type stack struct {
	cloud *localcloud.Cloud
	URL   string // of the service
	site  string // URL of the pages
}

// start serves pages as the site. The settings are added to those of the cloud.
func start(t testing.TB, pages http.Handler, settings ...string) *stack {
	t.Helper()
	s := &stack{}
	dir := t.TempDir()
	var err error
	s.cloud, err = localcloud.Start(localcloud.Options{Dir: dir})
	require.NoError(t, err)
	t.Cleanup(s.cloud.Close)

	s.site = listen(t, pages)
	settings = append([]string{"IDENTITY_STORE=local", "LOCAL_STORE_PATH=" + filepath.Join(dir, "identities.db")}, settings...)
	host, err := funchost.Start(t.Context(), funchost.Config{
		Root:       "..",
		Executable: buildHandler(t, dir),
		Env:        append(s.cloud.Settings(), settings...),
		CORS:       funchost.CORS{AllowedOrigins: []string{s.site}},
	})
	require.NoError(t, err)
	t.Cleanup(host.Stop)
	s.URL = listen(t, host)
	return s
}

// listen serves until the test ends. Its host is localhost, which browsers trust
// as they trust https.
func listen(t testing.TB, handler http.Handler) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	u, err := url.Parse(server.URL)
	require.NoError(t, err)
	return "http://localhost:" + u.Port()
}

func buildHandler(t testing.TB, dir string) string {
	t.Helper()
	exe := filepath.Join(dir, "handler")
	if runtime.GOOS == "windows" {
		exe += ".exe"
	}
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", exe, "acsauth/handler").CombinedOutput()
	require.NoError(t, err, string(out))
	return exe
}

func (s *stack) settings() map[string]string {
	settings := map[string]string{}
	for _, pair := range s.cloud.Settings() {
		name, value, _ := strings.Cut(pair, "=")
		settings[name] = value
	}
	return settings
}

// environ is what every script is told.
func (s *stack) environ() []string {
	settings := s.settings()
	return []string{
		"NODE_EXTRA_CA_CERTS=" + s.cloud.CACertFile,
		"SERVICE=" + s.URL + "/api",
		"SITE=" + s.site,
		"ENTRA=" + s.cloud.EntraURL,
		"ACS=" + s.cloud.ACSURL,
		"GRAPH=" + s.cloud.GraphURL,
		"ACS_CONNECTION_STRING=" + settings["ACS_CONNECTION_STRING"],
		"TENANT_ID=" + entraid.SampleTenantID,
		"API_CLIENT_ID=" + localcloud.APIClientID,
		"API_SCOPE=" + localcloud.APIScope,
		"CLIENT_SECRET=" + settings["ENTRA_CLIENT_SECRET"], // of the API
		"CLIENT_ID=" + localcloud.SPAClientID,
		"DESKTOP_CLIENT_ID=" + localcloud.DesktopClientID,
	}
}
