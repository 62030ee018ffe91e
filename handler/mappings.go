package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"time"

	"acsauth/internal/backup"
	"acsauth/internal/config"
	"acsauth/internal/identity"
)

const mappingsUsage = `usage:
  handler mappings export [-file FILE] [-after KEY] [-dry-run]
  handler mappings import [-file FILE] [-after N] [-dry-run]

Writes what the store of the settings keeps, mappings and erasures not yet done,
as one JSON object a line; or puts such lines into it, where they change nothing
that is there. Stop the service before a move.

  -file FILE   write to a new file, or read from it, in place of the standard
               output or input
  -after KEY   export: begin behind this user, as an export that stopped said
  -after N     import: leave out the first N lines, as an import that stopped said
  -dry-run     count, compare, and change nothing
`

// mappingsCommand is what the arguments behind "handler mappings" say.
type mappingsCommand struct {
	verb   string
	file   string
	user   string // export: begin behind this Key
	lines  int    // import: begin behind this line
	dryRun bool
}

// mappings copies what the store keeps to lines of JSON, or back.
func (p *Program) mappings(ctx context.Context, args []string) int {
	cmd, err := parseMappingsCommand(args)
	if err != nil {
		return p.explainUsage("mappings", mappingsUsage, err)
	}
	return p.configured(ctx, func(ctx context.Context, cfg config.Config, _ *slog.Logger) error {
		if cmd.verb == "export" {
			return p.export(ctx, cfg, cmd)
		}
		return p.importLines(ctx, cfg, cmd)
	})
}

func parseMappingsCommand(args []string) (c mappingsCommand, err error) {
	flags := flag.NewFlagSet("mappings", flag.ContinueOnError)
	flags.StringVar(&c.file, "file", "", "")
	after := flags.String("after", "", "")
	flags.BoolVar(&c.dryRun, "dry-run", false, "")
	if c.verb, err = parseVerb(flags, args, "export", "import"); err != nil {
		return c, err
	}
	switch {
	case flags.NArg() > 0:
		return c, fmt.Errorf("%q is one argument too many: a file goes behind -file", flags.Arg(0))
	case *after == "":
	case c.verb == "import":
		if c.lines, err = strconv.Atoi(*after); err != nil || c.lines < 0 {
			return c, errors.New("-after is not a number of lines")
		}
	default:
		if _, err := identity.ParseUser(*after); err != nil {
			return c, fmt.Errorf("-after is not a user as an export that stopped names it: %w", err)
		}
		c.user = *after
	}
	return c, nil
}

func (p *Program) export(ctx context.Context, cfg config.Config, cmd mappingsCommand) error {
	if cfg.Store == config.StoreLocal {
		if _, err := os.Stat(cfg.LocalPath); err != nil {
			return fmt.Errorf("no identity store to export: %w", err) // to open it would make it
		}
	}
	s, err := open(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer s.close()
	out, finish := p.Stdout, func() error { return nil }
	switch {
	case cmd.dryRun:
		out = io.Discard
	case cmd.file != "":
		// Readable to its owner alone, and none that is there is touched.
		f, err := os.OpenFile(cmd.file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		defer f.Close()
		out, finish = f, func() error { return errors.Join(f.Sync(), f.Close()) }
	}
	progress := p.newProgress()
	done, err := backup.Export(ctx, s.store, out, backup.ExportOptions{
		Resource: s.acs.Resource(), After: cmd.user,
		Report:   func(err error) { progress.clear(); p.printf(p.Stderr, "left out: %v\n", err) },
		Progress: func(done backup.Exported) { progress.show("%d mappings, %d erasures", done.Mappings, done.Erasures) },
	})
	if err == nil {
		err = finish()
	}
	progress.clear()
	p.printf(p.Stderr, "exported %d mappings and %d erasures; %d could not be read\n", done.Mappings, done.Erasures, done.Unreadable)
	switch {
	case errors.Is(err, identity.ErrUnordered):
		return errors.New("this store lists in no order: export all of it, without -after")
	case errors.As(err, new(*identity.Error)) && done.Last != "":
		p.printf(p.Stderr, "stopped early. What was written is whole; for the rest: -after %s\n", done.Last)
		return reason(ctx, err)
	case err != nil:
		return reason(ctx, err)
	case done.Unreadable > 0:
		return errReported
	}
	return nil
}

func (p *Program) importLines(ctx context.Context, cfg config.Config, cmd mappingsCommand) error {
	in := p.Stdin
	if cmd.file != "" {
		f, err := os.Open(cmd.file)
		if err != nil {
			return err
		}
		defer f.Close()
		in = f
	}
	s, err := open(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer s.close()
	progress := p.newProgress()
	done, err := backup.Import(ctx, s.store, in, backup.ImportOptions{
		Resource: s.acs.Resource(), After: cmd.lines, DryRun: cmd.dryRun,
		Report:   func(n int, err error) { progress.clear(); p.printf(p.Stderr, "line %d: %v\n", n, err) },
		Progress: func(done backup.Imported) { progress.show("%d lines", done.Lines) },
	})
	progress.clear()
	verb := "imported"
	if cmd.dryRun {
		verb = "would import"
	}
	p.printf(p.Stderr, "%s %d mappings and %d erasures; %d mappings were there, %d in conflict, %d lines refused\n",
		verb, done.Created, done.Erasures, done.There, done.Conflict, done.Refused)
	switch {
	case err != nil:
		p.printf(p.Stderr, "stopped early. For the rest: -after %d\n", done.Lines)
		return reason(ctx, err)
	case done.Conflict+done.Refused > 0:
		return errReported
	}
	return nil
}

// reason puts the user's own interrupt in place of what followed from it.
func reason(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return errors.New("interrupted")
	}
	return err
}

// progress is a line on a terminal that is written over.
type progress struct {
	terminal io.Writer // nil where there is none
	next     time.Time
	shown    bool
}

func (p *Program) newProgress() *progress {
	if f, ok := p.Stderr.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			return &progress{terminal: f}
		}
	}
	return &progress{}
}

func (g *progress) show(format string, args ...any) {
	if g.terminal == nil || time.Now().Before(g.next) {
		return
	}
	g.next = time.Now().Add(time.Second / 4)
	g.shown = true
	_, _ = fmt.Fprintf(g.terminal, "\r\x1b[K"+format, args...)
}

// clear makes room for a line that stays.
func (g *progress) clear() {
	if g.shown {
		g.shown = false
		_, _ = io.WriteString(g.terminal, "\r\x1b[K")
	}
}
