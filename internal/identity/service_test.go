package identity_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
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

func TestOneUserOneIdentity(t *testing.T) {
	w := newWorld(t)
	m, created, err := w.Ensure(t.Context(), user(1))
	require.NoError(t, err)
	assert.True(t, created)
	again, created, err := w.Ensure(t.Context(), user(1))
	require.NoError(t, err)
	assert.False(t, created)
	assert.Equal(t, m, again)
	w.restart()
	again, _, err = w.Ensure(t.Context(), user(1))
	require.NoError(t, err)
	assert.Equal(t, m.AcsUserID, again.AcsUserID)
	other, _, err := w.Ensure(t.Context(), user(2))
	require.NoError(t, err)
	assert.NotEqual(t, m.AcsUserID, other.AcsUserID)
}

func TestCallersAtOnceShareOneCreate(t *testing.T) {
	w := newWorld(t)
	var created atomic.Int32
	atOnce(64, func(int) {
		_, mine, err := w.Ensure(t.Context(), user(1))
		assert.NoError(t, err)
		if mine {
			created.Add(1)
		}
	})
	assert.EqualValues(t, 1, created.Load())
	assert.Equal(t, 1, w.issuer.made)
}

func TestProcessesAtOnceAgreeAndNothingIsLeftOver(t *testing.T) {
	w := newWorld(t)
	var processes []*identity.Service
	for range 8 {
		w.restart()
		processes = append(processes, w.Service)
	}
	for n := range 20 {
		ids := make([]string, 64)
		atOnce(64, func(i int) {
			_, m, err := processes[i%8].Token(t.Context(), user(n), chat)
			assert.NoError(t, err)
			ids[i] = m.AcsUserID
		})
		slices.Sort(ids)
		require.Len(t, slices.Compact(ids), 1)
		assert.Len(t, w.issuer.list(), n+1)
	}
}

func TestALoserThatCannotBeDeletedIsNotedAndDeletedLater(t *testing.T) {
	w := newWorld(t)
	winner := identity.Mapping{User: user(1), AcsUserID: "8:acs:resource_winner", CreatedAt: time.Now().UTC()}
	w.issuer.identities[winner.AcsUserID] = true
	// Another process inserts between this one's read and insert.
	inserted := false
	w.store.set(func(op string) fault {
		if op == "insert" && !inserted {
			inserted = true
			_, err := w.store.Store.Create(context.Background(), winner)
			assert.NoError(t, err)
		}
		return fine
	})
	w.issuer.set(only("delete", before))
	m, created, err := w.Ensure(t.Context(), user(1))
	require.NoError(t, err)
	assert.False(t, created)
	assert.Equal(t, winner.AcsUserID, m.AcsUserID)
	assert.Len(t, w.issuer.list(), 2)
	notes := w.notes()
	require.Len(t, notes, 1)
	assert.Equal(t, identity.ReasonOrphan, notes[0].Reason)

	w.issuer.set(nil)
	swept, err := w.Sweep(t.Context())
	require.NoError(t, err)
	assert.Equal(t, identity.Swept{Finished: 1}, swept)
	assert.Equal(t, []string{winner.AcsUserID}, w.issuer.list())
}

func TestAnInsertWhoseAnswerWasLostStillCounts(t *testing.T) {
	w := newWorld(t)
	w.store.set(only("insert", after))
	m, created, err := w.Ensure(t.Context(), user(1))
	require.NoError(t, err)
	assert.True(t, created)
	assert.Equal(t, []string{m.AcsUserID}, w.issuer.list())
}

func TestAnIdentityThatCouldNotBeRecordedIsDeleted(t *testing.T) {
	w := newWorld(t)
	w.store.set(only("insert", before))
	_, _, err := w.Ensure(t.Context(), user(1))
	assert.Equal(t, identity.CodeUpstreamUnavailable, identity.CodeOf(err))
	assert.Empty(t, w.issuer.list())

	w.issuer.set(only("delete", before))
	w.store.set(func(op string) fault {
		if op == "insert" || op == "record" {
			return before
		}
		return fine
	})
	for range 2 {
		_, _, err = w.Ensure(t.Context(), user(1))
		require.Error(t, err)
	}
	for _, id := range w.issuer.list() {
		assert.Contains(t, w.log.String(), "delete it by hand\" acsUserId="+id)
	}
	require.Len(t, w.issuer.list(), 2)

	w.store.set(nil)
	m, err := w.mapped(2)
	require.NoError(t, err, "the store is back, ACS still deletes nothing")
	assert.Len(t, w.notes(), 2)
	w.issuer.set(nil)
	_, err = w.Sweep(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []string{m.AcsUserID}, w.issuer.list())
}

