package functions

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"acsauth/internal/identity"
)

func userNumber(i int) identity.User {
	return identity.User{TenantID: "t", ObjectID: fmt.Sprint(i)}
}

func TestAUserSpendsAMinutesCallsAndWaitsForMore(t *testing.T) {
	now := time.Unix(1e9, 0)
	l := newLimiter(60, func() time.Time { return now })
	for i := range 75 {
		require.NoError(t, l.take(userNumber(1)), "call %d", i)
	}
	err := l.take(userNumber(1))
	var e *identity.Error
	require.True(t, errors.As(err, &e))
	assert.Equal(t, identity.CodeRateLimited, e.Code)
	assert.Equal(t, time.Second, e.RetryAfter)
	assert.NoError(t, l.take(userNumber(2)), "another user")

	now = now.Add(e.RetryAfter)
	assert.NoError(t, l.take(userNumber(1)), "what Retry-After said")
	assert.Error(t, l.take(userNumber(1)), "refused calls are not saved up")
}

func TestTheLimitHoldsForCallsAtOnce(t *testing.T) {
	now := time.Unix(1e9, 0)
	l := newLimiter(4, func() time.Time { return now })
	var passed atomic.Int32
	var wg sync.WaitGroup
	for range 200 {
		wg.Go(func() {
			if l.take(userNumber(1)) == nil {
				passed.Add(1)
			}
		})
	}
	wg.Wait()
	assert.EqualValues(t, 5, passed.Load())
}

func TestNoLimitAndBoundedMemory(t *testing.T) {
	l := newLimiter(0, time.Now)
	for range 1000 {
		require.NoError(t, l.take(userNumber(1)))
	}
	l = newLimiter(1, time.Now)
	for i := range 3 * maxLimited {
		require.NoError(t, l.take(userNumber(i)))
	}
	assert.Equal(t, maxLimited, l.users.Len())
}
