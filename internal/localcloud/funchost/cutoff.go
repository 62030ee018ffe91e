package funchost

import (
	"net/http"
	"sync"
)

// cutoffWriter is a response that can be taken away from its writer for as long
// as nothing has been written. It has a header map of its own, so that a writer
// that was cut off touches nothing of the real response.
type cutoffWriter struct {
	mu     sync.Mutex
	w      http.ResponseWriter
	header http.Header
	begun  bool
	gone   bool
}

func newCutoffWriter(w http.ResponseWriter) *cutoffWriter {
	return &cutoffWriter{w: w, header: w.Header().Clone()}
}

// cut takes the response away. It is false when the response has begun.
func (c *cutoffWriter) cut() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gone = !c.begun
	return c.gone
}

func (c *cutoffWriter) Header() http.Header { return c.header }

func (c *cutoffWriter) WriteHeader(status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.begin(status)
}

// begin writes the header, once. With mu held.
func (c *cutoffWriter) begin(status int) {
	if c.gone || c.begun {
		return
	}
	c.begun = status >= 200 // 1xx may be followed by others
	clear(c.w.Header())
	for name, values := range c.header {
		c.w.Header()[name] = values
	}
	c.w.WriteHeader(status)
}

func (c *cutoffWriter) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone {
		return 0, http.ErrHandlerTimeout
	}
	c.begin(http.StatusOK)
	return c.w.Write(b)
}

// FlushError is what http.ResponseController looks for.
func (c *cutoffWriter) FlushError() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone {
		return http.ErrHandlerTimeout
	}
	c.begin(http.StatusOK)
	return http.NewResponseController(c.w).Flush()
}
