// Package funchost stands in for the Azure Functions host on a developer's
// machine: it runs a custom handler as a child process and passes HTTP requests
// to it in the way that the real host does, faults included.
//
// FOR DEVELOPMENT AND TESTS ONLY. It makes no attempt to withstand load or
// attack, keeps its keys in memory, and must never face a network.
//
// Start with Start: it reads an app folder (host.json and the function.json of
// each function), starts the handler, and waits until it answers. The Host is
// an http.Handler, the public front of the app; mount it on the address of your
// choice, and Stop it at the end.
//
// What it promises is that a handler that works here meets no surprise in
// Azure: routes match without regard to case, a wrong method is 404, headers
// arrive altered as they do there, a crash is followed by a restart at once and
// the third crash ends the host, and the handler is only ever killed, never
// asked to leave. Where the source of the real host can be read, that is
// github.com/Azure/azure-functions-host at 4.1037 and what is newer of its HTTP
// worker, this package follows it; where it cannot, the comments say so.
//
// What it leaves out: every binding but httpTrigger, http and timerTrigger, the
// memory of timers (a run missed while the app was down), key management, the /admin endpoints, route
// constraints, customHandler.http.routes, configuration profiles, the retry
// policy of functions, scaling and throttling.
package funchost

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"acsauth/internal/freeport"
)

// maxResponseHeader is what .NET's client takes.
const maxResponseHeader = 64 << 10

// DefaultHostVersion is the version that the host gives as its own.
const DefaultHostVersion = "4.1037.0.0"

// Config says which app to run. Only Root is required; what else is here
// changes what the host itself can't be told in host.json.
type Config struct {
	// Root is the app folder: host.json, and a folder with a function.json for
	// each function.
	Root string

	// Executable, a path or a name on PATH, is run in place of the
	// defaultExecutablePath of host.json, which has to be there all the same.
	Executable string

	// Env is the app settings, in the form of os.Environ: the complete
	// environment of the handler but for the variables that the host adds.
	// Nil stands for os.Environ(). The host itself obeys three of them:
	// AzureWebJobsDisableHomepage, AzureWebJobs.<function>.Disabled and
	// FUNCTIONS_REQUEST_BODY_SIZE_LIMIT, in bytes.
	Env []string

	// Log is told of each line that the handler prints and of what the host has
	// to say. It is called for one Record at a time and must not block.
	Log func(Record)

	// HostVersion is what the handler is told; empty is DefaultHostVersion.
	HostVersion string

	// CORS is what the platform is configured with. The zero value leaves
	// cross-origin requests to the handler.
	CORS CORS

	// NoTraceparent keeps the host from adding a traceparent to a forwarded
	// request that came without. Whether Azure adds one is not known for sure.
	NoTraceparent bool

	// ProbeEvery is the mean interval of GET / requests that the platform sends
	// to the handler while it serves. Zero: none.
	ProbeEvery time.Duration

	// FrontEndTimeout is how long the front end waits for the first byte of an
	// answer before it answers 502 itself; Azure's load balancer has 230 s.
	// Zero: no limit.
	FrontEndTimeout time.Duration

	// ProxyIdleTimeout is how long a proxied request may make no progress.
	// Zero is the host's 240 s.
	ProxyIdleTimeout time.Duration

	// Hostile adds to each request the headers that a client would forge to
	// pass for the platform. Nothing may change for a handler that trusts none
	// of them.
	Hostile bool

	// Now is the clock by which crashes are told to be close together. Nil is
	// time.Now.
	Now func() time.Time
}

// Host is a running app. Its ServeHTTP is the public front.
type Host struct {
	config    Config
	app       *app
	keys      keys
	port      int
	console   *console
	super     *supervisor
	transport *http.Transport

	ctx        context.Context // ends with Stop, or when the host gives up
	cancel     context.CancelFunc
	background sync.WaitGroup // probes and timers
}

