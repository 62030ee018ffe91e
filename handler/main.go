// Command handler is the service: the custom handler that the Azure Functions
// host runs, and an ordinary HTTP server where there is no host.
//
//	handler            serve
//	handler check      look at the settings and try what they name
//	handler mappings   copy what the store keeps to a file, or back
//	handler teams      who may use Teams Phone Extensibility
//	handler health     ask the service on this machine whether it lives
//	handler version    print the version
//
// Exit codes: 0 for a clean stop, 1 for a failure, 2 for faulty settings or
// arguments.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	tuneMemory(os.Getenv)
	p := Program{Args: os.Args[1:], Environ: os.Environ(), Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr}
	os.Exit(p.Run(ctx))
}
