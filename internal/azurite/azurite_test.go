package azurite

import (
	"errors"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAzuriteAnswersUntilItsTestEnds(t *testing.T) {
	dir := t.TempDir()
	find(t) // skips here rather than in the subtest
	var instance Instance
	t.Run("while it runs", func(t *testing.T) {
		instance = Start(t, Options{Dir: dir})
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, instance.Endpoint+"/Tables", nil)
		require.NoError(t, err)
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		assert.Contains(t, resp.Header.Get("Server"), "Azurite")
		assert.Equal(t, http.StatusForbidden, resp.StatusCode, "the request is not signed")
	})
	require.NotEmpty(t, instance.Endpoint)
	u, err := url.Parse(instance.Endpoint)
	require.NoError(t, err)
	_, err = net.Dial("tcp", u.Host)
	require.Error(t, err, "nothing listens any more")
	assert.FileExists(t, filepath.Join(dir, "__azurite_db_table__.json"), "an interrupt has it write its data")
}

func TestAnInstallationIsMadeOnceAndWhole(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache", "azurite")
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
	assertOnly(t, filepath.Dir(dir), "azurite")
}

func TestAFailedInstallationLeavesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache", "azurite")
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
