package acsidentity

import (
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// limitWindow is what the limits of ACS are counted by.
const limitWindow = 30 * time.Second

// DocumentedLimits are the calls per 30 seconds that ACS documents, by operation:
// https://learn.microsoft.com/azure/communication-services/concepts/service-limits
//
// Assumed: the limits hold for a resource as a whole; the exchange for Teams Phone
// has that for Teams users, and assignments have none.
func DocumentedLimits() map[string]int {
	return map[string]int{
		OpCreate:                 1000,
		OpDelete:                 500,
		OpIssue:                  1000,
		OpRevoke:                 500,
		OpExchangeTeamsUser:      500,
		OpExchangeTeamsExtension: 500,
	}
}

// limiter counts calls in windows of a fixed length.
//
// Assumed: the windows of the limits are fixed and begin with a call.
type limiter struct {
	mu     sync.Mutex
	limits map[string]int // nil for none
	counts map[string]int
	ends   time.Time
}

// SetLimits limits how often each operation may be called in 30 seconds; those
// not named are not limited. Nil, as at the start, ends it. Calls that are
// refused count too.
func (s *Server) SetLimits(limits map[string]int) {
	s.limiter.mu.Lock()
	defer s.limiter.mu.Unlock()
	s.limiter.limits, s.limiter.counts = limits, nil
}

// take counts a call, or says how long to wait for the next one.
func (l *limiter) take(operation string, now time.Time) (wait time.Duration, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	limit, limited := l.limits[operation]
	if !limited {
		return 0, true
	}
	if l.counts == nil || !now.Before(l.ends) {
		l.counts, l.ends = map[string]int{}, now.Add(limitWindow)
	}
	l.counts[operation]++
	return l.ends.Sub(now), l.counts[operation] <= limit
}

// tooMany is for a call beyond the limit.
//
// Assumed: a call beyond a limit is 429 TooManyRequests with Retry-After.
func tooMany(w http.ResponseWriter, wait time.Duration) *apiError {
	w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
	return &apiError{status: http.StatusTooManyRequests, code: "TooManyRequests", message: "Too many requests. Please try again later."}
}
