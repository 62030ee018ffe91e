package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"acsauth/internal/config"
	"acsauth/internal/localcloud"
	"acsauth/internal/localcloud/funchost"
	"acsauth/internal/localcloud/page"
)

type options struct {
	port, entraPort, acsPort, graphPort int
	knobs                               []string
}

// passedOn are the settings that the user may give. The others are the
// stand-ins': a variable meant for a real resource never gets through.
var passedOn = []string{
	"IDENTITY_STORE", "GRAPH_EXTENSION_NAME", "GRAPH_MAPPING_KEYS", "GRAPH_ACCEPT_UNSEALED", "LOCAL_STORE_PATH", "TABLES_CONNECTION_STRING", "TABLES_TABLE_NAME",
	"ACS_TOKEN_SCOPES", "ACS_ROLE_SCOPES", "ACS_TOKEN_EXPIRES_IN_MINUTES", "ACS_TOKEN_REUSE_SECONDS", "ACS_API_VERSION",
	"TEAMS_ON_BEHALF_OF", "RATE_LIMIT_PER_USER", "LOG_LEVEL", "LOG_USER_KEY",
}

// stack is everything that runs: the stand-ins, the host with the handler under
// it, and the public front.
type stack struct {
	dir    string
	cloud  *localcloud.Cloud
	host   *funchost.Host
	server *http.Server
	URL    string // of the service, http://localhost:<port>
}

// startStack builds the handler and starts everything. log is given each line
// that the handler prints.
func startStack(ctx context.Context, o options, log func(funchost.Record)) (s *stack, err error) {
	s = &stack{}
	defer func() {
		if err != nil {
			s.stop()
		}
	}()
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", o.port))
	if err != nil {
		return s, fmt.Errorf("can't listen: %w\nIs another copy running? Stop it, or choose another port with -port", err)
	}
	defer func() {
		if err != nil {
			_ = listener.Close()
		}
	}()
	s.URL = fmt.Sprintf("http://localhost:%d", listener.Addr().(*net.TCPAddr).Port)
	if s.dir, err = os.MkdirTemp("", "acsauth-local-"); err != nil {
		return s, err
	}
	root, err := moduleRoot(ctx)
	if err != nil {
		return s, err
	}
	handler, err := buildHandler(ctx, root, s.dir)
	if err != nil {
		return s, err
	}
	if s.cloud, err = localcloud.Start(localcloud.Options{Dir: s.dir, EntraPort: o.entraPort, ACSPort: o.acsPort, GraphPort: o.graphPort}); err != nil {
		return s, err
	}
	s.host, err = funchost.Start(ctx, funchost.Config{Root: root, Executable: handler, Env: s.environ(), Log: log})
	if err != nil {
		return s, fmt.Errorf("the handler did not start: %w", err)
	}
	front := s.front()
	for _, line := range o.knobs {
		if _, err := s.cloud.Knobs.Turn(line); err != nil {
			return s, err
		}
	}
	s.server = &http.Server{Handler: front, ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: 32 << 10}
	go func() { _ = s.server.Serve(listener) }()
	return s, nil
}

// front is the host's with the page in front of it: the page takes the place of
// the homepage that the host has.
func (s *stack) front() http.Handler {
	service := s.cloud.Knobs.Add(localcloud.HTTPService(s.host.Functions(), s.host.FunctionOf))
	p := page.New(page.Config{
		Cloud: s.cloud, URL: s.URL, Service: s.URL,
		Functions: s.host.Functions(), Key: s.host.FunctionKey(),
		Restart: s.host.Restart, Trigger: s.host.Trigger,
	})
	functions := service.Handler(p.Observe(s.host))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if page.Owns(r) && s.host.FunctionOf(r) == "" {
			p.ServeHTTP(w, r)
			return
		}
		functions.ServeHTTP(w, r)
	})
}

// stop ends everything that was started; nothing is left behind.
func (s *stack) stop() {
	if s.server != nil {
		_ = s.server.Close()
	}
	if s.host != nil {
		s.host.Stop()
	}
	if s.cloud != nil {
		s.cloud.Close()
	}
	if s.dir != "" {
		_ = os.RemoveAll(s.dir)
	}
}

// environ is what the handler gets to see: this process's own environment
// without any setting of the service, then the settings of this stack.
func (s *stack) environ() []string {
	settings := map[string]bool{"SSL_CERT_DIR": true, "SSL_CERT_FILE": true}
	for _, setting := range config.Settings() {
		settings[setting.Name] = !slices.Contains(passedOn, setting.Name)
	}
	given := map[string]bool{}
	var environ []string
	for _, pair := range os.Environ() {
		name, value, _ := strings.Cut(pair, "=")
		if !settings[name] {
			environ = append(environ, pair)
			given[name] = value != ""
		}
	}
	if !given["IDENTITY_STORE"] {
		environ = append(environ, "IDENTITY_STORE="+config.StoreLocal)
	}
	if !given["LOCAL_STORE_PATH"] {
		environ = append(environ, "LOCAL_STORE_PATH="+filepath.Join(s.dir, "identities.db"))
	}
	return append(environ, s.cloud.Settings()...)
}

// moduleRoot is the checkout that this program was run from.
func moduleRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "acsauth").Output()
	if err != nil {
		return "", fmt.Errorf("run this inside a checkout of acsauth, with Go installed: %w", withStderr(err))
	}
	return strings.TrimSpace(string(out)), nil
}

func buildHandler(ctx context.Context, root, dir string) (string, error) {
	exe := filepath.Join(dir, "handler")
	if runtime.GOOS == "windows" {
		exe += ".exe"
	}
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", exe, "./handler")
	build.Dir = root
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("the handler does not build: %w\n%s", err, out)
	}
	return exe, nil
}

func withStderr(err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return fmt.Errorf("%w: %s", err, strings.TrimSpace(string(exit.Stderr)))
	}
	return err
}

func printf(w io.Writer, format string, args ...any) { _, _ = fmt.Fprintf(w, format, args...) }
