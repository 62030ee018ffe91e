// Command bench measures the service over loopback, as a client sees it, and
// writes docs/performance.md from what it measured.
//
//	go run ./bench             measure and print
//	go run ./bench -write      also write docs/performance.md
//
// The handler is the binary that goes to Azure, in a process of its own. Its
// upstreams are the local cloud, in this process, which also makes the load: what
// it reports as a rate is what the machine gives to all of them together. It
// takes some five minutes and ends by itself. Resident memory and CPU time are
// read from /proc, so they need Linux.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

const benchTimeout = 20 * time.Minute

func main() {
	if of := os.Getenv(yardstickOf); of != "" {
		exitOn(printYardstick(of))
		return
	}
	write := flag.Bool("write", false, "write docs/performance.md")
	seconds := flag.Int("seconds", 8, "how long each load lasts")
	rows := flag.Int("mappings", 1_000_000, "the most mappings that growth is measured with")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, benchTimeout)
	defer cancel()
	r, err := measure(ctx, size{
		lasting: time.Duration(*seconds) * time.Second, yardstick: 2 * time.Second,
		starts: 15, crowd: 1000, mappings: *rows,
	}, os.Stderr)
	if err == nil {
		err = r.render(os.Stdout)
	}
	if err == nil && *write {
		err = writeFile("docs/performance.md", r.render)
	}
	exitOn(err)
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func writeFile(name string, render func(io.Writer) error) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	if err := render(f); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}
