package faulttest

import (
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"acsauth/internal/azurite"
	"acsauth/internal/localcloud/acsidentity"
)

// TestFaultsByChance has many faults at once on both upstreams, while users call
// three processes and ACS forgets some of them.
func TestFaultsByChance(t *testing.T) {
	t.Parallel()
	w, processes := newProcesses(t, azurite.Start(t, azurite.Options{}), 3)
	chance := func(actor uint64) fault {
		return sometimes(random(actor),
			share{4, resetBefore}, share{3, resetAfter}, share{2, truncated}, share{2, garbage},
			share{2, answers(429)}, share{2, answers(429, "Retry-After", "1")}, share{2, answers(500)}, share{4, answers(503)},
			share{1, answers(404)}, share{3, slow(300 * time.Millisecond)}, share{1, withheld})
	}
	w.acs.set(chance(2))
	w.table.set(chance(3))
	timeout := time.After(runTime / 3)
	ended := make(chan struct{})
	var load sync.WaitGroup
	load.Go(func() { w.load(12, w.newPersons(24), ended, func(n uint64) *process { return processes[n%3] }) })
	r := random(8)
	for running := true; running; {
		select {
		case <-timeout:
			running = false
		case <-time.After(200 * time.Millisecond):
			if made := w.acs.creations(); len(made) > 0 {
				w.forget(made[r.IntN(len(made))].id)
			}
		}
	}
	close(ended)
	load.Wait()
	f := w.audit()
	assert.Positive(t, f.failed, "no fault was felt")
}

// TestOutagesUnderLoad has one upstream after the other fail for a moment while
// users call two processes. What works in between is not looked at here: what
// counts is what is left in the end.
func TestOutagesUnderLoad(t *testing.T) {
	t.Parallel()
	w, processes := newProcesses(t, azurite.Start(t, azurite.Options{}), 2)
	ended := make(chan struct{})
	var load sync.WaitGroup
	load.Go(func() { w.load(8, w.newPersons(16), ended, func(n uint64) *process { return processes[n%2] }) })
	throttled := answers(http.StatusTooManyRequests, "Retry-After", "1")
	for _, outage := range []func(){
		w.table.breakDown,
		func() { w.table.set(slow(1500 * time.Millisecond)) },
		func() { w.table.set(throttled) },
		func() { w.table.set(garbage) },
		w.table.swapCertificate,
		w.acs.breakDown,
		w.acs.swapCertificate,
		func() { w.acs.set(throttled) },
		func() { w.acs.set(garbage) },
		func() { w.acs.breakDown(); w.table.breakDown() },
		func() {
			w.table.set(only(tableInsert, answers(500)))
			w.acs.set(only(acsidentity.OpDelete, answers(500)))
		},
	} {
		time.Sleep(300 * time.Millisecond)
		outage()
		time.Sleep(700 * time.Millisecond)
		w.heal()
	}
	close(ended)
	load.Wait()
	f := w.audit()
	assert.Positive(t, f.failed, "no outage was felt")
	assert.Zero(t, f.byHand)
}

// load has callers make random calls for random users until ended.
func (w *world) load(callers int, people []*person, ended <-chan struct{}, at func(random uint64) *process) {
	kinds := slices.Concat(slices.Repeat([]string{getToken}, 5), slices.Repeat([]string{getUser}, 3), slices.Repeat([]string{deleteUser}, 2),
		[]string{refreshToken, revokeTokens, exchangeToken})
	atOnce(callers, func(i int) {
		r := random(100 + uint64(i))
		for {
			select {
			case <-ended:
				return
			default:
				w.do(at(r.Uint64()), kinds[r.IntN(len(kinds))], people[r.IntN(len(people))])
			}
		}
	})
}

// TestWhenNothingCanBeWrittenDown has ACS make identities, and then neither the
// store takes them nor ACS has them back.
func TestWhenNothingCanBeWrittenDown(t *testing.T) {
	t.Parallel()
	w, processes := newProcesses(t, azurite.Start(t, azurite.Options{}), 1)
	w.acs.set(only(acsidentity.OpDelete, answers(500)))
	w.table.set(func(e *exchange) {
		if op := operation(e.r); op == tableInsert || op == tableNote {
			e.reset()
			return
		}
		deliver(e)
	})
	people := w.newPersons(10)
	each(people, len(people), func(_ int, u *person) {
		assert.Equal(t, http.StatusServiceUnavailable, w.do(processes[0], getUser, u).status)
	})
	w.table.heal()
	each(people, len(people), func(_ int, u *person) { w.untilItWorks(processes[0], getToken, u) })
	f := w.audit()
	assert.Equal(t, 2*len(people), f.made)
	assert.Zero(t, f.byHand)
}
