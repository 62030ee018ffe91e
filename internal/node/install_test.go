package node

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAnInstallationIsMadeOnceAndWhole(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache", "package")
	var installs atomic.Int32
	var done sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		done.Go(func() {
			errs[i] = installOnce(dir, func(temp string) error {
				installs.Add(1)
				assert.NotEqual(t, dir, temp)
				assert.NoDirExists(t, dir)
				return os.WriteFile(filepath.Join(temp, "file"), nil, 0o600)
			})
		})
	}
	done.Wait()
	assert.NoError(t, errors.Join(errs...))
	assert.EqualValues(t, 1, installs.Load())
	assert.FileExists(t, filepath.Join(dir, "file"))
	assertOnly(t, filepath.Dir(dir), "package")
}

func TestAFailedInstallationLeavesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache", "package")
	want := errors.New("no network")
	err := installOnce(dir, func(temp string) error {
		return errors.Join(os.WriteFile(filepath.Join(temp, "half"), nil, 0o600), want)
	})
	assert.ErrorIs(t, err, want)
	assertOnly(t, filepath.Dir(dir))
}

func assertOnly(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	names := []string{}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	assert.ElementsMatch(t, want, names)
}
