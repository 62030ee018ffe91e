package funchost

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

const (
	pollEvery     = 25 * time.Millisecond
	maxFailures   = 3
	failureWindow = 30 * time.Minute

	// startsPerRequest is what a request waits for.
	startsPerRequest = maxFailures + 1
	// startsAtFirst is what Start waits for. There the real host knows no limit:
	// this one leaves the failures their time, and ends a handler that asks for
	// one restart after the other.
	startsAtFirst = 2 * maxFailures
)

// errNotRunning is the answer to a request when the host has ended.
var errNotRunning = errors.New("function host is not running")

// supervisor keeps one handler process running: it starts it, waits until it
// answers, and starts another when it dies. Its rules are those of the host:
// exit code 0 is the end and nothing follows, 200 asks for a restart, and
// everything else is a failure, followed by a restart at once. So is a process
// that does not answer in time. The third failure ends the host, unless more
// than 30 minutes lie between one failure and the next.
type supervisor struct {
	ctx         context.Context // its end stops the supervisor
	cancel      context.CancelFunc
	console     *console
	launch      func() (*process, error)
	ping        func(context.Context) bool
	initTimeout time.Duration
	now         func() time.Time

	mu      sync.Mutex
	current *process
	ready   bool
	changed chan struct{} // closed and replaced when current or ready change
	err     error         // why it gave up
	done    chan struct{} // closed at the end

	failures    int       // used by run alone
	lastFailure time.Time // likewise
}

// verdict is what becomes of a process.
type verdict int

const (
	stopped   verdict = iota // the host is stopping
	restarted                // another one, without blame
	failed                   // another one, unless there were too many
)

// start runs the supervisor until its context ends or it gives up.
func (s *supervisor) start() error {
	p, err := s.launch()
	if err != nil {
		return err
	}
	s.put(p)
	go s.run(p)
	return nil
}

// rest is a supervisor's life without a process.
func (s *supervisor) rest() {
	<-s.ctx.Done()
	close(s.done)
}

func (s *supervisor) run(p *process) {
	defer close(s.done)
	defer s.cancel()
	for {
		v, err := s.watch(p)
		p.kill()
		switch {
		case v == stopped:
			return
		case v == failed:
			s.console.host(slog.LevelError, "%v", err)
			if s.tooMany() {
				s.giveUp(fmt.Errorf("exceeded the restart count of the handler, shutting down: %w", err))
				return
			}
		}
		if p, err = s.launch(); err != nil {
			s.giveUp(err)
			return
		}
		s.put(p)
	}
}

// watch returns when p has to go, or has gone.
func (s *supervisor) watch(p *process) (verdict, error) {
	ctx, cancel := context.WithTimeout(s.ctx, s.initTimeout)
	answered := make(chan bool, 1)
	var poll sync.WaitGroup
	poll.Go(func() { answered <- s.poll(ctx) })
	defer poll.Wait()
	defer cancel()

	exited := p.exited
	for {
		select {
		case <-s.ctx.Done():
			return stopped, nil
		case <-p.recycled:
			return restarted, nil
		case ok := <-answered:
			if !ok && s.ctx.Err() == nil {
				return failed, fmt.Errorf("initializing the handler timed out: no answer to GET / within %s", s.initTimeout)
			}
			if ok {
				s.markReady(p)
			}
		case <-exited:
			select {
			case <-p.recycled: // killed for it
				return restarted, nil
			default:
			}
			switch p.cmd.ProcessState.ExitCode() {
			case 0: // taken for intended, whether ready or not: nothing follows
				s.console.host(slog.LevelInfo, "%v", p.end())
				exited = nil
			case 200:
				return restarted, nil
			default:
				return failed, p.end()
			}
		}
	}
}

// poll pings until there is an answer.
func (s *supervisor) poll(ctx context.Context) bool {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		if s.ping(ctx) {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
}

// tooMany counts a failure.
func (s *supervisor) tooMany() bool {
	now := s.now()
	if now.Sub(s.lastFailure) > failureWindow {
		s.failures = 0
	}
	s.lastFailure = now
	s.failures++
	return s.failures >= maxFailures
}

func (s *supervisor) giveUp(err error) {
	s.console.host(slog.LevelError, "%v", err)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
	}
}

// put makes p the current process, not ready yet.
func (s *supervisor) put(p *process) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current, s.ready = p, false
	s.broadcast()
}

// markReady lets requests through to p, unless p is to go already.
func (s *supervisor) markReady(p *process) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-p.recycled:
	default:
		s.ready = true
		s.broadcast()
	}
}

// broadcast wakes who waits for a change. With mu held.
func (s *supervisor) broadcast() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// await returns the process that requests go to, as soon as it is ready. It
// fails with errNotRunning, or as ctx does. A wait for longer than so many starts
// may take ends the host.
func (s *supervisor) await(ctx context.Context, starts int) (*process, error) {
	limit := time.NewTimer(time.Duration(starts) * s.initTimeout)
	defer limit.Stop()
	for {
		s.mu.Lock()
		p, ready, changed := s.current, s.ready, s.changed
		s.mu.Unlock()
		switch {
		case s.ctx.Err() != nil:
			return nil, errNotRunning
		case ready:
			return p, nil
		}
		select {
		case <-changed:
		case <-s.ctx.Done():
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-limit.C:
			s.giveUp(errors.New("the handler was not ready in time for a request, shutting down"))
			s.cancel()
		}
	}
}

// recycle replaces p if it is still the current process. Requests wait from
// here on.
func (s *supervisor) recycle(p *process) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == p {
		s.ready = false
	}
	p.recycle()
}

// restart recycles the current process and waits for its successor.
func (s *supervisor) restart() error {
	s.mu.Lock()
	old := s.current
	s.mu.Unlock()
	if old == nil {
		return errors.New("the app has no functions, so no handler")
	}
	s.recycle(old)
	for {
		s.mu.Lock()
		p, changed := s.current, s.changed
		s.mu.Unlock()
		if p != old {
			return nil
		}
		select {
		case <-changed:
		case <-s.done:
			return errNotRunning
		}
	}
}

func (s *supervisor) pid() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == nil || !s.current.running() {
		return 0
	}
	return s.current.cmd.Process.Pid
}

// ended is why the supervisor gave up, once it has ended.
func (s *supervisor) ended() error {
	select {
	case <-s.done:
	default:
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}
