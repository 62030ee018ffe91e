package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime/debug"
	"slices"
	"strings"

	"acsauth/internal/config"
)

const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
)

// version is set by the release build: -ldflags "-X main.version=v1.2.3".
var version = "dev"

const usage = `usage:
  handler            serve
  handler check      look at the settings and try what they name;
                     --json, and --token - for a token on standard input
  handler health     ask the service on this machine whether it lives
  handler mappings   copy what the store keeps to a file, or back
  handler teams      who may use Teams Phone Extensibility
  handler version    print the version
`

// Program is one run of the command.
type Program struct {
	Args           []string // without the program's name
	Environ        []string // as os.Environ
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Listening      func(net.Addr) // called once the server listens; may be nil
}

// Run does what Args say until it is done or ctx ends, and returns the exit
// code.
func (p *Program) Run(ctx context.Context) int {
	if len(p.Args) > 0 {
		switch p.Args[0] {
		case "check":
			return p.check(ctx, p.Args[1:])
		case "mappings":
			return p.mappings(ctx, p.Args[1:])
		case "teams":
			return p.teams(ctx, p.Args[1:])
		}
	}
	switch strings.Join(p.Args, " ") {
	case "":
		return p.configured(ctx, p.serve)
	case "health":
		return p.configured(ctx, p.health)
	case "version", "--version", "-version":
		p.printf(p.Stdout, "acsauth %s\n", fullVersion())
		return exitOK
	case "help", "--help", "-help", "-h":
		p.printf(p.Stdout, "%s", usage)
		return exitOK
	}
	p.printf(p.Stderr, "handler: there is no such command\n\n%s", usage)
	return exitUsage
}

// parseVerb returns the first of args, one of verbs, and parses the flags behind it.
func parseVerb(flags *flag.FlagSet, args []string, verbs ...string) (verb string, err error) {
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") { // as -help does
		verb, args = args[0], args[1:]
	}
	flags.SetOutput(io.Discard)
	if err := flags.Parse(args); err != nil {
		return "", err
	}
	last := len(verbs) - 1
	say := "say " + strings.Join(verbs[:last], ", ") + " or " + verbs[last]
	switch {
	case verb == "":
		return "", errors.New(say)
	case !slices.Contains(verbs, verb):
		return "", fmt.Errorf("there is no %q: %s", verb, say)
	}
	return verb, nil
}

// explainUsage says how a command is used, and what is wrong with its arguments
// where they did not ask for that.
func (p *Program) explainUsage(command, usage string, err error) int {
	if errors.Is(err, flag.ErrHelp) {
		p.printf(p.Stdout, "%s", usage)
		return exitOK
	}
	p.printf(p.Stderr, "handler %s: %v\n\n%s", command, err, usage)
	return exitUsage
}

// configured runs work with the configuration, or reports its faults.
func (p *Program) configured(ctx context.Context, work func(context.Context, config.Config, *slog.Logger) error) int {
	cfg, err := config.Load(p.Environ)
	if err != nil {
		p.printf(p.Stderr, "acsauth can't start: the settings need mending.\n%v\n", indent(err.Error()))
		return exitUsage
	}
	log := slog.New(slog.NewJSONHandler(p.Stdout, &slog.HandlerOptions{Level: cfg.LogLevel}))
	if err := work(ctx, cfg, log); err != nil {
		if !errors.Is(err, errReported) {
			p.printf(p.Stderr, "acsauth: %v\n", err)
		}
		if unopened := (*openError)(nil); errors.As(err, &unopened) {
			p.printf(p.Stderr, "  %s\n", openCure(cfg, unopened.part))
		}
		return exitFailure
	}
	return exitOK
}

// errReported is a failure that the user has been told of.
var errReported = errors.New("reported")

func indent(lines string) string { return "  " + strings.ReplaceAll(lines, "\n", "\n  ") }

func (p *Program) printf(w io.Writer, format string, args ...any) {
	_, _ = fmt.Fprintf(w, format, args...)
}

func fullVersion() string {
	v := version
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				v += " (" + s.Value[:min(12, len(s.Value))] + ")"
			}
		}
		v += " " + info.GoVersion
	}
	return v
}
