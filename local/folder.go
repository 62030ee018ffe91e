package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

const (
	folderPrefix = "acsauth-local-" // of a temporary folder
	lockFile     = "lock"           // in each folder, locked for as long as it is in use
	stateFile    = "local-cloud.json"
	storeFile    = "identities.db" // the handler's
)

// folder is where a run keeps its files. It holds secrets: nobody else may look
// into it.
type folder struct {
	path string
	kept bool // with -state; else it goes when the run ends
	lock *os.File
}

// openFolder makes a temporary folder, or opens the one to keep state in.
func openFolder(state string) (*folder, error) {
	if state != "" {
		return openState(state)
	}
	removeLeftovers()
	path, err := os.MkdirTemp("", folderPrefix)
	if err != nil {
		return nil, err
	}
	f := &folder{path: path}
	if f.lock, err = lock(filepath.Join(path, lockFile)); err != nil {
		return nil, errors.Join(err, os.RemoveAll(path))
	}
	return f, nil
}

func openState(path string) (*folder, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("the folder that -state names: %w", err)
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, fmt.Errorf("the folder that -state names: %w", err)
	}
	if _, err := os.Stat(filepath.Join(path, lockFile)); len(entries) > 0 && err != nil {
		return nil, fmt.Errorf("%s is not empty and no state is kept there: name another folder with -state", path)
	}
	if err := os.Chmod(path, 0o700); err != nil {
		return nil, fmt.Errorf("the folder that -state names: %w", err)
	}
	f := &folder{path: path, kept: true}
	if f.lock, err = lock(filepath.Join(path, lockFile)); errors.Is(err, errLocked) {
		return nil, fmt.Errorf("%s is in use by another local cloud: stop that, or name another folder with -state", path)
	}
	return f, err
}

func (f *folder) file(name string) string { return filepath.Join(f.path, name) }

// warning is what everybody has to know.
func (f *folder) warning() string {
	keys := "all keys are new at each start"
	if f.kept {
		keys = "its keys lie in " + f.path
	}
	return "NOT FOR PRODUCTION:\nanyone on this machine can sign in as any sample user, and " + keys + "."
}

// close leaves the folder, and removes it if it is not to be kept.
func (f *folder) close() {
	if f.kept {
		_ = f.lock.Close()
		return
	}
	_ = f.lock.Close() // some systems remove no open file
	_ = os.RemoveAll(f.path)
}

// removeLeftovers removes the temporary folders of runs that were killed: those
// with a lock that nobody holds.
func removeLeftovers() {
	folders, _ := filepath.Glob(filepath.Join(os.TempDir(), folderPrefix+"*")) // the pattern is well formed
	for _, path := range folders {
		name := filepath.Join(path, lockFile)
		if !isA(path, fs.ModeDir) || !isA(name, 0) {
			continue
		}
		held, err := lock(name)
		if err != nil { // in use, or somebody else's
			continue
		}
		_ = held.Close()
		_ = os.RemoveAll(path)
	}
}

// isA tells whether path is of a type, and no link to it.
func isA(path string, kind fs.FileMode) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode().Type() == kind
}

// write replaces a file at one stroke: a crash leaves the old one or the new one.
func (f *folder) write(name string, content []byte) error {
	temporary := f.file(name + ".new")
	if err := os.WriteFile(temporary, content, 0o600); err != nil {
		return err
	}
	return os.Rename(temporary, f.file(name))
}

var errLocked = errors.New("another process holds the lock")
