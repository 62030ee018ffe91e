package functions

import (
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"

	"acsauth/internal/identity"
)

// maxLimited is how many users are kept count of; the one not seen for longest
// starts afresh.
const maxLimited = 4096

// limiter bounds the calls of each user, so that one can't use up what ACS
// grants the whole resource: 1,000 tokens in 30 seconds
// (https://learn.microsoft.com/azure/communication-services/concepts/service-limits).
type limiter struct {
	perMinute int
	now       func() time.Time
	users     *lru.Cache[identity.User, *rate.Limiter]
}

func newLimiter(perMinute int, now func() time.Time) *limiter {
	users, err := lru.New[identity.User, *rate.Limiter](maxLimited)
	if err != nil {
		panic(err) // only a size below one is an error
	}
	return &limiter{perMinute, now, users}
}

// take counts one call. A user may spend a minute's calls, and a quarter of that
// besides, at once.
func (l *limiter) take(user identity.User) error {
	if l.perMinute == 0 {
		return nil
	}
	limit, ok := l.users.Get(user)
	if !ok {
		limit = rate.NewLimiter(rate.Limit(float64(l.perMinute)/60), l.perMinute+l.perMinute/4)
		if earlier, found, _ := l.users.PeekOrAdd(user, limit); found {
			limit = earlier
		}
	}
	now := l.now()
	r := limit.ReserveN(now, 1)
	wait := r.DelayFrom(now)
	if wait == 0 {
		return nil
	}
	r.CancelAt(now)
	e := identity.Errorf(identity.CodeRateLimited, "You make more than %d calls a minute.", l.perMinute)
	e.RetryAfter = wait
	return e
}