func TestASweepNotesWhatCouldNotBeNoted(t *testing.T) {
	w := newWorld(t)
	w.issuer.set(only("delete", before))
	w.store.set(func(op string) fault {
		if op == "insert" || op == "record" {
			return before
		}
		return fine
	})
	_, err := w.mapped(1)
	require.Error(t, err)
	require.Len(t, w.issuer.list(), 1)
	for _, broken := range []bool{true, false} {
		if !broken {
			w.store.set(nil)
			w.issuer.set(nil)
		}
		_, err = w.Sweep(t.Context())
		require.NoError(t, err)
		assert.Equal(t, broken, len(w.issuer.list()) == 1)
	}
}

func TestErasureIsFinishedWhereverItStopped(t *testing.T) {
	for _, row := range []struct {
		part, operation string
		what            fault
		durable         bool // the caller was told that it will be done
	}{
		{"store", "get", before, false},
		{"store", "record", before, false},
		{"store", "record", after, false},
		{"store", "mark", before, false},
		{"store", "mark", after, false},
		{"issuer", "delete", before, true},
		{"issuer", "delete", after, true},
		{"store", "remove", before, true},
		{"store", "remove", after, true},
		{"store", "clear", before, true},
		{"store", "clear", after, true},
	} {
		t.Run(fmt.Sprintf("%s %s %d", row.part, row.operation, row.what), func(t *testing.T) {
			w := newWorld(t)
			m, _, err := w.Ensure(t.Context(), user(1))
			require.NoError(t, err)
			if row.part == "store" {
				w.store.set(only(row.operation, row.what))
			} else {
				w.issuer.set(only(row.operation, row.what))
			}
			err = w.Erase(t.Context(), user(1))
			assert.Equal(t, row.durable, err == nil, "%v", err)
			w.store.set(nil)
			w.issuer.set(nil)
			w.restart()
			if row.durable {
				_, _, err := w.Refresh(t.Context(), user(1), chat)
				assert.Equal(t, identity.CodeIdentityNotFound, identity.CodeOf(err), "no token once it is durable")
			}
			_, err = w.Sweep(t.Context())
			require.NoError(t, err)
			if row.operation != "get" && (row.operation != "record" || row.what != before) {
				assert.Empty(t, w.issuer.list(), "recorded is as good as done")
				_, err = w.store.Get(t.Context(), user(1))
				assert.ErrorIs(t, err, identity.ErrNotFound)
			}
			require.NoError(t, w.Erase(t.Context(), user(1)), "it may be repeated")
			assert.NotContains(t, w.issuer.list(), m.AcsUserID)
			assert.Empty(t, w.notes())
		})
	}
}

func TestADurableErasureIsAnsweredAlsoWhenACSHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		_, err := w.mapped(1)
		require.NoError(t, err)
		w.issuer.hangs = true
		began := time.Now()
		require.NoError(t, w.Erase(t.Context(), user(1)))
		assert.LessOrEqual(t, time.Since(began), 6*time.Second+100*time.Millisecond)
		assert.Contains(t, w.log.String(), "will be finished later")
		w.issuer.hangs = false
		_, err = w.Sweep(t.Context())
		require.NoError(t, err)
		assert.Empty(t, w.issuer.list())
	})
}

func TestNoTokenForAnIdentityThatIsBeingErased(t *testing.T) {
	w := newWorld(t)
	_, m, err := w.Token(t.Context(), user(1), chat)
	require.NoError(t, err)
	w.issuer.set(only("delete", before))
	require.NoError(t, w.Erase(t.Context(), user(1)))
	for range 2 {
		_, _, err = w.Token(t.Context(), user(1), chat)
		assert.Equal(t, identity.CodeUpstreamUnavailable, identity.CodeOf(err))
		_, _, err = w.Refresh(t.Context(), user(1), chat)
		assert.Equal(t, identity.CodeIdentityNotFound, identity.CodeOf(err))
		assert.Equal(t, identity.CodeIdentityNotFound, identity.CodeOf(w.Revoke(t.Context(), user(1))))
		w.restart()
	}
	w.issuer.set(nil)
	_, again, err := w.Token(t.Context(), user(1), chat)
	require.NoError(t, err, "the user comes back: the erasure is finished first")
	assert.NotEqual(t, m.AcsUserID, again.AcsUserID)
	assert.Equal(t, []string{again.AcsUserID}, w.issuer.list())
}

