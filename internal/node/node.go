// Package node runs Node.js programs for tests: it installs npm packages once,
// below the user's cache folder, and has the programs end with the test.
//
// Start with Install and Run. Program finds what they need on PATH. A developer
// without it is told how to get it and the test is skipped; where CI=true, where
// a skip would go unnoticed, the test fails.
package node

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"testing"
	"time"

	"acsauth/internal/child"
)

// advice says what to do when Node.js or npm is missing.
const advice = "install Node.js 20 or later with npm"

// Path returns where Node.js is.
func Path(t testing.TB) string { return Program(t, advice, "node") }

// Program returns the path of the first of names that is on PATH. advice says
// how to get it.
func Program(t testing.TB, advice string, names ...string) string {
	t.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is not on PATH: %s", names[0], advice)
	}
	t.Skipf("%s is not on PATH: %s to run this test", names[0], advice)
	return ""
}

// stopTimeout is how long a program has after the interrupt before it is killed.
const stopTimeout = 5 * time.Second

// Run runs a script, a path and arguments, in a folder, with env added to this
// process's environment, and logs what it prints. It fails the test when the
// script fails, or is not done within the limit.
func Run(t testing.TB, dir string, env []string, limit time.Duration, script ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, Path(t), script...)
	cmd.Dir = dir
	// What it leaves there goes with the test.
	cmd.Env = append(os.Environ(), "TMPDIR="+t.TempDir())
	cmd.Env = append(cmd.Env, env...)
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = stopTimeout
	exited, err := child.Start(cmd)
	if err == nil {
		err = <-exited
	}
	t.Logf("%s\n%s", script[0], &output)
	if ctx.Err() != nil {
		t.Errorf("%s was not done within %v", script[0], limit)
	} else if err != nil {
		t.Errorf("%s: %v", script[0], err)
	}
}
