package main

import (
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A run too short for figures that mean anything: each step works, and the page
// holds all of it.
func TestMain(m *testing.M) {
	if of := os.Getenv(yardstickOf); of != "" {
		exitOn(printYardstick(of))
		return
	}
	m.Run()
}

func TestAShortRun(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some ten seconds")
	}
	var out strings.Builder
	r, err := measure(t.Context(), size{lasting: 100 * time.Millisecond, yardstick: 100 * time.Millisecond, starts: 2, crowd: 200, mappings: 100}, io.Discard)
	if err != nil && strings.Contains(err.Error(), "read from /proc") {
		t.Skip(err)
	}
	require.NoError(t, err)
	require.NoError(t, r.render(&out))
	for _, text := range []string{"| binary, stripped |", "| 2000 ms |", "| ACS answers in 2 s | ", "| 100 | 100 | "} {
		assert.Contains(t, out.String(), text)
	}
	assert.NotContains(t, out.String(), "%!")
	assert.Less(t, r.BinaryMB, 15.0)
	assert.InDelta(t, 1, r.NoReuse.Upstream, 0.1)
}
