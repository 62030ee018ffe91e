package funchost

import (
	"crypto/rand"
	"encoding/base64"
	"net/http"

	"acsauth/internal/secret"
)

// keys are what callers show for authLevel function and admin: new at each
// start, kept in memory only.
type keys struct {
	master    secret.String
	host      secret.String
	functions map[string]secret.String
}

func newKeys(functions []*function) keys {
	k := keys{newKey(), newKey(), map[string]secret.String{}}
	for _, f := range functions {
		k.functions[f.name] = newKey()
	}
	return k
}

func newKey() secret.String {
	b := make([]byte, 40)
	_, _ = rand.Read(b) // never fails
	return secret.New(base64.RawURLEncoding.EncodeToString(b))
}

// admit checks the key of a request: the header x-functions-key, or without one
// the query's code. The handler gets to see both.
func (k keys) admit(f *function, r *http.Request) bool {
	if f.authLevel == authAnonymous {
		return true
	}
	text := r.Header.Get("X-Functions-Key")
	if text == "" {
		text = r.URL.Query().Get("code")
	}
	given := secret.New(text)
	if f.authLevel == authFunction && (given.Equal(k.host) || given.Equal(k.functions[f.name])) {
		return true
	}
	return given.Equal(k.master)
}

// MasterKey opens every function, and alone those of authLevel admin.
func (h *Host) MasterKey() secret.String { return h.keys.master }

// FunctionKey opens every function of authLevel function: the key named
// "default" of the app.
func (h *Host) FunctionKey() secret.String { return h.keys.host }

// KeyOf opens the named function alone. It is empty, and opens nothing, when
// there is no such function.
func (h *Host) KeyOf(function string) secret.String { return h.keys.functions[function] }
