package identity

import (
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

const (
	cacheSize = 4096 // twice as many as ACS grants tokens in cacheTTL
	// cacheTTL bounds how long another process's erasure can go unnoticed here
	// while ACS has not done its part. What is issued meanwhile ends with the
	// identity.
	cacheTTL = time.Minute
)

// cache holds mappings in front of the store. A mapping never changes while it
// lives, so only erasure makes an entry stale.
type cache struct {
	now      func() time.Time
	mappings *lru.Cache[User, cached]
	// erasing holds the identities whose erasure has begun in this process:
	// neither a slow reader of the store nor a token under way may bring them
	// back. It counts who has begun and not abandoned one.
	erasing   *lru.Cache[string, int]
	erasingMu sync.Mutex
}

type cached struct {
	mapping Mapping
	until   time.Time
}

func newCache(now func() time.Time) *cache {
	return &cache{now: now, mappings: newLRU[User, cached](cacheSize), erasing: newLRU[string, int](cacheSize)}
}

func newLRU[K comparable, V any](size int) *lru.Cache[K, V] {
	c, err := lru.New[K, V](size)
	if err != nil {
		panic(err) // only a size below one is an error
	}
	return c
}

func (c *cache) get(user User) (Mapping, bool) {
	e, ok := c.mappings.Get(user)
	if !ok || c.now().After(e.until) || c.isErasing(e.mapping) {
		return Mapping{}, false
	}
	return e.mapping, true
}

func (c *cache) put(m Mapping) {
	c.mappings.Add(m.User, cached{m, c.now().Add(cacheTTL)})
}

// drop forgets m, not a mapping that has taken its place.
func (c *cache) drop(m Mapping) {
	if e, ok := c.mappings.Peek(m.User); ok && e.mapping.AcsUserID == m.AcsUserID {
		c.mappings.Remove(m.User)
	}
}

func (c *cache) dropUser(user User) { c.mappings.Remove(user) }

func (c *cache) beginErasing(m Mapping) {
	c.countErasing(m, 1)
	c.drop(m)
}

// abandonErasing is for whoever began it and could not mark the mapping. Another
// call may have.
func (c *cache) abandonErasing(m Mapping) { c.countErasing(m, -1) }

func (c *cache) countErasing(m Mapping, change int) {
	c.erasingMu.Lock()
	defer c.erasingMu.Unlock()
	n, _ := c.erasing.Peek(m.AcsUserID)
	if n += change; n > 0 {
		c.erasing.Add(m.AcsUserID, n)
	} else {
		c.erasing.Remove(m.AcsUserID)
	}
}

func (c *cache) isErasing(m Mapping) bool { return c.erasing.Contains(m.AcsUserID) }
