package faulttest

import (
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"acsauth/internal/localcloud/acsidentity"
)

// upstreamWords stand in everything that a faulty upstream says: neither a client
// nor the log may see them.
const upstreamWords = "s3cr3t-upstream-text"

// deliver is no fault.
func deliver(e *exchange) {
	answer := e.work()
	e.delivered = e.send(answer.Code, answer.Header(), answer.Body.Bytes()) == nil
}

// slow takes its time and then does the work, also when nobody waits any more.
func slow(d time.Duration) fault {
	return func(e *exchange) {
		e.wait(d)
		deliver(e)
	}
}

// hang never does anything.
func hang(e *exchange) {
	e.wait(0)
	e.reset()
}

// withheld does the work and never says so.
func withheld(e *exchange) {
	e.work()
	e.wait(0)
	e.reset()
}

// resetBefore breaks off before the upstream has heard of it.
func resetBefore(e *exchange) { e.reset() }

// resetAfter breaks off when the work is done.
func resetAfter(e *exchange) {
	e.work()
	e.reset()
}

// answers has somebody in between answer, in HTML. header is in pairs.
func answers(status int, header ...string) fault {
	return func(e *exchange) {
		h := http.Header{"Content-Type": {"text/html"}}
		for i := 0; i < len(header); i += 2 {
			h.Set(header[i], header[i+1])
		}
		_ = e.send(status, h, []byte("<html><title>"+upstreamWords+"</title></html>"))
	}
}

// garbage does the work and garbles the answer.
func garbage(e *exchange) {
	answer := e.work()
	if answer.Code == http.StatusNoContent {
		answer.Code = http.StatusOK
	}
	_ = e.send(answer.Code, answer.Header(), []byte("\x00{]"+upstreamWords))
}

// truncated does the work and sends half of the answer; where that has no body,
// nothing of it.
func truncated(e *exchange) {
	answer := e.work()
	if body := answer.Body.Bytes(); len(body) > 0 {
		e.w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		e.w.WriteHeader(answer.Code)
		_, _ = e.w.Write(body[:len(body)/2])
		_ = http.NewResponseController(e.w).Flush()
	}
	e.reset()
}

// only confines a fault to one operation.
func only(name string, f fault) fault {
	return func(e *exchange) {
		if operation(e.r) == name {
			f(e)
			return
		}
		deliver(e)
	}
}

// share is a fault and how many requests of a hundred have it.
type share struct {
	percent int
	fault   fault
}

// sometimes picks a fault for each request by chance.
func sometimes(r *rand.Rand, shares ...share) fault {
	var mu sync.Mutex
	return func(e *exchange) {
		mu.Lock()
		n := r.IntN(100)
		mu.Unlock()
		for _, s := range shares {
			if n -= s.percent; n < 0 {
				s.fault(e)
				return
			}
		}
		deliver(e)
	}
}

// The operations of the table; those of ACS have the stand-in's names.
const (
	tableGet    = "get"
	tableInsert = "insert"
	tableMark   = "mark"
	tableRemove = "remove"
	tableNote   = "note"
	tableClear  = "clear"
	tableList   = "list"
)

// operation names what a request to ACS or to the table is for.
func operation(r *http.Request) string {
	if name := acsidentity.Operation(r); name != "" {
		return name
	}
	path, _ := url.PathUnescape(r.URL.EscapedPath())
	isNote := strings.Contains(path, "PartitionKey='erasures")
	switch one := strings.Contains(path, "PartitionKey="); {
	case r.Method == http.MethodGet && one:
		return tableGet
	case r.Method == http.MethodGet:
		return tableList
	case r.Method == http.MethodPost && !strings.HasSuffix(path, "/Tables"):
		return tableInsert
	case isNote && r.Method == http.MethodDelete:
		return tableClear
	case isNote:
		return tableNote
	case r.Method == http.MethodDelete:
		return tableRemove
	case one:
		return tableMark
	}
	return ""
}
