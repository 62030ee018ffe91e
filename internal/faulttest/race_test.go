package faulttest

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"acsauth/internal/acs"
	"acsauth/internal/azurite"
	"acsauth/internal/localcloud/acsidentity"
)

// callers is how many of one user call at once.
const callers = 64

func TestManyCallersOfANewUserShareOneIdentity(t *testing.T) {
	t.Parallel()
	table := azurite.Start(t, azurite.Options{})
	for _, row := range []struct {
		name      string
		processes int // 0: one, on the file store
		faulty    bool
	}{
		{"one process, file", 0, false},
		{"three processes, one table", 3, false},
		{"one process, ACS in trouble", 0, true},
		{"three processes, ACS in trouble", 3, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			w, processes := newProcesses(t, table, row.processes)
			if row.faulty {
				w.acs.set(sometimes(random(1), share{20, answers(503)}, share{5, resetBefore}, share{5, resetAfter}))
			}
			each(w.newPersons(10), 4, func(_ int, u *person) {
				told := w.atOnce(processes, u, getUser, getToken)
				assert.Len(t, told, 1, "identities that the callers were told of")
			})
			f := w.audit()
			assert.Zero(t, f.failed, "calls that failed")
			assert.Zero(t, f.byHand)
			if !row.faulty {
				assert.Zero(t, f.lost)
			}
		})
	}
}

func TestAForgottenIdentityIsReplacedOnce(t *testing.T) {
	t.Parallel()
	table := azurite.Start(t, azurite.Options{})
	for _, row := range []struct {
		name      string
		processes int
	}{{"one process, file", 0}, {"three processes, one table", 3}} {
		t.Run(row.name, func(t *testing.T) {
			w, processes := newProcesses(t, table, row.processes)
			for range 5 {
				u := w.newPerson()
				var id string
				for _, p := range processes { // each keeps it in memory
					c := w.do(p, getToken, u)
					require.Equal(t, http.StatusOK, c.status)
					id = c.id
				}
				w.forget(id)
				told := w.atOnce(processes, u, getToken) // getUser does not ask ACS
				assert.Len(t, told, 1)
				assert.NotContains(t, told, id)
			}
			f := w.audit() // none is left over
			assert.Zero(t, f.failed)
		})
	}
}

// TestACSThatKnowsNobodyCostsNoIdentity: what it makes it does not know either, so
// that nothing is to be concluded from it.
func TestACSThatKnowsNobodyCostsNoIdentity(t *testing.T) {
	t.Parallel()
	w, processes := newProcesses(t, azurite.Start(t, azurite.Options{}), 2)
	people := w.mapped(processes[0], 10)
	before := w.contents().mappings
	nobody := func(e *exchange) {
		_ = e.send(http.StatusNotFound, http.Header{"Content-Type": {"application/json"}}, []byte(`{"error":{"code":"NotFound","message":"`+upstreamWords+`"}}`))
	}
	for _, fault := range []fault{nobody, only(acsidentity.OpIssue, nobody)} {
		w.acs.set(fault)
		each(people, len(people), func(i int, u *person) {
			assert.Equal(t, http.StatusBadGateway, w.do(processes[i%2], getToken, u).status)
		})
	}
	w.heal()
	each(people, len(people), func(i int, u *person) { w.untilItWorks(processes[i%2], getToken, u) })
	assert.Equal(t, before, w.contents().mappings)
	w.audit()
}

// newProcesses returns n processes on one table, or one on a file.
func newProcesses(t *testing.T, table azurite.Instance, n int) (*world, []*process) {
	t.Helper()
	if n == 0 {
		w := newFileWorld(t)
		return w, []*process{w.start()}
	}
	w := newTableWorld(t, table)
	var processes []*process
	for range n {
		processes = append(processes, w.start())
	}
	return w, processes
}

// atOnce has many callers of one user call at once, and returns the identities
// that they were told of.
func (w *world) atOnce(processes []*process, u *person, operations ...string) map[string]bool {
	calls := make([]call, callers)
	atOnce(callers, func(i int) {
		calls[i] = w.do(processes[i%len(processes)], operations[i/len(processes)%len(operations)], u)
	})
	told := map[string]bool{}
	for _, c := range calls {
		if assert.True(w, c.ok(), "%s: %d %s", c.operation, c.status, c.code) {
			told[c.id] = true
		}
	}
	return told
}

// forget has ACS delete an identity behind the service's back.
func (w *world) forget(id string) {
	w.Helper()
	endpoint, key, err := acs.ParseConnectionString(cloud.ACS.ConnectionString(cloud.ACSURL).Reveal())
	require.NoError(w, err)
	client, err := acs.New(acs.Options{Endpoint: endpoint, AccessKey: key, Transport: cloud.Client()})
	require.NoError(w, err)
	require.NoError(w, client.DeleteIdentity(w.Context(), id))
}