func TestATokenUnderWayWhenTheErasureBeginsIsNotHandedOut(t *testing.T) {
	w := newWorld(t)
	_, err := w.mapped(1)
	require.NoError(t, err)
	w.issuer.set(func(op string) fault {
		if op == "issue" {
			w.issuer.set(only("delete", before))
			assert.NoError(t, w.Erase(t.Context(), user(1)))
		}
		return fine
	})
	_, _, err = w.Token(t.Context(), user(1), chat)
	assert.Equal(t, identity.CodeUpstreamUnavailable, identity.CodeOf(err))
}

func (w *world) mapped(n int) (identity.Mapping, error) {
	m, _, err := w.Ensure(w.Context(), user(n))
	return m, err
}

func TestWaitIsForWorkThatItsCallerLeft(t *testing.T) {
	w := newWorld(t)
	entered, release := make(chan struct{}), make(chan struct{})
	w.issuer.set(func(op string) fault {
		if op == "create" {
			close(entered)
			<-release
		}
		return fine
	})
	ctx, cancel := context.WithCancel(t.Context())
	left := make(chan error)
	go func() {
		_, _, err := w.Ensure(ctx, user(1))
		left <- err
	}()
	<-entered
	cancel()
	assert.ErrorIs(t, <-left, context.Canceled)
	impatient, cancelWait := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancelWait()
	assert.ErrorIs(t, w.Wait(impatient), context.DeadlineExceeded)
	close(release)
	require.NoError(t, w.Wait(t.Context()))
	_, err := w.store.Store.Get(t.Context(), user(1))
	assert.NoError(t, err, "the identity is recorded")
}

func TestAPanicInSharedWorkIsAnError(t *testing.T) {
	w := newWorld(t)
	w.issuer.set(func(string) fault { panic("oops") })
	_, _, err := w.Ensure(t.Context(), user(1))
	assert.ErrorContains(t, err, "oops")
	assert.Equal(t, identity.CodeInternal, identity.CodeOf(err))
	w.issuer.set(nil)
	_, err = w.mapped(1)
	assert.NoError(t, err)
}

// An erasure in another process ends each identity just before its token.
// What a kill keeps from being recorded is in the log.
func TestTheLogHasEachIdentityThatWasMade(t *testing.T) {
	w := newWorld(t)
	w.store.set(func(op string) fault {
		if op == "insert" {
			assert.Contains(t, w.log.String(), `"an identity has been made" acsUserId=8:acs:resource_1`)
		}
		return fine
	})
	_, err := w.mapped(1)
	require.NoError(t, err)
}

func TestTheLogTellsWhereACSDidNotKnowWhatItWasToDelete(t *testing.T) {
	w := newWorld(t)
	m, err := w.mapped(1)
	require.NoError(t, err)
	w.issuer.forgets = true
	require.NoError(t, w.Erase(t.Context(), user(1)))
	assert.Contains(t, w.log.String(), `"ACS does not know an identity that is to be deleted" acsUserId=`+m.AcsUserID)
	assert.Empty(t, w.notes())
}

