//go:build unix

package faulttest

import (
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"acsauth/internal/azurite"
	"acsauth/internal/localcloud/acsidentity"
)

const (
	// suspension outlasts every deadline of the handler.
	suspension = 21 * time.Second
	// suspendedTimeout bounds a call of a process that is suspended meanwhile.
	suspendedTimeout = suspension + 2*time.Minute
)

// TestSuspended stops a process in the middle of its work, just before an answer
// reaches it, while its users are erased and made anew in another one.
func TestSuspended(t *testing.T) {
	t.Parallel()
	table := azurite.Start(t, azurite.Options{})
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, row := range []struct{ at, operation string }{
		{acsidentity.OpCreate, getToken}, {tableInsert, getToken},
		{tableNote, deleteUser}, {tableMark, deleteUser}, {acsidentity.OpDelete, deleteUser}, {tableRemove, deleteUser}, {tableClear, deleteUser},
	} {
		wg.Go(func() {
			t.Run(row.at, func(t *testing.T) {
				w, processes := newProcesses(t, table, 2)
				w.suspendAt(processes[0], processes[1], row.at, row.operation)
			})
		})
	}
}

func (w *world) suspendAt(p, other *process, at, call string) {
	people := w.newPersons(4)
	if call == deleteUser {
		people = w.mapped(p, len(people))
	}
	patient := *w.client
	patient.Timeout = suspendedTimeout
	p.client = &patient
	var reached atomic.Bool
	suspended := make(chan struct{})
	suspend := func(e *exchange) {
		if operation(e.r) == at && reached.CompareAndSwap(false, true) {
			assert.NoError(w, p.cmd.Process.Signal(syscall.SIGSTOP))
			close(suspended)
		}
		deliver(e)
	}
	w.acs.set(suspend)
	w.table.set(suspend)
	var calls sync.WaitGroup
	for _, u := range people {
		calls.Go(func() { w.do(p, call, u) })
	}
	select {
	case <-suspended:
	case <-time.After(recoveryTimeout):
		require.Fail(w, "it never came to that")
	}
	for _, u := range people {
		assert.True(w, w.do(other, deleteUser, u).ok())
		assert.True(w, w.do(other, getToken, u).ok())
	}
	time.Sleep(suspension)
	require.NoError(w, p.cmd.Process.Signal(syscall.SIGCONT))
	resumed := time.Now()
	calls.Wait()
	assert.Less(w, time.Since(resumed), answerTimeout, "from its resumption to its last answer")
	p.client = w.client
	for _, u := range people {
		w.untilItWorks(p, getToken, u)
		w.untilItWorks(other, getToken, u)
	}
	f := w.audit()
	assert.Zero(w, f.lost)
	assert.Zero(w, f.byHand)
}
