package azurite

import (
	"net"
	"net/http"
	"net/url"
	"path/filepath"
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
