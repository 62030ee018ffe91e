package acs

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"acsauth/internal/identity"
)

// queue puts a request in line and returns once it is there.
func queue(t *testing.T, g *gate, user string, passed chan<- string) {
	t.Helper()
	length := func() int { g.mu.Lock(); defer g.mu.Unlock(); return g.places }
	before := length()
	go func() {
		done, err := g.pass(t.Context(), user)
		if err != nil {
			passed <- "refused " + user
			return
		}
		passed <- user
		done()
	}()
	require.Eventually(t, func() bool { return length() < before }, time.Minute, 100*time.Microsecond)
}

// isIdle waits until nobody is let through or waits, and no place is lost.
func isIdle(t *testing.T, g *gate, free, places int) {
	t.Helper()
	assert.Eventually(t, func() bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		return g.free == free && g.places == places && len(g.byUser) == 0 && len(g.turn) == 0
	}, time.Minute, 100*time.Microsecond)
}

func TestUsersTakeTurns(t *testing.T) {
	g := newGate(1, 100)
	done, err := g.pass(t.Context(), "first")
	require.NoError(t, err)
	passed := make(chan string, 10)
	for _, user := range []string{"greedy", "greedy", "greedy", "greedy", "b", "c"} {
		queue(t, g, user, passed)
	}
	done()
	var order []string
	for range 6 {
		order = append(order, <-passed)
	}
	assert.Equal(t, []string{"greedy", "b", "c", "greedy", "greedy", "greedy"}, order)
	isIdle(t, g, 1, 100)
}

func TestAFullLineRefusesAtOnceAndTheGreediestFirst(t *testing.T) {
	g := newGate(1, 3)
	done, err := g.pass(t.Context(), "first")
	require.NoError(t, err)
	passed := make(chan string, 10)
	for range 3 {
		queue(t, g, "greedy", passed)
	}
	_, err = g.pass(t.Context(), "greedy")
	assert.Equal(t, identity.CodeUpstreamUnavailable, identity.CodeOf(err))
	var e *identity.Error
	require.ErrorAs(t, err, &e)
	assert.GreaterOrEqual(t, e.RetryAfter, time.Second)

	go func() {
		done, err := g.pass(t.Context(), "modest")
		if assert.NoError(t, err) {
			passed <- "modest"
			done()
		}
	}()
	assert.Equal(t, "refused greedy", <-passed, "makes room for another user")
	done()
	assert.ElementsMatch(t, []string{"greedy", "modest", "greedy"}, []string{<-passed, <-passed, <-passed})
	isIdle(t, g, 1, 3)
}

// holds checks what is true of a gate at any time.
func holds(t *testing.T, g *gate, places int) {
	t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	waiting := 0
	for i, l := range g.turn {
		waiting += len(l.waiting)
		assert.NotEmpty(t, l.waiting, "a line of nobody")
		assert.Same(t, l, g.byUser[l.user])
		assert.NotContains(t, g.turn[:i], l, "one line for a user")
	}
	assert.Len(t, g.byUser, len(g.turn))
	assert.Equal(t, places, g.places+waiting)
	assert.False(t, g.free > 0 && waiting > 0, "one waits for nothing")
}

func TestWhoLeavesTheLineKeepsNoPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(2, 8)
		var wg sync.WaitGroup
		var underWay, passed, refused, left atomic.Int64
		for range 2000 {
			wg.Go(func() {
				time.Sleep(time.Duration(rand.IntN(1000)) * time.Millisecond)
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rand.IntN(10))*time.Millisecond)
				defer cancel()
				done, err := g.pass(ctx, fmt.Sprint(rand.IntN(7)))
				holds(t, g, 8)
				switch {
				case err == nil:
					passed.Add(1)
				case ctx.Err() == nil:
					refused.Add(1)
					return
				default:
					left.Add(1)
					return
				}
				assert.LessOrEqual(t, underWay.Add(1), int64(2))
				time.Sleep(time.Duration(rand.IntN(4)) * time.Millisecond)
				underWay.Add(-1)
				done()
			})
		}
		wg.Wait()
		for _, n := range []*atomic.Int64{&passed, &refused, &left} {
			assert.Greater(t, n.Load(), int64(50))
		}
		isIdle(t, g, 2, 8)
	})
}

func TestAnAnswerToAnEarlierRequestEndsNoThrottling(t *testing.T) {
	sent := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	earlier, later := sent.Add(-time.Millisecond), sent.Add(time.Millisecond)
	q := newThrottle(func() time.Time { return sent })
	q.probes.AllowN(sent, maxProbes)
	q.observe(&http.Response{StatusCode: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"30"}}}, sent)
	q.observe(&http.Response{StatusCode: http.StatusOK}, earlier)
	assert.Error(t, q.check())
	q.observe(&http.Response{StatusCode: http.StatusOK}, later)
	assert.NoError(t, q.check())
}

func TestAFullLineSaysHowLongTheOthersTake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(1, 0)
		done, err := g.pass(t.Context(), "first")
		require.NoError(t, err)
		time.Sleep(4 * time.Second)
		done()
		assert.Equal(t, 8*time.Second, g.busy().RetryAfter)
	})
}

func TestThrottledRequestsAreKeptBack(t *testing.T) {
	var requests atomic.Int64
	var throttles atomic.Bool
	throttles.Store(true)
	var clock atomic.Pointer[time.Time]
	start := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	clock.Store(&start)
	c := newTestClient(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/:revokeAccessTokens"):
			w.WriteHeader(http.StatusNoContent)
			return
		case throttles.Load():
			status(429, "Retry-After", "30", "")(w, r)
		default:
			status(200, "", "", goodToken)(w, r)
		}
		requests.Add(1)
	})
	for _, q := range []*throttle{c.quotas.identities, c.quotas.tokens, c.quotas.exchanges} {
		q.now = func() time.Time { return *clock.Load() }
	}
	issue := func() error {
		_, err := c.IssueToken(t.Context(), testID, identity.TokenRequest{Scopes: []string{"chat"}})
		return err
	}
	var waits []time.Duration
	for range 1000 {
		err := issue()
		var e *identity.Error
		require.ErrorAs(t, err, &e)
		assert.Equal(t, identity.CodeUpstreamUnavailable, e.Code)
		waits = append(waits, e.RetryAfter)
	}
	assert.Equal(t, 30*time.Second, slices.Min(waits))
	assert.EqualValues(t, 1+maxProbes, requests.Load(), "the others were kept back")

	require.NoError(t, c.RevokeTokens(t.Context(), testID), "what ends something is never held back")
	throttles.Store(false)
	later := start.Add(time.Second)
	clock.Store(&later)
	assert.NoError(t, issue(), "a probe finds out")
	for range 100 {
		assert.NoError(t, issue())
	}
}
