// Command package builds what goes to Azure Functions: bin/handler, which
// host.json names, and a zip with it, host.json and the function.json of each
// function.
//
//	go run ./tools/package [-arch amd64|arm64] [-version v1.2.3] [-o file.zip]
//
// It runs on any system that Go runs on. With the same sources, version and Go
// toolchain the zip is the same to the byte, wherever the checkout is. After it,
// the folder is also ready for `func azure functionapp publish`.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
)

// Architectures that the handler is built for. Azure Functions itself runs
// amd64; arm64 is for containers and machines of one's own.
var architectures = []string{"amd64", "arm64"}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "package:", err)
		}
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("package", flag.ContinueOnError)
	flags.SetOutput(stderr)
	arch := flags.String("arch", "amd64", "architecture, `amd64 or arm64`")
	version := flags.String("version", "", "version that the handler prints; by default what git describe says")
	out := flags.String("o", "", "`file` to write; by default dist/acsauth-linux-<arch>.zip")
	if err := flags.Parse(args); err != nil {
		return err
	}
	switch {
	case flags.NArg() > 0:
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case !slices.Contains(architectures, *arch):
		return fmt.Errorf("-arch: expected %s, got %q", strings.Join(architectures, " or "), *arch)
	}
	root, err := moduleRoot(ctx)
	if err != nil {
		return err
	}
	if *version == "" {
		*version = describe(ctx, root)
	}
	if strings.ContainsAny(*version, " \t\n'\"") {
		return fmt.Errorf("-version: %q has a space or a quote in it", *version)
	}
	if *out == "" {
		*out = filepath.Join(root, "dist", "acsauth-linux-"+*arch+".zip")
	}
	if err := build(ctx, root, *arch, *version, stderr); err != nil {
		return err
	}
	size, err := pack(root, *out)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "%s: acsauth %s for linux/%s, %.1f MB\n", *out, *version, *arch, float64(size)/1e6)
	return err
}

// build leaves the program where host.json looks for it.
func build(ctx context.Context, root, arch, version string, stderr io.Writer) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false",
		"-ldflags=-s -w -X main.version="+version, "-o", filepath.FromSlash(executable), "./handler")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch, "GOFLAGS=", "GOEXPERIMENT=", "GOFIPS140=off", "GOAMD64=v1", "GOARM64=v8.0")
	cmd.Stdout, cmd.Stderr = stderr, stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("the handler does not build: %w", err)
	}
	return nil
}

// moduleRoot is the checkout that this program is run from.
func moduleRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "acsauth").Output()
	if err != nil {
		return "", fmt.Errorf("run this inside a checkout of acsauth: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// describe names the commit, or nothing in particular outside a git checkout.
func describe(ctx context.Context, root string) string {
	out, err := exec.CommandContext(ctx, "git", "-C", root, "describe", "--tags", "--always", "--dirty").Output()
	if err != nil {
		return "dev"
	}
	return strings.TrimSpace(string(out))
}