// Start runs the app of config and returns when its handler answers HTTP. The
// context bounds the start alone.
//
// Faults of host.json and of every function.json are reported together. The
// real host leaves a faulty function out and goes on; here it is an error, so
// that it gets seen.
//
// An app without functions starts no handler, as in the real host.
func Start(ctx context.Context, config Config) (*Host, error) {
	if config.Env == nil {
		config.Env = os.Environ()
	}
	if config.HostVersion == "" {
		config.HostVersion = DefaultHostVersion
	}
	if config.ProxyIdleTimeout == 0 {
		config.ProxyIdleTimeout = 240 * time.Second
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	root, err := filepath.Abs(config.Root)
	if err != nil {
		return nil, fmt.Errorf("app root: %w", err)
	}
	config.Root = root
	app, err := readApp(root, settings(config.Env))
	if err != nil {
		return nil, err
	}
	if err := config.CORS.check(); err != nil {
		return nil, err
	}
	port, err := choosePort(app.port)
	if err != nil {
		return nil, err
	}
	command, err := newCommand(config, app, port)
	if err != nil {
		return nil, err
	}

	h := &Host{
		config:  config,
		app:     app,
		keys:    newKeys(app.functions),
		port:    port,
		console: &console{log: config.Log},
		transport: &http.Transport{
			DisableCompression:     true,
			MaxIdleConnsPerHost:    100,
			MaxResponseHeaderBytes: maxResponseHeader,
		},
	}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	h.super = &supervisor{
		ctx:     h.ctx,
		cancel:  h.cancel,
		console: h.console,
		launch: func() (*process, error) {
			h.transport.CloseIdleConnections() // they lead to the last process
			return launch(command, h.console)
		},
		ping:        h.ping,
		initTimeout: app.initTimeout,
		now:         config.Now,
		changed:     make(chan struct{}),
		done:        make(chan struct{}),
	}
	if len(app.functions) == 0 {
		h.console.host(slog.LevelWarn, "no functions found: the handler is not started")
		go h.super.rest()
		return h, nil
	}
	if err := h.super.start(); err != nil {
		h.cancel()
		return nil, err
	}
	if _, err := h.super.await(ctx, startsAtFirst); err != nil {
		h.Stop()
		return nil, errors.Join(err, h.Err())
	}
	if config.ProbeEvery > 0 {
		h.background.Go(h.probe)
	}
	for _, f := range app.functions {
		if f.isTimer() && !f.disabled {
			h.background.Go(func() { h.keepTime(f) })
		}
	}
	return h, nil
}

// Stop ends the host. The handler is killed: it gets no signal that it could
// handle and no request to shut down, exactly as in Azure. When Stop returns,
// nothing of the host runs any more.
func (h *Host) Stop() {
	h.cancel()
	<-h.super.done
	h.background.Wait()
	h.transport.CloseIdleConnections()
}

// Done is closed when the host has ended: after Stop, or when it gave up
// because its handler failed for the third time with no 30 minutes between one
// failure and the next. Err tells which.
func (h *Host) Done() <-chan struct{} { return h.super.done }

// Err is nil until Done is closed, and after Stop. It says why a host gave up.
func (h *Host) Err() error { return h.super.ended() }

// Restart kills the handler and starts it anew, without counting it as a
// failure. It returns when the new process has been started; requests wait
// until that one is ready. It is an error when the host has ended, or has no
// handler.
func (h *Host) Restart() error { return h.super.restart() }

// PID is the process id of the handler, zero when none is running.
func (h *Host) PID() int { return h.super.pid() }

// Port is the loopback port that the handler was told to listen on. It stays
// the same over restarts.
func (h *Host) Port() int { return h.port }

// Functions lists the functions of the app.
func (h *Host) Functions() []Function { return h.app.list() }

// FunctionOf names the function that a request is for; empty when there is none
// such.
func (h *Host) FunctionOf(r *http.Request) string {
	if f, _ := h.app.find(r.Method, r.URL.EscapedPath()); f != nil {
		return f.name
	}
	return ""
}

// Records returns what has been logged, oldest first: at most the last 10,000 records.
func (h *Host) Records() []Record { return h.console.all() }

// handlerURL is the base URL of the handler, without a slash at the end.
func (h *Host) handlerURL() string { return "http://" + h.handlerAddr() }

func (h *Host) handlerAddr() string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(h.port))
}

// ping asks for GET /, without any header of the platform. Each answer counts
// as ready, 404 and 500 alike, and so does a broken one: only a connection that
// can't be made does not.
func (h *Host) ping(ctx context.Context) bool {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, h.handlerURL()+"/", nil)
	if err != nil {
		return false
	}
	res, err := h.transport.RoundTrip(r)
	if err == nil {
		_, _ = io.CopyN(io.Discard, res.Body, 64<<10) // so that the connection can be used again
		_ = res.Body.Close()
		return true
	}
	var dial *net.OpError
	return ctx.Err() == nil && (!errors.As(err, &dial) || dial.Op != "dial")
}

// probe pings the handler at random moments, as health checks and the scale
// controller do.
func (h *Host) probe() {
	for {
		select {
		case <-h.ctx.Done():
			return
		case <-time.After(rand.N(2 * h.config.ProbeEvery)):
			ctx, cancel := context.WithTimeout(h.ctx, h.app.initTimeout)
			h.ping(ctx)
			cancel()
		}
	}
}

// choosePort returns the configured port if it can be had, or one that is free.
func choosePort(configured int) (int, error) {
	if configured == 0 {
		return freeport.Find()
	}
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(configured)))
	if err != nil {
		return 0, fmt.Errorf("unable to bind to customHandler.port %d: choose another port, or none for a dynamic one: %w", configured, err)
	}
	return configured, l.Close()
}

// settings reads an environment: the last of two values for a name holds.
func settings(env []string) map[string]string {
	m := make(map[string]string, len(env))
	for _, pair := range env {
		if name, value, ok := strings.Cut(pair, "="); ok {
			m[name] = value
		}
	}
	return m
}
