package wire

import (
	"net/http"
	"sync/atomic"
)

// Fault answers a request in place of a stand-in and returns true, or returns
// false and leaves the request alone. It may wait first, and may panic with
// http.ErrAbortHandler to cut the connection. Many goroutines call it at once.
type Fault func(w http.ResponseWriter, r *http.Request) (handled bool)

// FaultHook holds a Fault that can be changed while requests are served. Its
// zero value holds none.
type FaultHook struct{ fault atomic.Pointer[Fault] }

// Set replaces the fault; nil takes it away.
func (h *FaultHook) Set(f Fault) {
	if f == nil {
		h.fault.Store(nil)
		return
	}
	h.fault.Store(&f)
}

// Handled gives the request to the fault, if there is one.
func (h *FaultHook) Handled(w http.ResponseWriter, r *http.Request) bool {
	f := h.fault.Load()
	return f != nil && (*f)(w, r)
}