func TestACreateWhoseAnswerWasLostIsRepeatedAndTheLossIsShown(t *testing.T) {
	unavailable := func(retryAfter time.Duration) error {
		e := identity.Errorf(identity.CodeUpstreamUnavailable, "down")
		e.RetryAfter = retryAfter
		return e
	}
	for _, row := range []struct {
		name  string
		err   error
		slow  time.Duration
		times int // that it happens
		made  int
		ok    bool
	}{
		{"once", unavailable(0), 0, 1, 2, true},
		{"four times", unavailable(0), 0, 4, 5, true},
		{"always", unavailable(0), 0, 100, 5, false},
		{"after a long time", unavailable(0), 6 * time.Second, 1, 1, false},
		{"and ACS says when to come back", unavailable(time.Second), 0, 1, 1, false},
		{"because the answer made no sense", identity.Errorf(identity.CodeUpstreamRejected, "?"), 0, 1, 1, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				failed := 0
				w.issuer.loses = func() error {
					if failed++; failed > row.times {
						return nil
					}
					time.Sleep(row.slow)
					return row.err
				}
				_, err := w.mapped(1)
				assert.Equal(t, row.ok, err == nil, "%v", err)
				assert.Equal(t, row.made, w.issuer.made)
				lost := row.made
				if row.ok {
					lost--
				}
				assert.Equal(t, lost, strings.Count(w.log.String(), "may have been created and is not recorded"))
				assert.Contains(t, w.log.String(), fmt.Sprintf("lostSinceStart=%d ", lost))
			})
		})
	}
}

func TestACallerWhoLeavesDoesNotStopTheWork(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	w.issuer.set(func(op string) fault {
		if op == "create" {
			cancel()
		}
		return fine
	})
	_, _, err := w.Ensure(ctx, user(1))
	if err != nil {
		assert.ErrorIs(t, err, context.Canceled)
	}
	assert.Eventually(t, func() bool {
		m, err := w.store.Store.Get(context.Background(), user(1))
		return err == nil && slices.Contains(w.issuer.list(), m.AcsUserID)
	}, time.Minute, time.Millisecond, "the identity got recorded")
}

// TestNothingIsLostWhateverFails runs random calls with random faults and
// crashes, then counts.
func TestNothingIsLostWhateverFails(t *testing.T) {
	const users = 6
	for seed := range uint64(60) {
		w := newWorld(t)
		random := &lockedRand{r: rand.New(rand.NewPCG(seed, 1))}
		disturb := func(string) fault {
			switch n := random.IntN(100); {
			case n < 10:
				return before
			case n < 16:
				return after
			}
			return fine
		}
		for range 20 {
			w.issuer.set(disturb)
			w.store.set(disturb)
			n := random.IntN(users)
			kind := make([]int, 4)
			for i := range kind {
				kind[i] = random.IntN(10)
			}
			atOnce(4, func(i int) { w.act(kind[i], user(n)) })
			if random.IntN(4) == 0 {
				w.restart()
			}
		}
		w.issuer.set(nil)
		w.store.set(nil)
		w.restart()
		_, err := w.Sweep(t.Context())
		require.NoError(t, err)
		w.audit(seed, users)
	}
}

type lockedRand struct {
	mu sync.Mutex
	r  *rand.Rand
}

func (l *lockedRand) IntN(n int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.r.IntN(n)
}

func (w *world) act(kind int, u identity.User) {
	var err error
	switch kind {
	case 0, 1:
		err = w.Erase(w.Context(), u)
	case 2:
		_, err = w.Sweep(w.Context())
	case 3:
		_, _, err = w.Refresh(w.Context(), u, chat)
	case 4, 5:
		_, _, err = w.Ensure(w.Context(), u)
	default:
		_, _, err = w.Token(w.Context(), u, chat)
	}
	var e *identity.Error
	if err != nil && !assert.True(w, errors.As(err, &e), "an error that is none of the domain's: %v", err) {
		return
	}
	if err != nil {
		assert.Contains(w, []identity.Code{identity.CodeUpstreamUnavailable, identity.CodeIdentityNotFound, identity.CodeUpstreamRejected}, e.Code)
	}
}

// audit: every identity in ACS belongs to one user's mapping, or its creation was
// never answered, or the log says that it is to be deleted by hand. Every user
// can get a token, from one identity.
func (w *world) audit(seed uint64, users int) {
	mapped := map[string]bool{}
	for n := range users {
		_, m, err := w.Token(w.Context(), user(n), chat)
		require.NoError(w, err, "seed %d", seed)
		require.False(w, mapped[m.AcsUserID], "seed %d: two users, one identity", seed)
		mapped[m.AcsUserID] = true
	}
	for _, id := range w.issuer.list() {
		if mapped[id] || slices.Contains(w.issuer.lost, id) {
			continue
		}
		assert.Contains(w, w.log.String(), "delete it by hand\" acsUserId="+id+" ", "seed %d: identity %s is lost", seed, id)
	}
	assert.Empty(w, w.notes(), "seed %d", seed)
}
