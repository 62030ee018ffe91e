package faulttest

import (
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"acsauth/internal/azurite"
)

// rowsAtOnce is how many rows of the fault table run together: most of them wait.
const rowsAtOnce = 8

// recoveryTimeout is for a service whose upstreams are well again.
const recoveryTimeout = 40 * time.Second

// row is one fault of an upstream, and what callers are told while it lasts.
type row struct {
	fault  string
	apply  func(*wire)
	status int    // of calls that need the upstream; 200 for any success
	retry  string // Retry-After; empty for any
}

func per(f fault) func(*wire) { return func(w *wire) { w.set(f) } }

func rows() []row {
	return []row{
		{"slow", per(slow(700 * time.Millisecond)), 200, ""},
		{"hangs", per(hang), 503, ""},
		{"down", (*wire).breakDown, 503, ""},
		{"wrong certificate", (*wire).swapCertificate, 503, ""},
		{"reset before the work", per(resetBefore), 503, ""},
		{"reset after the work", per(resetAfter), 503, ""},
		{"work done, never answered", per(withheld), 503, ""},
		{"answer cut short", per(truncated), 503, ""},
		{"answer garbled", per(garbage), 502, ""},
		{"429", per(answers(429)), 503, ""},
		{"429 with Retry-After", per(answers(429, "Retry-After", "7")), 503, "7"},
		{"500", per(answers(500)), 503, ""},
		{"503", per(answers(503)), 503, ""},
		{"503 with Retry-After", per(answers(503, "Retry-After", "9")), 503, "9"},
		{"refuses", per(answers(403)), 502, ""},
		{"somebody else's 404", per(answers(404)), 502, ""},
		{"sends elsewhere", per(answers(302, "Location", "https://example.invalid/")), 502, ""},
	}
}

func TestFaultTable(t *testing.T) {
	t.Parallel()
	table := azurite.Start(t, azurite.Options{})
	var wg sync.WaitGroup
	defer wg.Wait()
	slots := make(chan struct{}, rowsAtOnce)
	run := func(name string, work func(*testing.T)) {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			t.Run(name, work)
		})
	}
	for _, r := range rows() {
		run("ACS: "+r.fault, func(t *testing.T) {
			w := newFileWorld(t)
			w.runRow(r, w.acs, func(operation string) bool {
				// The intent to delete is durable, and to revoke asks for no answer
				// that could be garbled.
				return operation == deleteUser || operation == revokeTokens && r.fault == "answer garbled"
			})
		})
		run("table: "+r.fault, func(t *testing.T) {
			w := newTableWorld(t, table)
			w.runRow(r, w.table, func(operation string) bool { return operation == exchangeToken }) // which needs no mapping
		})
	}
}

// runRow makes each call while the fault lasts and again when it has passed.
// unharmed tells the operations that succeed all the same.
func (w *world) runRow(r row, disturbed *wire, unharmed func(operation string) bool) {
	type cell struct {
		operation string
		user      *person
	}
	p := w.start()
	cells := []cell{{getUser, w.newPerson()}, {getToken, w.newPerson()}} // who are new
	for i, u := range w.mapped(p, 5) {
		cells = append(cells, cell{[]string{getToken, refreshToken, exchangeToken, revokeTokens, deleteUser}[i], u})
	}
	if disturbed == w.table {
		p.stop()
		p = w.start() // with nothing in memory
	}
	r.apply(disturbed)
	each(cells, len(cells), func(_ int, c cell) {
		answer := w.do(p, c.operation, c.user)
		w.Logf("%s: %d %s after %v, Retry-After %q", c.operation, answer.status, answer.code,
			answer.ended.Sub(answer.began).Round(10*time.Millisecond), answer.retryAfter)
		switch {
		case r.status == http.StatusOK || unharmed(c.operation):
			assert.True(w, answer.ok(), "%s: %d %s", c.operation, answer.status, answer.code)
		default:
			assert.Equal(w, r.status, answer.status, "%s", c.operation)
			if r.retry != "" {
				assert.Equal(w, r.retry, answer.retryAfter, "%s: Retry-After", c.operation)
			}
		}
	})
	w.heal()
	each(cells, len(cells), func(_ int, c cell) { w.untilItWorks(p, c.operation, c.user) })
	w.audit()
}

// untilItWorks does what a client does that heeds Retry-After.
func (w *world) untilItWorks(p *process, operation string, u *person) {
	for until := time.Now().Add(recoveryTimeout); ; {
		c := w.do(p, operation, u)
		if c.ok() {
			return
		}
		if !assert.True(w, time.Now().Before(until), "%s, after the fault: %d %s", c.operation, c.status, c.code) {
			return
		}
		seconds, _ := strconv.Atoi(c.retryAfter)
		time.Sleep(time.Duration(max(seconds, 1)) * time.Second)
	}
}
