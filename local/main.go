// Command local runs the whole service on this machine, offline: stand-ins for
// Microsoft Entra ID and Azure Communication Services, and the real handler,
// built from this source and run in the way the Azure Functions host runs it.
//
//	go run ./local             serve on http://localhost:7071 until Ctrl-C
//	go run ./local -no-host    the stand-ins alone, for func start and for other clients
//	go run ./local demo        walk once through everything, then exit
//
// FOR DEVELOPMENT ONLY: anyone on this machine can sign in as any sample user.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"acsauth/internal/localcloud/knobs"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// servicePort is where the Functions host has its own for development, too.
const servicePort = 7071

// run returns the exit code: 0 for success, 1 for a failure, 2 for wrong
// arguments.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	command, o, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		return 2
	}
	ctx = endWithParent(ctx)
	err = command(ctx, o, stdout)
	if ctx.Err() != nil { // an error then only says what was broken off
		printf(stdout, "\nStopped.\n")
	} else if err != nil {
		printf(stderr, "\nlocal: %v\n", err)
	}
	if err != nil {
		return 1
	}
	return 0
}

type command func(ctx context.Context, o options, out io.Writer) error

// parse reads the command line. What is wrong with it is printed.
func parse(args []string, stderr io.Writer) (command, options, error) {
	o := options{port: notGiven, entraPort: notGiven, acsPort: notGiven, graphPort: notGiven}
	flags := flag.NewFlagSet("local", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		printf(stderr, "usage:\n  go run ./local [flags]         serve until Ctrl-C\n  go run ./local [flags] demo    walk once through everything\n\nflags:\n")
		flags.PrintDefaults()
	}
	port := func(name, usage string, port *int) {
		flags.Func(name, usage, func(text string) error {
			n, err := strconv.ParseUint(text, 10, 16)
			if err != nil {
				return errors.New("expected 0 to 65535")
			}
			*port = int(n)
			return nil
		})
	}
	port("port", "`port` of the service and the page (default 7071; 7070 with -no-host; any for the demo; 0 is a free one)", &o.port)
	port("entra-port", "`port` of the stand-in for Entra ID (default a free one)", &o.entraPort)
	port("acs-port", "`port` of the stand-in for ACS (default a free one)", &o.acsPort)
	port("graph-port", "`port` of the stand-in for Microsoft Graph (default a free one)", &o.graphPort)
	noHost := flags.Bool("no-host", false, "run the stand-ins alone and write a local.settings.json for func start")
	flags.StringVar(&o.state, "state", "", "`folder` to keep everything in, so that the next start goes on where this one stops")
	flags.Func("cors", "`origin` of pages that may call the service, such as http://localhost:3000; may be given several times", func(origin string) error {
		u, err := url.Parse(origin)
		if origin != "*" && (err != nil || u.Host == "" || !strings.EqualFold(origin, u.Scheme+"://"+u.Host)) {
			return errors.New("expected scheme://host or scheme://host:port, or * for any")
		}
		o.cors = append(o.cors, origin)
		return nil
	})
	flags.Func("knob", "a `line` such as acs:status=503,probability=0.2; may be given several times, see docs/local-cloud.md", func(line string) error {
		_, err := knobs.Parse(line)
		o.knobs = append(o.knobs, line)
		return err
	})
	if err := flags.Parse(args); err != nil {
		return nil, o, err
	}
	switch {
	case flags.NArg() == 0 && *noHost:
		o.usualPort = pagePort
		return serveStandIns, o, nil
	case flags.NArg() == 0:
		o.usualPort = servicePort
		return serve, o, nil
	case flags.NArg() == 1 && flags.Arg(0) == "demo" && !*noHost:
		return demo, o, nil
	}
	err := fmt.Errorf("no such command: %s", strings.Join(args, " "))
	printf(stderr, "%v\n", err)
	flags.Usage()
	return nil, o, err
}
