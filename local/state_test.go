package main

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"acsauth/internal/localcloud"
	"acsauth/internal/localcloud/entraid"
)

// getUser returns the identity that the service has for the bearer of a token.
func getUser(t *testing.T, service, token string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, service+"/api/getUser", nil)
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	var body struct {
		User struct{ CommunicationUserID string }
	}
	require.NoError(t, json.Unmarshal(text, &body), string(text))
	require.NotEmpty(t, body.User.CommunicationUserID, string(text))
	return body.User.CommunicationUserID
}

func TestARestartGoesOnWhereTheLastRunStopped(t *testing.T) {
	o := options{state: t.TempDir(), entraPort: notGiven, acsPort: notGiven, graphPort: notGiven}
	first, err := startStack(t.Context(), o, nil)
	require.NoError(t, err)
	token, err := first.cloud.SignIn(t.Context(), entraid.SampleUsers()[0], localcloud.APIScope)
	require.NoError(t, err)
	id := getUser(t, first.URL, token)
	first.stop()

	if runtime.GOOS != "windows" {
		require.NoError(t, filepath.WalkDir(o.state, func(path string, d os.DirEntry, err error) error {
			require.NoError(t, err)
			info, err := d.Info()
			require.NoError(t, err)
			assert.Zero(t, info.Mode().Perm()&0o077, "%s is open to others: %v", path, info.Mode())
			return nil
		}))
	}

	second, err := startStack(t.Context(), o, nil)
	require.NoError(t, err)
	defer second.stop()
	assert.Equal(t, first.cloud.EntraURL, second.cloud.EntraURL)
	assert.Equal(t, first.cloud.Secrets(), second.cloud.Secrets())
	assert.Equal(t, []string{id}, second.cloud.ACS.Identities())
	assert.Equal(t, id, getUser(t, second.URL, token), "the old token is good, and leads to the same identity")
	before, err := os.ReadFile(first.cloud.CACertFile)
	require.NoError(t, err)
	assert.Contains(t, string(before), "BEGIN CERTIFICATE")
}

func TestAKilledRunLosesNothingThatHadTime(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux ties the handler's life to the host's")
	}
	state := t.TempDir()
	exe := buildLocal(t)
	startIt := func() (kill func(), curl []string) {
		cmd := exec.CommandContext(t.Context(), exe, "-port", "0", "-state", state)
		cmd.Dir = ".."
		out, printed := lines(t)
		cmd.Stdout = out
		require.NoError(t, cmd.Start())
		for _, line := range waitForLine(t, printed, "Ctrl-C stops everything") {
			if m := curlLine.FindStringSubmatch(line); m != nil {
				curl = m
			}
		}
		return func() { _ = cmd.Process.Signal(syscall.SIGKILL); _ = cmd.Wait() }, curl
	}
	kill, curl := startIt()
	token := strings.TrimPrefix(curl[2], "Bearer ")
	id := getUser(t, strings.TrimSuffix(curl[1], "/api/getToken"), token)
	require.Eventually(t, func() bool {
		text, err := os.ReadFile(filepath.Join(state, stateFile))
		return err == nil && strings.Contains(string(text), id)
	}, time.Minute, 10*time.Millisecond)
	kill()

	kill, curl = startIt()
	defer kill()
	assert.Equal(t, id, getUser(t, strings.TrimSuffix(curl[1], "/api/getToken"), token))
}

func TestStateThatCannotBeUsedIsNamed(t *testing.T) {
	good := t.TempDir()
	s, err := startStack(t.Context(), options{state: good}, nil)
	require.NoError(t, err)
	s.stop()
	text, err := os.ReadFile(filepath.Join(good, stateFile))
	require.NoError(t, err)

	replace := func(old, replacement string) string {
		changed := regexp.MustCompile(old).ReplaceAllString(string(text), replacement)
		require.NotEqual(t, string(text), changed, old)
		return changed
	}
	for name, row := range map[string]struct{ text, want string }{
		"nothing at all":        {"", "it is no JSON"},
		"no JSON":               {"not JSON", "it is no JSON"},
		"the first half":        {string(text[:len(text)/2]), "it is no JSON"},
		"somebody else's":       {`{"name":"app","version":"1.0.0"}`, "it is no JSON of the form expected"},
		"something else's":      {`{"kind":"something else"}`, "it does not say that it is"},
		"null":                  {`null`, "it does not say that it is"},
		"of a later program":    {replace(`"Version": 1`, `"Version": 99`), "expected version 1, got 99"},
		"without a certificate": {replace(`"CACertificate": "[^"]*"`, `"CACertificate": ""`), "certificate authority"},
		"with a broken key":     {replace(`"CAKey": "[^"]*"`, `"CAKey": "x"`), "certificate authority"},
		"without Entra ID":      {replace(`"Entra": \{`, `"Entra2": {`), "Entra ID"},
	} {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, lockFile), nil, 0o600))
		require.NoError(t, os.WriteFile(filepath.Join(dir, stateFile), []byte(row.text), 0o600))
		_, err := startStack(t.Context(), options{state: dir}, nil)
		if assert.ErrorContains(t, err, row.want, name) {
			assert.Contains(t, err.Error(), filepath.Join(dir, stateFile), name)
		}
		left, err := os.ReadFile(filepath.Join(dir, stateFile))
		require.NoError(t, err)
		assert.Equal(t, row.text, string(left), "%s: nothing is written over it", name)
	}
}
