package node

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

const (
	installTimeout = 4 * time.Minute
	// A lock that nobody has let go for this long is that of a dead process.
	lockExpiry = installTimeout + time.Minute
	lockPoll   = 200 * time.Millisecond
)

// Install returns a folder of the given name, below the user's cache folder, that
// holds files and what npm, called there with args, has made of them. It does
// that once: another content has to have another name.
func Install(t testing.TB, name string, files map[string][]byte, args ...string) (dir string) {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatalf("install npm packages: %v", err)
	}
	dir = filepath.Join(cache, "acsauth", name)
	if exists(dir) {
		return dir
	}
	npm := Program(t, advice, "npm")
	err = installOnce(dir, func(dir string) error {
		for name, content := range files {
			if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
				return err
			}
		}
		return runNPM(npm, dir, args)
	})
	if err != nil {
		t.Fatalf("install npm packages: %v", err)
	}
	return dir
}

func runNPM(npm, dir string, args []string) error {
	ctx, cancel := context.WithTimeout(context.Background(), installTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, npm, append(args, "--prefix", dir, "--no-audit", "--no-fund")...)
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
