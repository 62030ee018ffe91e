package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/rs/cors"

	"acsauth/functions"
	"acsauth/internal/config"
)

const (
	// maxHeader is room for two access tokens beside each other.
	maxHeader = 32 << 10
	// stopTimeout is how long requests and shared work under way may take to end
	// after a signal.
	stopTimeout = 22 * time.Second

	sweepInterval = 5 * time.Minute
)

// serve answers requests until ctx ends. Nothing depends on its ending well: the
// Functions host kills its handlers.
func (p *Program) serve(ctx context.Context, cfg config.Config, log *slog.Logger) error {
	s, err := open(cfg, log)
	if err != nil {
		return err
	}
	defer s.close()
	folder, from := appFolder(p.Environ)
	table, err := functions.ReadRouteTable(folder)
	if err != nil {
		return fmt.Errorf("routes from %s: %w", from, err)
	}
	handler, err := functions.New(s.functions(cfg), table)
	if err != nil {
		return fmt.Errorf("routes from %s: %w", from, err)
	}

	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address(cfg))
	if err != nil {
		return fmt.Errorf("can't listen where PORT, or the Functions host, says: %w", err)
	}
	server := newServer(withCORS(handler, cfg.CORSOrigins), log)
	log.Info("listening", "address", listener.Addr().String(), "version", fullVersion(), "store", cfg.Store,
		"resource", s.acs.Resource(), "routes", from)
	switch sealsOf(cfg) {
	case sealsNone:
		log.Info("mappings have no seal: " + firstCome)
	case sealsSome:
		log.Warn("mappings without a seal are taken: " + firstCome + "; take GRAPH_ACCEPT_UNSEALED away when all have moved over")
	}
	for _, name := range cfg.UnknownNames {
		log.Warn("a variable looks like a setting but is none", "name", name)
	}
	if p.Listening != nil {
		p.Listening(listener.Addr())
	}

	background, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		warm(background, s.slow(), log)
		s.sweep(background, cfg.UnderHost)
	}()
	defer func() { cancel(); <-done }()

	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("can't serve: %w", err)
	case <-ctx.Done():
	}
	log.Info("stopping")
	stopping, cancelStop := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancelStop()
	if err := server.Shutdown(stopping); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	// An identity may be under way whose caller has left.
	if err := s.identities.Wait(stopping); err != nil {
		log.Warn("stopped with work under way", "error", err.Error())
	}
	return nil
}

// address is loopback alone under the Functions host, which is the only one to
// talk to a custom handler.
func address(cfg config.Config) string {
	host := ""
	if cfg.UnderHost {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, strconv.Itoa(cfg.Port))
}

func newServer(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       20 * time.Second,
		WriteTimeout:      40 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
}

// withCORS is for browser clients where no platform answers their preflights.
func withCORS(h http.Handler, origins []string) http.Handler {
	if len(origins) == 0 {
		return h
	}
	return cors.New(cors.Options{
		AllowedOrigins: origins,
		AllowedMethods: []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodDelete},
		AllowedHeaders: []string{"Authorization", "Content-Type", "teams-user-aad-token", "traceparent", "tracestate"},
		ExposedHeaders: []string{"WWW-Authenticate", "Retry-After", "X-Request-Id"},
		MaxAge:         600,
	}).Handler(h)
}
