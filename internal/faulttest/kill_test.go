package faulttest

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"acsauth/internal/azurite"
	"acsauth/internal/localcloud/acsidentity"
)

func TestKilledAgainAndAgain(t *testing.T) {
	t.Parallel()
	table := azurite.Start(t, azurite.Options{})
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, row := range []struct {
		name      string
		processes int
	}{{"one process, file", 0}, {"two processes, one table", 2}} {
		wg.Go(func() {
			t.Run(row.name, func(t *testing.T) {
				w, processes := newProcesses(t, table, row.processes)
				w.killRun(processes)
			})
		})
	}
}

// killRun kills and restarts the processes at random moments under load, with
// some trouble on the wires.
func (w *world) killRun(processes []*process) {
	w.acs.set(sometimes(random(4), share{8, answers(503)}, share{2, resetBefore}, share{1, resetAfter}))
	if w.table != nil {
		w.table.set(sometimes(random(5), share{4, answers(503)}, share{2, resetBefore}, share{1, resetAfter}))
	}
	slots := make([]atomic.Pointer[process], len(processes))
	for i, p := range processes {
		slots[i].Store(p)
	}
	ended := make(chan struct{})
	var load sync.WaitGroup
	load.Go(func() {
		w.load(12, w.newPersons(40), ended, func(n uint64) *process { return running(&slots[n%uint64(len(slots))]) })
	})
	r := random(6)
	for until := time.Now().Add(runTime); time.Now().Before(until); {
		w.awaitAnswers(r.IntN(100))
		slot := &slots[r.IntN(len(slots))]
		w.crash(slot.Load())
		slot.Store(w.start())
	}
	close(ended)
	load.Wait()
	f := w.audit()
	assert.Positive(w, f.kills)
}

// awaitAnswers waits until n more calls have been answered, a while at most.
func (w *world) awaitAnswers(n int) {
	answered := func() int {
		w.mu.Lock()
		defer w.mu.Unlock()
		return len(w.calls)
	}
	until := time.Now().Add(3 * time.Second)
	for enough := answered() + n; answered() < enough && time.Now().Before(until); {
		time.Sleep(time.Millisecond)
	}
}

// running returns the process in slot when it is not just being restarted.
func running(slot *atomic.Pointer[process]) *process {
	p := slot.Load()
	for p.killed.Load() {
		time.Sleep(time.Millisecond)
		p = slot.Load()
	}
	return p
}

// erasures is how many users have themselves erased when the handler is killed.
const erasures = 200

// TestErasuresKilledHalfWay kills the handler when all erasures have begun and
// none has been done: one sweep does them all.
func TestErasuresKilledHalfWay(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, w *world) {
		p := w.start()
		people := w.mapped(p, erasures)
		identities := w.identities()
		// So many are under way and have not come to ACS at any time, lest the table
		// is asked for too much at once.
		ramp := make(chan struct{}, 16)
		var reached sync.Map
		w.acs.set(only(acsidentity.OpDelete, func(e *exchange) {
			if _, again := reached.LoadOrStore(e.r.URL.Path, true); !again {
				<-ramp
			}
			hang(e)
		}))
		var calls sync.WaitGroup
		for _, u := range people {
			ramp <- struct{}{}
			calls.Go(func() {
				for !w.do(p, deleteUser, u).ok() && !p.killed.Load() {
				}
			})
		}
		for range cap(ramp) {
			ramp <- struct{}{}
		}
		w.crash(p)
		calls.Wait()
		f := w.audit()
		assert.Equal(t, erasures, f.swept, "all were recorded")
		w.auditGone(identities)
	})
}

// TestErasuresKilledAtRandom kills the handler again and again while the users
// repeat what they got no answer to.
func TestErasuresKilledAtRandom(t *testing.T) {
	t.Parallel()
	w := newTableWorld(t, azurite.Start(t, azurite.Options{}))
	var current atomic.Pointer[process]
	current.Store(w.start())
	people := w.mapped(current.Load(), erasures)
	identities := w.identities()
	w.acs.set(sometimes(random(7), share{20, answers(503)}, share{30, slow(100 * time.Millisecond)}))
	var answered atomic.Int32
	done := make(chan struct{})
	go func() {
		defer close(done)
		each(people, 16, func(_ int, u *person) {
			for !w.do(running(&current), deleteUser, u).ok() && !t.Failed() {
			}
			answered.Add(1)
		})
	}()
	for _, share := range []int32{1, 2, 3} {
		require.Eventually(t, func() bool { return answered.Load() >= share*erasures/4 }, 2*time.Minute, time.Millisecond)
		w.crash(current.Load())
		current.Store(w.start())
	}
	<-done
	f := w.audit()
	assert.GreaterOrEqual(t, f.erased, erasures)
	w.auditGone(identities)
}

func onEachStore(t *testing.T, run func(*testing.T, *world)) {
	t.Run("file", func(t *testing.T) { run(t, newFileWorld(t)) })
	t.Run("table", func(t *testing.T) { run(t, newTableWorld(t, azurite.Start(t, azurite.Options{}))) })
}

// identities are those that anybody was told of.
func (w *world) identities() (ids []string) {
	for _, c := range w.calls {
		if c.id != "" {
			ids = append(ids, c.id)
		}
	}
	return ids
}

// auditGone: neither ACS nor the store has any of the identities.
func (w *world) auditGone(identities []string) {
	live, mapped := set(cloud.ACS.Identities()), map[string]bool{}
	for _, ids := range w.contents().mappings {
		for _, id := range ids {
			mapped[id] = true
		}
	}
	for _, id := range identities {
		assert.False(w, live[id], "%s lives", id)
		assert.False(w, mapped[id], "%s has a user", id)
	}
}
