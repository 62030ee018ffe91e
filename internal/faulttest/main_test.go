// Package faulttest disturbs the real thing and then counts. It runs the handler
// as processes of its own on loopback, puts a faulty wire before the ACS stand-in
// and before the table, kills the processes without warning, and in the end holds
// what ACS has, what the store has and what the clients were told against each
// other. It has tests alone.
//
// Start with world, which is one such set-up, and audit, which says what must be
// true after every run:
//
//   - each user has one identity, and no identity belongs to two;
//   - each identity that ACS has belongs to a user, but for those whose making was
//     never answered or whose maker was killed before it could write: those are
//     counted and shown;
//   - a mapping to an identity that ACS does not know heals at the next call;
//   - an erasure that was answered with 204 is done, at the latest one sweep after
//     the faults have ended.
//
// Every answer is held against openapi.yaml and must be in time.
//
// FAULTS_SEED repeats the choices of an earlier run, as far as processes that run
// at once let them repeat. FAULTS_SECONDS is how long the long runs take, 15 by
// default.
package faulttest

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"testing"
	"time"

	"acsauth/internal/localcloud"
)

// What all tests share. A run of its own has its users, its store and its wires.
var (
	cloud      *localcloud.Cloud
	executable string        // the handler
	seed       uint64        // of all random choices
	runTime    time.Duration // of the long runs
)

func TestMain(m *testing.M) {
	flag.Parse()
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	seed, err = strconv.ParseUint(env("FAULTS_SEED", strconv.FormatInt(time.Now().UnixNano()%1e6, 10)), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("FAULTS_SEED: %w", err)
	}
	seconds, err := strconv.Atoi(env("FAULTS_SECONDS", "15"))
	if err != nil {
		return 0, fmt.Errorf("FAULTS_SECONDS: %w", err)
	}
	runTime = time.Duration(seconds) * time.Second
	if err := flag.Set("test.parallel", "3"); err != nil { // they wait more than they work
		return 0, err
	}
	dir, err := os.MkdirTemp("", "acsauth-faulttest-")
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if executable, err = build(dir); err != nil {
		return 0, err
	}
	if cloud, err = localcloud.Start(localcloud.Options{Dir: dir}); err != nil {
		return 0, err
	}
	defer cloud.Close()
	fmt.Printf("FAULTS_SEED=%d FAULTS_SECONDS=%d\n", seed, seconds)
	return m.Run(), nil
}

func env(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return otherwise
}

// build makes the handler, with the race detector when the tests have it.
func build(dir string) (string, error) {
	path := filepath.Join(dir, "handler")
	if runtime.GOOS == "windows" {
		path += ".exe"
	}
	args := []string{"build", "-o", path}
	info, _ := debug.ReadBuildInfo()
	for _, s := range info.Settings {
		if s.Key == "-race" && s.Value == "true" {
			args = append(args, "-race")
		}
	}
	if out, err := exec.Command("go", append(args, "acsauth/handler")...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the handler: %w\n%s", err, out)
	}
	return path, nil
}

// random returns the numbers of one actor: the same for the same seed.
func random(actor uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, actor)) }
