package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

const (
	getToken  = "/api/getToken"
	manyUsers = 64
	callers   = 32
	warmUp    = 2000   // calls
	fewUsers  = 100    // who call, where the mappings grow
	mostUsers = 10_000 // as many access tokens as there is time to sign
)

// size is how much is measured.
type size struct {
	lasting   time.Duration // of each load
	yardstick time.Duration // of each of its two parts
	starts    int
	crowd     int // callers who press
	mappings  int // the most that growth is measured with
}

// bench is what the measurements share.
type bench struct {
	size
	up       *upstream
	handler  string
	progress io.Writer
	tokens   []string // of manyUsers
}

func measure(ctx context.Context, how size, progress io.Writer) (*report, error) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		return nil, errors.New("resident memory and CPU time are read from /proc, which this system has not: run it on Linux")
	}
	dir, err := os.MkdirTemp("", "acsauth-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	b := &bench{size: how, progress: progress}
	if b.handler, err = buildHandler(ctx, dir); err != nil {
		return nil, err
	}
	if b.up, err = startUpstream(dir); err != nil {
		return nil, err
	}
	defer b.up.Close()
	if b.tokens, err = b.up.accessTokens(users(manyUsers)); err != nil {
		return nil, err
	}
	r, err := newReport(ctx, b.handler)
	if err != nil {
		return nil, err
	}
	for _, step := range []struct {
		name string
		do   func(context.Context, *report) error
	}{
		{"cold start", b.coldStart},
		{"the yardstick", b.yardstick},
		{"getToken", b.throughput},
		{"a slow ACS", b.latency},
		{"pressure", b.pressure},
		{"growth", b.growth},
	} {
		_, _ = fmt.Fprintf(progress, "%s …\n", step.name)
		if err := step.do(ctx, r); err != nil {
			return nil, fmt.Errorf("%s: %w", step.name, err)
		}
	}
	return r, nil
}

// start runs a handler with a store of its own in file store.
func (b *bench) start(ctx context.Context, store string, settings ...string) (*process, error) {
	return startProcess(ctx, b.handler, append(environment(), b.up.settings(store, settings...)...))
}

// environment is this process's own, with nothing that a handler would read.
func environment() []string {
	var kept []string
	for _, name := range []string{"PATH", "HOME", "TMPDIR"} {
		kept = append(kept, name+"="+os.Getenv(name))
	}
	return kept
}

// once makes one call and reports an answer that is not 200.
func once(p *process, path, token string) (time.Duration, error) {
	began := time.Now()
	c, err := dial(p.address)
	if err != nil {
		return 0, err
	}
	defer c.close()
	status, err := c.call(path, token)
	if err == nil && status != http.StatusOK && status != http.StatusCreated {
		err = fmt.Errorf("%s answered %d", path, status)
	}
	return time.Since(began), err
}

func (b *bench) coldStart(ctx context.Context, r *report) error {
	b.up.behave(0, quota{})
	// The mapping exists, as it does for a user's first token of the day.
	var ready, first []time.Duration
	for i := range b.starts + 1 {
		p, err := b.start(ctx, "start.db")
		if err != nil {
			return err
		}
		_, err = once(p, getToken, b.tokens[0])
		if i > 0 {
			ready, first = append(ready, p.ready), append(first, time.Since(p.began))
		}
		if i == b.starts {
			time.Sleep(min(2*time.Second, b.lasting))
			u, err := p.usage()
			if err != nil {
				return err
			}
			r.IdleRSS = u.rss
		}
		p.stop()
		if err != nil {
			return err
		}
	}
	slices.Sort(ready)
	slices.Sort(first)
	r.Ready, r.ReadyMax, r.First = ready[len(ready)/2], ready[len(ready)-1], first[len(first)/2]
	return nil
}

// load runs callers against p until b.lasting has passed, after a warm-up, and
// takes the CPU time and memory of p over it.
func (b *bench) load(ctx context.Context, p *process, l load) (loaded, error) {
	l.address, l.path = p.address, getToken
	if l.tokens == nil {
		l.tokens = b.tokens
	}
	warm := l
	warm.calls, warm.lasting = warmUp, b.lasting
	warm.run(ctx)
	b.up.issued.Store(0)
	before, err := p.usage()
	if err != nil {
		return loaded{}, err
	}
	l.lasting = b.lasting
	o := l.run(ctx)
	after, err := p.usage()
	if err != nil {
		return loaded{}, err
	}
	if len(o.times) == 0 {
		return loaded{}, errors.New("no call was answered")
	}
	return loaded{
		outcome: o, Callers: l.callers, CPU: (after.cpu - before.cpu) / time.Duration(len(o.times)),
		RSS: after.rss, Peak: after.peak, Upstream: float64(b.up.issued.Load()) / float64(len(o.times)),
	}, nil
}

func (b *bench) throughput(ctx context.Context, r *report) error {
	b.up.behave(0, quota{})
	for _, row := range []struct {
		name  string
		reuse string
		into  *loaded
	}{
		{"token reuse off", "0", &r.NoReuse},
		{"token reuse on", "60", &r.Reuse},
	} {
		p, err := b.start(ctx, "load"+row.reuse+".db", "ACS_TOKEN_REUSE_SECONDS="+row.reuse)
		if err != nil {
			return err
		}
		*row.into, err = b.load(ctx, p, load{callers: callers})
		p.stop()
		if err != nil {
			return err
		}
		if n := row.into.others(); n > 0 {
			return fmt.Errorf("%s: %d calls failed", row.name, n)
		}
	}
	return nil
}

