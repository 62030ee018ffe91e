package e2e

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"acsauth/internal/localcloud/entraid"
	"acsauth/internal/node"
)

// The sample client, with other ports, for a user who has to prove more before
// the service may keep the mapping in Graph.
func TestTheSampleClient(t *testing.T) {
	dir := workspace(t, install(t, "client", "../client"), "../client/*.*")
	pages := http.NewServeMux()
	pages.Handle("/", http.FileServer(http.Dir(filepath.Join(dir, "dist"))))
	s := start(t, pages, "IDENTITY_STORE=graph")
	pages.HandleFunc("POST /knobs", func(w http.ResponseWriter, r *http.Request) {
		line, _ := io.ReadAll(r.Body)
		if _, err := s.cloud.Knobs.Turn(string(line)); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	})
	user := s.newUser(t, 7, entraid.Policy{StepUpRequired: true})

	config := filepath.Join(dir, "config.js")
	content, err := os.ReadFile(config)
	require.NoError(t, err)
	here := strings.NewReplacer("https://localhost:7443", s.cloud.EntraURL, "http://localhost:7071", s.URL).Replace(string(content))
	require.NoError(t, os.WriteFile(config, []byte(here), 0o600))
	node.Run(t, dir, nil, scriptTimeout, "build.mjs")
	env := append(s.environ(), chromium(t, s.cloud)...)
	runScript(t, "client.mjs", append(env, "USER="+user.ObjectID, "SCREENSHOTS="+os.Getenv("ACSAUTH_SCREENSHOTS"))...)
}
