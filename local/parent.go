package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const parentInterval = 300 * time.Millisecond

// endWithParent returns a context that also ends when `go run` does. `go run`
// keeps the interrupts it gets to itself, and when it is terminated or killed it
// leaves its program running; a program that was installed lives on its own.
func endWithParent(ctx context.Context) context.Context {
	exe, err := os.Executable()
	if err != nil || !strings.Contains(exe, string(filepath.Separator)+"go-build") {
		return ctx
	}
	ctx, cancel := context.WithCancel(ctx)
	parent := os.Getppid()
	go func() {
		defer cancel()
		ticker := time.NewTicker(parentInterval)
		defer ticker.Stop()
		for os.Getppid() == parent {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
		}
	}()
	return ctx
}
