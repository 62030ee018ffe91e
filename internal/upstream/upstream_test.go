package upstream

import (
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRetryAfter(t *testing.T) {
	for _, row := range []struct {
		name   string
		header map[string]string
		want   time.Duration
	}{
		{"none", nil, 0},
		{"seconds", map[string]string{"Retry-After": "17"}, 17 * time.Second},
		{"milliseconds", map[string]string{"retry-after-ms": "1500"}, 1500 * time.Millisecond},
		{"Cosmos DB's milliseconds", map[string]string{"x-ms-retry-after-ms": "20"}, 20 * time.Millisecond},
		{"milliseconds before seconds", map[string]string{"retry-after-ms": "20", "Retry-After": "1"}, 20 * time.Millisecond},
		{"a date", map[string]string{"Retry-After": "Sun, 22 Nov 2026 12:00:30 GMT", "Date": "Sun, 22 Nov 2026 12:00:00 GMT"}, 30 * time.Second},
		{"a date without the answer's own", map[string]string{"Retry-After": "Sun, 22 Nov 2026 12:00:30 GMT"}, 0},
		{"a date that has passed", map[string]string{"Retry-After": "Sun, 22 Nov 2026 12:00:00 GMT", "Date": "Sun, 22 Nov 2026 12:00:30 GMT"}, 0},
		{"negative", map[string]string{"Retry-After": "-5"}, 0},
		{"for ever", map[string]string{"Retry-After": "9223372036854775807"}, time.Hour},
		{"garbage", map[string]string{"Retry-After": "soon"}, 0},
	} {
		h := http.Header{}
		for name, value := range row.header {
			h.Set(name, value)
		}
		assert.Equal(t, row.want, RetryAfter(h), row.name)
	}
}

func TestLoopback(t *testing.T) {
	for _, yes := range []string{"localhost", "LOCALHOST", "127.0.0.1", "127.9.9.9", "::1", "[::1]", "::ffff:127.0.0.1"} {
		assert.True(t, IsLoopback(yes), yes)
	}
	for _, no := range []string{"", "localhost.evil.example", "10.0.0.1", "0.0.0.0", "128.0.0.1", "::2", "2130706433"} {
		assert.False(t, IsLoopback(no), no)
	}
}

func TestGuardGivesEachTryItsBodyAndEndsLongAnswers(t *testing.T) {
	var bodies []string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		bodies = append(bodies, string(b))
		_, _ = w.Write(make([]byte, MaxAnswer+1))
	}))
	defer srv.Close()
	g := Guard{srv.Client()}
	body := strings.NewReader("body")
	for range 2 {
		_, err := body.Seek(0, io.SeekStart)
		require.NoError(t, err)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL, io.NopCloser(body))
		require.NoError(t, err)
		r.ContentLength = 4
		resp, err := g.Do(r)
		require.NoError(t, err)
		b, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		assert.Len(t, b, MaxAnswer)
	}
	assert.Equal(t, []string{"body", "body"}, bodies)
}

func TestGuardTakesAnAnswerThatBreaksOffForNone(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "half of")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}))
	defer srv.Close()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL, nil)
	require.NoError(t, err)
	_, err = Guard{srv.Client()}.Do(r)
	assert.ErrorIs(t, err, io.ErrUnexpectedEOF)
}

func TestTheClientFollowsNoRedirects(t *testing.T) {
	srv := httptest.NewServer(http.RedirectHandler("http://127.0.0.1:1/", http.StatusFound))
	defer srv.Close()
	client, err := NewClient("")
	require.NoError(t, err)
	resp, err := client.Get(srv.URL)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	assert.Equal(t, http.StatusFound, resp.StatusCode)
}

func TestExtraRoots(t *testing.T) {
	srv := httptest.NewTLSServer(nil)
	defer srv.Close()
	file := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}), 0o600))

	pool, err := extraRoots("linux", file)
	assert.NoError(t, err)
	assert.Nil(t, pool, "crypto/x509 reads the variable itself")
	for _, goos := range []string{"windows", "darwin"} {
		pool, err = extraRoots(goos, file)
		assert.NoError(t, err)
		assert.NotNil(t, pool)
		_, err = extraRoots(goos, file+".missing")
		assert.ErrorContains(t, err, "SSL_CERT_FILE")
		_, err = extraRoots(goos, "upstream_test.go")
		assert.ErrorContains(t, err, "holds no certificate")
	}
}
