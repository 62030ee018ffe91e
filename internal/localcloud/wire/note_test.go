package wire

import (
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestANoteIsForWhoPutItThere(t *testing.T) {
	plain := httptest.NewRequest("GET", "/", nil)
	SetCaller(plain, "nobody listens")
	SetReason(plain, "nobody listens")

	r, note := WithNote(plain)
	assert.Empty(t, note.Caller())
	SetCaller(r, "Alice")
	SetReason(r, "too late")
	assert.Equal(t, "Alice", note.Caller())
	assert.Equal(t, "too late", note.Reason())
}

func TestAKeyOutlivesTheProgram(t *testing.T) {
	key, err := NewKey(time.Now())
	assert.NoError(t, err)
	same, err := ImportKey(key.Export())
	assert.NoError(t, err)
	assert.Equal(t, key.JWK(), same.JWK())
	for name, text := range map[string]string{"nothing": "", "no PEM": "x", "half": key.Export()[:200], "public": "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"} {
		_, err := ImportKey(text)
		assert.Error(t, err, name)
	}
}
