// Package azurite runs Microsoft's storage emulator for tests: a real table
// service on loopback, ended with the test.
//
// Start with Start. Azurite is an npm package, installed by package node. It is
// no forecast of Azure: it has one thread, never throttles, and believes any
// bearer token of the right shape.
package azurite

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"acsauth/internal/child"
	"acsauth/internal/freeport"
	"acsauth/internal/node"
)

// version is pinned: later ones need Node.js 22 and are twice as large and slow.
const version = "3.35.0"

// variable names an azurite-table to use in place of the installed one: a
// program, or a .js file for node.
const variable = "ACSAUTH_AZURITE"

// The account that every Azurite has. The key is printed in its documentation:
// https://learn.microsoft.com/azure/storage/common/storage-connect-azurite
const (
	Account = "devstoreaccount1"
	Key     = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)

const (
	startTimeout = 60 * time.Second
	stopTimeout  = 6 * time.Second
	attempts     = 3 // another process may take the free port first
)

// Options say how to run it. The zero value is http, in memory.
type Options struct {
	// CertFile and KeyFile, both in PEM, make it speak https and accept bearer
	// tokens beside the key. Of a token it checks the times, the audience and
	// that the issuer begins with https://sts.windows.net/: not the signature.
	CertFile, KeyFile string
	// Dir keeps the data; without it they are kept in memory.
	Dir string
}

// Instance is a running Azurite.
type Instance struct {
	Endpoint         string // "http://127.0.0.1:<port>/devstoreaccount1", or https
	ConnectionString string // with Account, Key and Endpoint
}

// Start runs Azurite until t ends. That costs about a second: start it in a test
// that holds the others as subtests, and use a table of its own in each. Without
// Node.js and npm it skips the test, or fails it where CI=true.
func Start(t testing.TB, o Options) Instance {
	t.Helper()
	command := find(t)
	var err error
	for range attempts {
		var instance Instance
		if instance, err = start(t, command, o); err == nil {
			return instance
		}
	}
	t.Fatalf("start Azurite: %v", err)
	return Instance{}
}

func start(t testing.TB, command []string, o Options) (Instance, error) {
	port, err := freeport.Find() // Azurite does not tell which one it takes by itself
	if err != nil {
		return Instance{}, err
	}
	args := append(command[1:len(command):len(command)],
		"--silent", "--disableTelemetry", "--tableHost", "127.0.0.1", "--tablePort", strconv.Itoa(port))
	if o.Dir != "" {
		args = append(args, "--location", o.Dir)
	} else {
		args = append(args, "--inMemoryPersistence")
	}
	scheme := "http"
	if o.CertFile != "" {
		scheme = "https"
		args = append(args, "--oauth", "basic", "--cert", o.CertFile, "--key", o.KeyFile)
	}
	cmd := exec.Command(command[0], args...)
	cmd.Dir = t.TempDir() // it writes where it stands
	output := &watch{text: []byte("successfully started"), seen: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = output, output

	exited, err := child.Start(cmd)
	if err != nil {
		return Instance{}, err
	}
	timeout := time.NewTimer(startTimeout)
	defer timeout.Stop()
	select {
	case <-output.seen:
	case err := <-exited:
		return Instance{}, fmt.Errorf("it ended before it was ready: %w: %s", err, output)
	case <-timeout.C:
		stop(cmd, exited)
		return Instance{}, fmt.Errorf("not ready within %v: %s", startTimeout, output)
	}
	t.Cleanup(func() { stop(cmd, exited) })

	endpoint := fmt.Sprintf("%s://127.0.0.1:%d/%s", scheme, port, Account)
	return Instance{
		Endpoint: endpoint,
		ConnectionString: fmt.Sprintf("DefaultEndpointsProtocol=%s;AccountName=%s;AccountKey=%s;TableEndpoint=%s;",
			scheme, Account, Key, endpoint),
	}, nil
}

// find returns the command that runs Azurite's table service.
func find(t testing.TB) []string {
	t.Helper()
	if path := os.Getenv(variable); path != "" {
		if filepath.Ext(path) != ".js" {
			return []string{path}
		}
		return []string{node.Path(t), path}
	}
	program := node.Path(t)
	dir := node.Install(t, "azurite-"+version, nil, "install", "--ignore-scripts", "azurite@"+version)
	// The script itself, not its link in .bin, which on Windows is a batch file
	// that would not pass a signal on.
	return []string{program, filepath.Join(dir, "node_modules", "azurite", "dist", "src", "table", "main.js")}
}

// stop asks with an interrupt, the one signal on which Azurite writes its data.
func stop(cmd *exec.Cmd, exited <-chan error) {
	timeout := time.NewTimer(stopTimeout)
	defer timeout.Stop()
	if cmd.Process.Signal(os.Interrupt) == nil {
		select {
		case <-exited:
			return
		case <-timeout.C:
		}
	}
	_ = cmd.Process.Kill() // no interrupts on Windows
	<-exited
}

// watch keeps what is written to it and closes seen when a text is among it.
type watch struct {
	mu   sync.Mutex
	all  []byte
	text []byte
	seen chan struct{}
	done bool
}

func (w *watch) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = append(w.all, p...)
	if !w.done && bytes.Contains(w.all, w.text) {
		w.done = true
		close(w.seen)
	}
	return len(p), nil
}

func (w *watch) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return string(w.all)
}
