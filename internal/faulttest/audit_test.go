package faulttest

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	// sweepTimeout is for hundreds of notes on two busy cores.
	sweepTimeout = 2 * time.Minute
	// lateWork is how long ACS may go on with what a killed process has asked, and
	// an answer may be on its way: moments, but for a machine that stands still.
	lateWork = 5 * time.Second
)

// figures are what a run amounted to.
type figures struct {
	calls, failed, cut int // failed ones were told so; cut ones were told nothing
	kills              int
	made               int // identities that ACS made, and of them:
	lost               int // never answered, and nobody's
	dropped            int // nobody's: the maker was killed before it could write; and of them:
	logged             int // named in the log all the same
	byHand             int // named in the log to be deleted by hand
	orphans            int // nobody's, for no reason
	erased             int // deleteUser answered with 204
	swept              int // notes that were left for the sweep at the end
	healed             int // mappings to an identity that ACS did not know
}

func (f figures) String() string {
	return fmt.Sprintf("%d calls, of which %d failed and %d were cut off by %d kills; "+
		"%d identities made, of which %d never answered, %d dropped by a kill (%d in the log), %d left to a hand, %d orphaned; "+
		"%d erasures answered, %d notes swept at the end, %d mappings healed",
		f.calls, f.failed, f.cut, f.kills, f.made, f.lost, f.dropped, f.logged, f.byHand, f.orphans, f.erased, f.swept, f.healed)
}

// audit ends the faults and the processes, has one sweep run, and then holds
// ACS, store and answers against each other.
func (w *world) audit() figures {
	w.Helper()
	w.heal()
	w.stop()
	f := figures{kills: len(w.kills), calls: len(w.calls), made: len(w.acs.creations())}
	for _, c := range w.calls {
		switch {
		case c.status == 0:
			f.cut++
		case !c.ok():
			f.failed++
		}
	}
	w.sweep(&f)
	w.auditErasures(&f)
	w.auditHealing(&f)
	w.auditIdentities(&f)
	w.Logf("seed %d: %v", seed, f)
	return f
}

// sweep has one sweep run, after which no note and no mark may be left.
func (w *world) sweep(f *figures) {
	w.Helper()
	if f.swept = len(w.contents().notes); f.swept == 0 {
		return
	}
	_, ok := w.start().await("swept noted erasures", sweepTimeout)
	assert.True(w, ok, "no sweep of %d notes", f.swept)
	w.stop()
	after := w.contents()
	assert.Empty(w, after.notes, "of %d notes one sweep left these", f.swept)
	assert.Empty(w, after.erasing, "identities that are still being erased")
}

func (w *world) contents() contents {
	w.Helper()
	c, err := w.store.read()
	require.NoError(w, err)
	return c
}

// auditErasures: an identity that a user was told of before they had it erased
// must be gone, and may not be told of afterwards.
func (w *world) auditErasures(f *figures) {
	live := set(cloud.ACS.Identities())
	for _, calls := range w.byUser() {
		for _, erasure := range calls {
			if erasure.operation != deleteUser || !erasure.ok() {
				continue
			}
			f.erased++
			erased := map[string]bool{}
			for _, c := range calls {
				if c.id != "" && c.ended.Before(erasure.began) {
					erased[c.id] = true
					assert.False(w, live[c.id], "%s was erased and lives", c.id)
				}
			}
			for _, c := range calls {
				// Another process may not hear of it for a minute.
				if w.table == nil && c.began.After(erasure.ended) {
					assert.False(w, erased[c.id], "%s told of %s after it was erased", c.operation, c.id)
				}
			}
		}
	}
}

// auditHealing: whoever has a mapping to an identity that ACS does not know gets
// a token all the same, from a new one.
func (w *world) auditHealing(f *figures) {
	mappings, live := w.contents().mappings, set(cloud.ACS.Identities())
	var p *process
	for user := range w.byUser() {
		mapped := mappings[user.key]
		if len(mapped) != 1 || live[mapped[0]] {
			continue
		}
		if p == nil {
			p = w.start()
		}
		f.healed++
		c := w.do(p, getToken, user)
		assert.Equal(w, http.StatusOK, c.status, "after all faults: %s", c.code)
		assert.NotEqual(w, mapped[0], c.id)
	}
	w.stop()
}

// auditIdentities accounts for each identity that ACS has made.
func (w *world) auditIdentities(f *figures) {
	mappings, live, log := w.contents().mappings, set(cloud.ACS.Identities()), w.logs()
	owner := map[string]string{}
	for user, ids := range mappings {
		assert.Len(w, ids, 1, "mappings of %s", user)
		for _, id := range ids {
			assert.Empty(w, owner[id], "%s belongs to %s too", id, user)
			assert.True(w, live[id], "%s has %s, which ACS does not know", user, id)
			owner[id] = user
		}
	}
	for user, calls := range w.byUser() {
		for _, c := range calls {
			if live[c.id] {
				assert.Equal(w, user.key, owner[c.id], "%s was told to another user, or is not kept", c.id)
			}
		}
	}
	excuses := w.excuses()
	for _, made := range w.acs.creations() {
		switch {
		case !live[made.id] || owner[made.id] != "":
		case strings.Contains(log, `delete it by hand","acsUserId":"`+made.id):
			f.byHand++
		case !made.told:
			f.lost++
		case excuses.take(made.at):
			f.dropped++
			if strings.Contains(log, `"an identity has been made","acsUserId":"`+made.id) {
				f.logged++
			}
		default:
			f.orphans++
			assert.Fail(w, "an identity is lost", "%s, made at %v", made.id, made.at)
		}
	}
	if f.kills == 0 {
		assert.LessOrEqual(w, f.lost, strings.Count(log, "may have been created and is not recorded"), "answers that the handler knows to have been lost")
	}
}

// excuse is a call that a kill cut off: it may have had one identity made that
// nobody could write down any more.
type excuse struct{ from, to time.Time }

type excuses []excuse

// excuses has one for each user and kill: calls of one user share their work.
func (w *world) excuses() excuses {
	var all excuses
	for _, k := range w.kills {
		cut := map[*person]excuse{}
		for _, c := range w.calls {
			if c.process != k.process || c.status != 0 || c.operation != getUser && c.operation != getToken {
				continue
			}
			if e, ok := cut[c.user]; !ok || c.began.Before(e.from) {
				cut[c.user] = excuse{c.began, k.at.Add(lateWork)}
			}
		}
		for _, e := range cut {
			all = append(all, e)
		}
	}
	return all
}

// take uses the excuse up that fits what happened at the given time, the one that
// ends first.
func (all *excuses) take(at time.Time) bool {
	best := -1
	for i, e := range *all {
		if !at.Before(e.from) && !at.After(e.to) && (best < 0 || e.to.Before((*all)[best].to)) {
			best = i
		}
	}
	if best >= 0 {
		*all = append((*all)[:best], (*all)[best+1:]...)
	}
	return best >= 0
}

func set(ids []string) map[string]bool {
	m := map[string]bool{}
	for _, id := range ids {
		m[id] = true
	}
	return m
}
