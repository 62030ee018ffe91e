package bolt

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkGet reads a mapping from the file.
func BenchmarkGet(b *testing.B) {
	s, err := Open(filepath.Join(b.TempDir(), "identities.db"), resource)
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, s.Close()) })
	m, err := s.Create(b.Context(), someMapping())
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Get(b.Context(), m.User); err != nil {
			b.Fatal(err)
		}
	}
}
