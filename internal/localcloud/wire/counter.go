package wire

import (
	"maps"
	"sync"
)

// Counter counts by name. Its zero value is ready, and many goroutines may use
// it.
type Counter struct {
	mu     sync.Mutex
	counts map[string]int
}

// Add counts one more of name.
func (c *Counter) Add(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts == nil {
		c.counts = map[string]int{}
	}
	c.counts[name]++
}

// Counts returns a copy of all counts; a name never counted is absent.
func (c *Counter) Counts() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	counts := maps.Clone(c.counts)
	if counts == nil {
		counts = map[string]int{}
	}
	return counts
}
