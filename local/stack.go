package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"acsauth/internal/config"
	"acsauth/internal/localcloud"
	"acsauth/internal/localcloud/entraid"
	"acsauth/internal/localcloud/funchost"
	"acsauth/internal/localcloud/knobs"
	"acsauth/internal/localcloud/page"
)

type options struct {
	port, entraPort, acsPort, graphPort int // 0 is a free one
	usualPort                           int // for port where it is notGiven
	knobs                               []string
	state                               string // folder to keep state in; empty keeps none
	cors                                []string
}

// notGiven stands for a port that no flag gives.
const notGiven = -1

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
	base                 // whose URL is the service's
	knobs *knobs.Service // those of the functions
	host  *funchost.Host
	token string // of the first sample user
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
	root, err := moduleRoot(ctx)
	if err != nil {
		return s, err
	}
	if err := s.open(ctx, o, "the service"); err != nil {
		return s, err
	}
	// Before any knob is turned, so that this at least works.
	if s.token, err = s.cloud.SignIn(ctx, entraid.SampleUsers()[0], localcloud.APIScope); err != nil {
		return s, fmt.Errorf("the sample user could not be signed in: %w", err)
	}
	functions, err := funchost.ReadFunctions(root, nil)
	if err != nil {
		return s, err
	}
	cors := funchost.CORS{AllowedOrigins: o.cors}
	s.knobs = s.cloud.Knobs.Add(localcloud.HTTPService(functions, func(r *http.Request) string { return s.host.FunctionOf(r) }, cors))
	if err := turnKnobs(s.cloud, o); err != nil {
		return s, err
	}
	handler, err := buildHandler(ctx, root, s.folder.path)
	if err != nil {
		return s, err
	}
	s.host, err = funchost.Start(ctx, funchost.Config{
		Root: root, Executable: handler, Env: s.environ(), Log: log, CORS: cors,
	})
	if err != nil {
		return s, fmt.Errorf("the handler did not start: %w", err)
	}
	s.serve(s.front())
	return s, nil
}

// front is the host's with the page in front of it: the page takes the place of
// the homepage that the host has.
func (s *stack) front() http.Handler {
	p := page.New(page.Config{
		Cloud: s.cloud, URL: s.URL, Service: s.URL,
		Functions: s.host.Functions(), Key: s.host.FunctionKey(),
		Restart: s.host.Restart, Trigger: s.host.Trigger,
	})
	functions := s.knobs.Handler(p.Observe(s.host))
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
	s.stopServing()
	if s.host != nil {
		s.host.Stop()
	}
	s.base.stop()
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
		environ = append(environ, "LOCAL_STORE_PATH="+s.folder.file(storeFile))
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
	return exe, os.Chmod(exe, 0o700) // as all in its folder
}

func withStderr(err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return fmt.Errorf("%w: %s", err, strings.TrimSpace(string(exit.Stderr)))
	}
	return err
}

func printf(w io.Writer, format string, args ...any) { _, _ = fmt.Fprintf(w, format, args...) }
