package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// load is callers that each call getToken again as soon as they are answered.
type load struct {
	address string   // host:port of the handler
	tokens  []string // access tokens, shared out among the callers
	callers int
	calls   int           // for all callers together; 0 is as many as fit
	lasting time.Duration // ends the load, whatever calls says
	path    string
}

// outcome is what became of a load.
type outcome struct {
	took     time.Duration
	times    []time.Duration // of the calls that were answered, sorted
	statuses map[int]int
	broken   int // calls without an answer
}

func (o outcome) rate() float64 { return float64(len(o.times)) / o.took.Seconds() }

// quantile is of the times of all answers.
func (o outcome) quantile(q float64) time.Duration {
	if len(o.times) == 0 {
		return 0
	}
	return o.times[min(int(q*float64(len(o.times))), len(o.times)-1)]
}

// others counts the answers that are not 200.
func (o outcome) others() (n int) {
	for status, count := range o.statuses {
		if status != http.StatusOK {
			n += count
		}
	}
	return n + o.broken
}

func (l load) run(ctx context.Context) outcome {
	ctx, cancel := context.WithTimeout(ctx, l.lasting)
	defer cancel()
	var (
		mu      sync.Mutex
		total   = outcome{statuses: map[int]int{}}
		tickets = make(chan int)
		wg      sync.WaitGroup
	)
	go func() {
		defer close(tickets)
		for i := 0; l.calls == 0 || i < l.calls; i++ {
			select {
			case tickets <- i:
			case <-ctx.Done():
				return
			}
		}
	}()
	began := time.Now()
	for range l.callers {
		wg.Go(func() {
			mine := l.caller(tickets)
			mu.Lock()
			defer mu.Unlock()
			total.times = append(total.times, mine.times...)
			total.broken += mine.broken
			for status, n := range mine.statuses {
				total.statuses[status] += n
			}
		})
	}
	wg.Wait()
	total.took = time.Since(began)
	slices.Sort(total.times)
	return total
}

// caller makes one call for each ticket on a connection of its own, as the
// Functions host does.
func (l load) caller(tickets <-chan int) outcome {
	o := outcome{statuses: map[int]int{}}
	var c *connection
	for i := range tickets {
		began := time.Now()
		if c == nil {
			var err error
			if c, err = dial(l.address); err != nil {
				o.broken++
				continue
			}
		}
		status, err := c.call(l.path, l.tokens[i%len(l.tokens)])
		if err != nil {
			o.broken++
			c.close()
			c = nil
			continue
		}
		o.times = append(o.times, time.Since(began))
		o.statuses[status]++
	}
	if c != nil {
		c.close()
	}
	return o
}

// connection speaks just enough HTTP to cost little beside what is measured.
type connection struct {
	conn net.Conn
	r    *bufio.Reader
}

const callTimeout = 40 * time.Second

func dial(address string) (*connection, error) {
	conn, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err != nil {
		return nil, err
	}
	return &connection{conn, bufio.NewReaderSize(conn, 16<<10)}, nil
}

func (c *connection) close() { _ = c.conn.Close() }

func (c *connection) call(path, token string) (status int, err error) {
	if err := c.conn.SetDeadline(time.Now().Add(callTimeout)); err != nil {
		return 0, err
	}
	if _, err := fmt.Fprintf(c.conn, "GET %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n", path, token); err != nil {
		return 0, err
	}
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return 0, err
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}
