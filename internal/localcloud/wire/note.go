package wire

import (
	"context"
	"net/http"
	"sync"
)

// Note is what a stand-in tells of a request that it serves, to whoever put a
// Note on it: who called, and why it was refused. No secret is in it.
type Note struct {
	mu             sync.Mutex
	caller, reason string
}

type noteKey struct{}

// WithNote returns the request with an empty Note on it.
func WithNote(r *http.Request) (*http.Request, *Note) {
	n := &Note{}
	return r.WithContext(context.WithValue(r.Context(), noteKey{}, n)), n
}

// Caller is who called; empty when nobody knows.
func (n *Note) Caller() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.caller
}

// Reason is why the request was refused; empty when it was not.
func (n *Note) Reason() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.reason
}

// SetCaller notes who called, such as a user's name or "access key".
func SetCaller(r *http.Request, caller string) {
	if n, ok := r.Context().Value(noteKey{}).(*Note); ok {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.caller = caller
	}
}

// SetReason notes why the request is refused.
func SetReason(r *http.Request, reason string) {
	if n, ok := r.Context().Value(noteKey{}).(*Note); ok {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.reason = reason
	}
}
