package azurite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// version is pinned: later ones need Node.js 22 and are twice as large and slow.
const version = "3.35.0"

// variable names an azurite-table to use in place of the installed one: a
// program, or a .js file for node.
const variable = "ACSAUTH_AZURITE"

const (
	installTimeout = 4 * time.Minute
	// A lock that nobody has let go for this long is that of a dead process.
	lockExpiry = installTimeout + time.Minute
	lockPoll   = 200 * time.Millisecond
)

// find returns the command that runs Azurite's table service. It installs the
// npm package once, below the user's cache folder.
func find(t testing.TB) []string {
	t.Helper()
	if path := os.Getenv(variable); path != "" {
		if filepath.Ext(path) != ".js" {
			return []string{path}
		}
		return []string{lookUp(t, "node"), path}
	}
	node := lookUp(t, "node")
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatalf("install Azurite: %v: set %s to an azurite-table", err, variable)
	}
	dir := filepath.Join(cache, "acsauth", "azurite-"+version)
	if !exists(dir) {
		npm := lookUp(t, "npm")
		if err := installOnce(dir, func(dir string) error { return install(npm, dir) }); err != nil {
			t.Fatalf("install Azurite: %v", err)
		}
	}
	// The script itself, not its link in .bin, which on Windows is a batch file
	// that would not pass a signal on.
	return []string{node, filepath.Join(dir, "node_modules", "azurite", "dist", "src", "table", "main.js")}
}

// lookUp skips the test without the program; in CI, where a skip would go
// unnoticed, it fails.
func lookUp(t testing.TB, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err == nil {
		return path
	}
	const advice = "%s is not on PATH: install Node.js 20 or later with npm to run the tests on Azurite"
	if os.Getenv("CI") == "true" {
		t.Fatalf(advice, program)
	}
	t.Skipf(advice, program)
	return ""
}

func install(npm, dir string) error {
	ctx, cancel := context.WithTimeout(context.Background(), installTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, npm, "install", "--prefix", dir, "azurite@"+version, "--no-audit", "--no-fund")
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("npm: %w: %s", err, strings.TrimSpace(string(output)))
	}
	return nil
}

// installOnce fills dir by way of a folder beside it, so that dir is there whole
// or not at all. The lock only saves the tests of other packages the work: two
// that install at once end well too.
func installOnce(dir string, install func(dir string) error) error {
	parent := filepath.Dir(dir)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return err
	}
	unlock, err := lock(dir + ".lock")
	if err != nil {
		return err
	}
	defer unlock()
	if exists(dir) {
		return nil
	}
	temp, err := os.MkdirTemp(parent, "installing-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	if err := install(temp); err != nil {
		return err
	}
	if err := os.Rename(temp, dir); err != nil && !exists(dir) {
		return err
	}
	return nil
}

func lock(path string) (unlock func(), err error) {
	poll := time.NewTicker(lockPoll)
	defer poll.Stop()
	for {
		file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
		if err == nil {
			return func() { _ = os.Remove(path) }, file.Close()
		}
		if !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		if info, err := os.Stat(path); err == nil && time.Since(info.ModTime()) > lockExpiry {
			_ = os.Remove(path)
			continue
		}
		<-poll.C
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
