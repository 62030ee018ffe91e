package acs

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"acsauth/internal/identity"
)

const (
	// maxUnderWay is how many requests for identities and tokens ACS is asked at
	// once, and maxWaiting how many more wait for their turn. Callers beyond that
	// are told to come back, at once: it is no use to let them wait for longer
	// than they will.
	maxUnderWay = 256
	maxWaiting  = 256
)

var errBusy = errors.New("too many requests are waiting for the communication service")

// gate lets a bounded number of requests through at a time. Those that wait are
// let in user by user in turn, so that one user's many requests do not hold up
// another's one.
type gate struct {
	mu       sync.Mutex
	free     int
	places   int // for those that wait
	byUser   map[string]*line
	turn     []*line       // the lines of all users that wait, the next one first
	duration time.Duration // what a request takes, a moving average
}

// line is one user's requests that wait.
type line struct {
	user    string
	waiting []chan error // the longest waiting first; each is told once
}

func newGate(underWay, waiting int) *gate {
	return &gate{free: underWay, places: waiting, byUser: map[string]*line{}}
}

// pass waits for the turn of a request of user and returns what to call when it
// is done. The error is an *identity.Error or comes from ctx.
func (g *gate) pass(ctx context.Context, user string) (done func(), err error) {
	g.mu.Lock()
	if g.free > 0 {
		g.free--
		g.mu.Unlock()
		return g.leave(), nil
	}
	turn, err := g.enqueue(user)
	g.mu.Unlock()
	if err != nil {
		return nil, err
	}
	select {
	case err := <-turn:
		if err != nil {
			return nil, err
		}
		return g.leave(), nil
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.withdraw(user, turn) && <-turn == nil {
		g.next() // its turn had come just then
	}
	return nil, ctx.Err()
}

// leave returns the counterpart of a turn that was granted.
func (g *gate) leave() func() {
	began := time.Now()
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		if took := time.Since(began); g.duration == 0 {
			g.duration = took
		} else {
			g.duration += (took - g.duration) / 16
		}
		g.next()
	}
}

func (g *gate) enqueue(user string) (turn chan error, err error) {
	mine := g.byUser[user]
	if g.places == 0 {
		longest := g.longest()
		if mine != nil && len(mine.waiting)+1 >= len(longest.waiting) || len(longest.waiting) < 2 {
			return nil, g.busy()
		}
		last := len(longest.waiting) - 1
		longest.waiting[last] <- g.busy()
		longest.waiting = longest.waiting[:last]
		g.places++
	}
	if mine == nil {
		mine = &line{user: user}
		g.byUser[user] = mine
		g.turn = append(g.turn, mine)
	}
	g.places--
	turn = make(chan error, 1)
	mine.waiting = append(mine.waiting, turn)
	return turn, nil
}

func (g *gate) longest() *line {
	longest := g.turn[0]
	for _, l := range g.turn {
		if len(l.waiting) > len(longest.waiting) {
			longest = l
		}
	}
	return longest
}

// next gives the place that has become free to whose turn it is.
func (g *gate) next() {
	if len(g.turn) == 0 {
		g.free++
		return
	}
	l := g.turn[0]
	g.turn = g.turn[1:]
	first := l.waiting[0]
	if l.waiting = l.waiting[1:]; len(l.waiting) > 0 {
		g.turn = append(g.turn, l)
	} else {
		delete(g.byUser, l.user)
	}
	g.places++
	first <- nil
}

// withdraw takes a request that no longer waits out of its line, if it still is
// there.
func (g *gate) withdraw(user string, turn chan error) bool {
	l := g.byUser[user]
	if l == nil {
		return false
	}
	i := slices.Index(l.waiting, turn)
	if i < 0 {
		return false
	}
	l.waiting = slices.Delete(l.waiting, i, i+1)
	if len(l.waiting) == 0 {
		delete(g.byUser, user)
		g.turn = slices.DeleteFunc(g.turn, func(other *line) bool { return other == l })
	}
	g.places++
	return true
}

// busy says to come back when those that wait now have had their turn, about.
func (g *gate) busy() *identity.Error {
	return unavailable(errBusy, min(max(2*g.duration, time.Second), 30*time.Second))
}
