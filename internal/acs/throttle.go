package acs

import (
	"errors"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"acsauth/internal/upstream"
)

const (
	// defaultPause is for a 429 that does not say how long.
	defaultPause = 2 * time.Second
	// While ACS throttles, this many requests a second find out whether it still
	// does. Each counts against what ACS grants, so no more than that.
	probesPerSecond = 2
	maxProbes       = 5
)

var errThrottled = errors.New("the communication service throttles this service")

// throttle keeps requests back that ACS would only turn away: after a 429, until
// the time that it named or until a later request is answered.
type throttle struct {
	now    func() time.Time
	probes *rate.Limiter

	mu    sync.Mutex
	since time.Time // when the last request that got a 429 was sent
	until time.Time
}

func newThrottle(now func() time.Time) *throttle {
	return &throttle{now: now, probes: rate.NewLimiter(probesPerSecond, maxProbes)}
}

// check returns an *identity.Error when a request had better not be made now.
func (t *throttle) check() error {
	now := t.now()
	t.mu.Lock()
	left := t.until.Sub(now)
	t.mu.Unlock()
	if left <= 0 || t.probes.AllowN(now, 1) {
		return nil
	}
	return unavailable(errThrottled, left)
}

// observe looks at the answer of ACS to a request that was sent at that time.
func (t *throttle) observe(resp *http.Response, sent time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case resp.StatusCode == http.StatusTooManyRequests:
		t.until = t.now().Add(retryAfter(resp))
		if sent.After(t.since) {
			t.since = sent
		}
	case sent.After(t.since):
		t.until = time.Time{}
	}
}

// retryAfter is zero where an answer that does not throttle names no time.
func retryAfter(resp *http.Response) time.Duration {
	d := upstream.RetryAfter(resp.Header)
	if d == 0 && resp.StatusCode == http.StatusTooManyRequests {
		return defaultPause
	}
	return d
}
