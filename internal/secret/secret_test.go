package secret

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestNothingPrintsASecret(t *testing.T) {
	const text = "hunter2-hunter2"
	s := New(text)
	type exported struct{ S String }
	type hidden struct{ s String }

	var printed strings.Builder
	for _, verb := range []string{"%s", "%v", "%+v", "%#v", "%q", "%x", "%X", "%d"} {
		for _, v := range []any{s, &s, exported{s}, hidden{s}, []String{s}, map[string]hidden{"a": {s}}} {
			fmt.Fprintf(&printed, verb+"\n", v)
		}
	}
	for _, v := range []any{s, exported{s}, map[string]String{"a": s}} {
		b, err := json.Marshal(v)
		require.NoError(t, err)
		printed.Write(b)
	}
	slog.New(slog.NewJSONHandler(&printed, nil)).Info("x", "s", s, "e", exported{s}, "h", hidden{s})
	slog.New(slog.NewTextHandler(&printed, nil)).Info("x", "s", s, "e", exported{s}, "h", hidden{s})

	assert.Contains(t, printed.String(), "[redacted]")
	assert.NotContains(t, printed.String(), text)
	assert.NotContains(t, strings.ToLower(printed.String()), fmt.Sprintf("%x", text))
}

func TestRevealAndCompare(t *testing.T) {
	assert.Equal(t, "a", New("a").Reveal())
	assert.True(t, New("a").Equal(New("a")))
	assert.False(t, New("a").Equal(New("b")))
	assert.True(t, String{}.Empty())
	assert.Empty(t, String{}.Reveal())
	assert.True(t, String{}.Equal(New("")))
}
