// Command local runs the whole service on this machine, offline: stand-ins for
// Microsoft Entra ID and Azure Communication Services, and the real handler,
// built from this source and run in the way the Azure Functions host runs it.
//
//	go run ./local         serve on http://localhost:7071 until Ctrl-C
//	go run ./local demo    walk once through everything, then exit
//
// FOR DEVELOPMENT ONLY: anyone on this machine can sign in as any sample user.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"acsauth/internal/localcloud/knobs"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run returns the exit code: 0 for success, 1 for a failure, 2 for wrong
// arguments.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("local", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		_, _ = fmt.Fprint(stderr, "usage:\n  go run ./local [flags]         serve until Ctrl-C\n  go run ./local [flags] demo    walk once through everything\n\nflags:\n")
		flags.PrintDefaults()
	}
	port := flags.Int("port", 7071, "port of the service; the demo takes a free one unless this is given")
	entraPort := flags.Int("entra-port", 0, "port of the stand-in for Entra ID; 0 is a free one")
	acsPort := flags.Int("acs-port", 0, "port of the stand-in for ACS; 0 is a free one")
	graphPort := flags.Int("graph-port", 0, "port of the stand-in for Microsoft Graph; 0 is a free one")
	o := options{}
	flags.Func("knob", "a `fault`, such as acs:status=503,probability=0.2; may be given several times, see docs/local-cloud.md", func(line string) error {
		_, err := knobs.Parse(line)
		o.knobs = append(o.knobs, line)
		return err
	})
	if err := flags.Parse(args); err != nil {
		return 2
	}
	o.port, o.entraPort, o.acsPort, o.graphPort = *port, *entraPort, *acsPort, *graphPort
	ctx = endWithParent(ctx)
	switch {
	case flags.NArg() == 0:
		return report(stderr, serve(ctx, o, stdout))
	case flags.NArg() == 1 && flags.Arg(0) == "demo":
		if !isSet(flags, "port") {
			o.port = 0
		}
		return report(stderr, demo(ctx, o, stdout))
	}
	flags.Usage()
	return 2
}

func isSet(flags *flag.FlagSet, name string) (set bool) {
	flags.Visit(func(f *flag.Flag) { set = set || f.Name == name })
	return set
}

func report(stderr io.Writer, err error) int {
	if err == nil {
		return 0
	}
	_, _ = fmt.Fprintf(stderr, "\nlocal: %v\n", err)
	return 1
}
