package functions

import (
	"context"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

const (
	// readinessTTL bounds what anyone can make the readiness checks cost.
	readinessTTL     = 5 * time.Second
	readinessTimeout = 4 * time.Second
)

type healthAnswer struct {
	Status string            `json:"status"` // ok or unavailable
	Checks map[string]string `json:"checks,omitempty"`
}

// health answers 200 while the process lives. With ready=1 it also looks at what
// the service depends on, and answers 503 when a part of that is missing.
func (a *app) health(c *call) error {
	ready := c.query("ready")
	if len(ready) != 1 || ready[0] != "1" {
		return c.json(http.StatusOK, healthAnswer{Status: "ok"})
	}
	answer := a.readiness.get(c.r.Context(), a.Checks, a.Now)
	status := http.StatusOK
	if answer.Status != "ok" {
		c.w.Header().Set("Retry-After", "5")
		status = http.StatusServiceUnavailable
	}
	return c.json(status, answer)
}

// readiness remembers the last look for a moment.
type readiness struct {
	flight singleflight.Group
	mu     sync.Mutex
	last   healthAnswer
	until  time.Time
}

func (r *readiness) get(ctx context.Context, checks []Check, now func() time.Time) healthAnswer {
	r.mu.Lock()
	last, until := r.last, r.until
	r.mu.Unlock()
	if now().Before(until) {
		return last
	}
	answer, _, _ := r.flight.Do("", func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readinessTimeout)
		defer cancel()
		answer := look(ctx, checks)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.last, r.until = answer, now().Add(readinessTTL)
		return answer, nil
	})
	return answer.(healthAnswer)
}

func look(ctx context.Context, checks []Check) healthAnswer {
	answer := healthAnswer{Status: "ok", Checks: map[string]string{}}
	results := make([]error, len(checks))
	var wg sync.WaitGroup
	for i, check := range checks {
		wg.Go(func() { results[i] = check.Ready(ctx) })
	}
	wg.Wait()
	for i, check := range checks {
		answer.Checks[check.Name] = "ok"
		if results[i] != nil {
			answer.Status = "unavailable"
			answer.Checks[check.Name] = "unavailable"
		}
	}
	return answer
}
