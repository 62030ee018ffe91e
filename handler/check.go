package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"acsauth/internal/config"
)

// maxTokenInput is more than any access token has, line end included.
const maxTokenInput = 64 << 10

const checkUsage = `usage: handler check [--json] [--token -]
  --json       print the findings as JSON
  --token -    also judge the access token on standard input
`

// item is one finding of a check.
type item struct {
	Part   string `json:"part"` // settings, entra, acs, store, clock or token
	Name   string `json:"name"`
	Status status `json:"status"`
	Detail string `json:"detail,omitempty"`
	Cure   string `json:"cure,omitempty"`
}

type status string

const (
	statusOK   status = "ok"
	statusWarn status = "warn"
	statusFail status = "fail"
	statusSkip status = "skip" // not looked at, because of what failed before it
)

// checkup gathers findings.
type checkup struct{ items []item }

func (c *checkup) add(part, name string, s status, detail, cure string) {
	c.items = append(c.items, item{part, name, s, detail, cure})
}

// judge adds the outcome of a try, and reports whether it was good.
func (c *checkup) judge(part, name, detail string, err error, cure string) bool {
	if err == nil {
		c.add(part, name, statusOK, detail, "")
		return true
	}
	c.add(part, name, statusFail, plainly(err), cure)
	return false
}

func (c *checkup) failed() bool {
	for _, i := range c.items {
		if i.Status == statusFail {
			return true
		}
	}
	return false
}

// check looks at every setting, tries everything that they name, and says what
// to mend. What it writes, one row of the mapping table or a row in the embedded
// store's file, it deletes again.
func (p *Program) check(ctx context.Context, args []string) int {
	flags := flag.NewFlagSet("check", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	asJSON := flags.Bool("json", false, "")
	token := flags.String("token", "", "")
	if err := flags.Parse(args); err != nil {
		return p.explainUsage("check", checkUsage, err)
	}
	if flags.NArg() > 0 { // it may be a token
		return p.explainUsage("check", checkUsage, errors.New("there is one argument too many"))
	}
	if *token != "" && *token != "-" {
		p.printf(p.Stderr, "acsauth: give the token on standard input, with --token -: everybody on this machine can read a command line\n")
		return exitUsage
	}
	var c checkup
	code := exitOK
	cfg, err := config.Load(p.Environ)
	c.settings(p.Environ, cfg, err)
	if err != nil {
		code = exitUsage
	} else if p.try(ctx, &c, cfg, *token); c.failed() {
		code = exitFailure
	}
	if *asJSON {
		p.printJSON(c.items, code)
	} else {
		p.printItems(c.items)
	}
	return code
}

func (c *checkup) settings(environ []string, cfg config.Config, err error) {
	var faults config.Faults
	_ = errors.As(err, &faults)
	for _, g := range config.Inspect(environ, faults) {
		detail := "default: " + strings.ReplaceAll(g.Default, "`", "")
		if g.Set {
			detail = g.Value + ", from the environment"
		}
		switch {
		case g.Problem == "":
			c.add("settings", g.Name, statusOK, detail, "")
			continue
		case g.Set:
			detail += ": it " + g.Problem
		default:
			detail = g.Problem
		}
		c.add("settings", g.Name, statusFail, detail, "It takes: "+strings.ReplaceAll(g.Meaning, "`", "")+".")
	}
	for _, name := range cfg.UnknownNames {
		c.add("settings", name, statusWarn, "looks like a setting but is none", "Compare its spelling with the list above.")
	}
}

// try calls what the settings name.
func (p *Program) try(ctx context.Context, c *checkup, cfg config.Config, token string) {
	s, err := open(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		part := ""
		if unopened := (*openError)(nil); errors.As(err, &unopened) {
			part, err = unopened.part, unopened.err
		}
		c.add("start", part, statusFail, plainly(err), openCure(cfg, part))
		return
	}
	defer s.close()
	dates := watchDates(s.client)
	c.entra(ctx, s, cfg)
	c.acs(ctx, s, cfg)
	c.store(ctx, s, cfg)
	c.clocks(dates)
	if token == "" {
		return
	}
	raw, err := io.ReadAll(io.LimitReader(p.Stdin, maxTokenInput))
	if err != nil {
		c.add("token", "input", statusFail, plainly(err), "Send the token on standard input.")
		return
	}
	c.token(ctx, s, strings.TrimSpace(string(raw)))
}

func (p *Program) printItems(items []item) {
	width := 0
	for _, i := range items {
		width = max(width, len(i.Name))
	}
	part := ""
	for _, i := range items {
		if i.Part != part {
			part = i.Part
			p.printf(p.Stdout, "%s\n", part)
		}
		p.printf(p.Stdout, "  %-4s  %-*s  %s\n", i.Status, width, i.Name, i.Detail)
		if i.Cure != "" {
			p.printf(p.Stdout, "  %4s  %-*s  → %s\n", "", width, "", i.Cure)
		}
	}
	counts := map[status]int{}
	for _, i := range items {
		counts[i.Status]++
	}
	p.printf(p.Stdout, "%d ok, %d warnings, %d failed\n", counts[statusOK], counts[statusWarn], counts[statusFail])
}

func (p *Program) printJSON(items []item, code int) {
	e := json.NewEncoder(p.Stdout)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	_ = e.Encode(struct {
		OK       bool   `json:"ok"`
		ExitCode int    `json:"exitCode"`
		Findings []item `json:"findings"`
	}{code == exitOK, code, items})
}

// plainly is an error without the code that is meant for clients.
func plainly(err error) string {
	if cause := errors.Unwrap(err); cause != nil && isForClients(err) {
		err = cause
	}
	return strings.TrimSpace(fmt.Sprint(err))
}