func (b *bench) latency(ctx context.Context, r *report) error {
	for _, latency := range []time.Duration{20 * time.Millisecond, 200 * time.Millisecond, 2 * time.Second} {
		p, err := b.start(ctx, "latency.db", "ACS_TOKEN_REUSE_SECONDS=0")
		if err != nil {
			return err
		}
		for _, token := range b.tokens { // makes the identities
			if _, err := once(p, "/api/getUser", token); err != nil {
				p.stop()
				return err
			}
		}
		b.up.behave(latency, quota{})
		l := load{address: p.address, path: getToken, tokens: b.tokens, callers: callers, lasting: b.lasting}
		o := l.run(ctx)
		b.up.behave(0, quota{})
		p.stop()
		r.Latency = append(r.Latency, slow{latency, o})
	}
	return nil
}

// pressure is a crowd of as many users, ACS slow, and more asked of it than
// it grants.
func (b *bench) pressure(ctx context.Context, r *report) error {
	tokens, err := b.up.accessTokens(users(b.crowd))
	if err != nil {
		return err
	}
	for _, row := range []struct {
		name    string
		latency time.Duration
		quota   quota
	}{
		{"ACS answers in 2 s", 2 * time.Second, quota{}},
		{"ACS answers in 2 s and grants 1,000 tokens in 30 s", 2 * time.Second, quota{1000, 30 * time.Second}},
		{"ACS answers at once and grants 1,000 tokens in 30 s", 0, quota{1000, 30 * time.Second}},
	} {
		p, err := b.start(ctx, "pressure.db", "ACS_TOKEN_REUSE_SECONDS=0")
		if err != nil {
			return err
		}
		b.up.behave(0, quota{})
		prepare := load{address: p.address, path: "/api/getUser", tokens: tokens, callers: callers, calls: b.crowd, lasting: time.Minute}
		prepare.run(ctx)
		b.up.behave(row.latency, row.quota)
		l := load{address: p.address, path: getToken, tokens: tokens, callers: b.crowd, lasting: 2 * b.lasting}
		before, err := p.usage()
		if err != nil {
			return err
		}
		o := l.run(ctx)
		granted := b.up.issued.Load()
		u, err := p.usage()
		if err != nil {
			return err
		}
		b.up.behave(0, quota{})
		recovery, err := untilWell(p, tokens[0])
		p.stop()
		if err != nil {
			return err
		}
		r.Pressure = append(r.Pressure, strained{Name: row.name, outcome: o, Granted: granted, CPU: (u.cpu - before.cpu) / time.Duration(len(o.times)), Peak: u.peak, Recovery: recovery})
	}
	return nil
}

// untilWell is how long it takes until a call is answered 200 again.
func untilWell(p *process, token string) (time.Duration, error) {
	began := time.Now()
	for {
		_, err := once(p, getToken, token)
		if err == nil {
			return time.Since(began), nil
		}
		if time.Since(began) > 30*time.Second {
			return 0, fmt.Errorf("not well again: %w", err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (b *bench) growth(ctx context.Context, r *report) error {
	b.up.behave(0, quota{})
	for n := 100; n <= b.mappings; n *= 100 {
		store := fmt.Sprintf("growth%d.db", n)
		known := users(n)
		if err := fill(filepath.Join(b.up.dir, store), b.resource(), known); err != nil {
			return err
		}
		tokens, err := b.up.accessTokens(known[:min(n, mostUsers)])
		if err != nil {
			return err
		}
		for _, users := range slices.Compact([]int{fewUsers, len(tokens)}) {
			g, err := b.grown(ctx, store, n, tokens[:users])
			if err != nil {
				return fmt.Errorf("%d mappings, %d users: %w", n, users, err)
			}
			r.Growth = append(r.Growth, g)
		}
		if err := os.Remove(filepath.Join(b.up.dir, store)); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) grown(ctx context.Context, store string, mappings int, tokens []string) (grown, error) {
	p, err := b.start(ctx, store, "ACS_TOKEN_REUSE_SECONDS=0")
	if err != nil {
		return grown{}, err
	}
	defer p.stop()
	if err := found(p, tokens[0]); err != nil {
		return grown{}, err
	}
	l, err := b.load(ctx, p, load{callers: callers, tokens: tokens})
	if failed := l.others(); err == nil && failed > 0 {
		err = fmt.Errorf("%d calls failed", failed)
	}
	return grown{mappings, len(tokens), l}, err
}

func (b *bench) resource() string {
	host, _, _ := strings.Cut(strings.TrimPrefix(b.up.ACSURL, "https://"), ":")
	return host
}

func machine() string {
	cpu := runtime.GOARCH
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(info)) {
			if name, model, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				cpu = strings.TrimSpace(model)
				break
			}
		}
	}
	return fmt.Sprintf("%d cores, %s, %s, %s", runtime.NumCPU(), cpu, runtime.GOOS, runtime.Version())
}
