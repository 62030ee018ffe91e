package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"acsauth/internal/freeport"
)

// process is a handler that runs.
type process struct {
	cmd     *exec.Cmd
	address string
	began   time.Time
	ready   time.Duration // from its start to the first 200 of GET /
}

// buildHandler builds what goes to Azure, for this machine.
func buildHandler(ctx context.Context, dir string) (string, error) {
	exe := filepath.Join(dir, "handler")
	if runtime.GOOS == "windows" {
		exe += ".exe"
	}
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", exe, "acsauth/handler")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("the handler does not build: %w\n%s", err, out)
	}
	return exe, nil
}

// startProcess starts the handler on a free port and waits for its first 200.
func startProcess(ctx context.Context, exe string, environ []string) (*process, error) {
	port, err := freeport.Find()
	if err != nil {
		return nil, err
	}
	p := &process{cmd: exec.CommandContext(ctx, exe), address: fmt.Sprintf("127.0.0.1:%d", port)}
	p.cmd.Env = append(environ, fmt.Sprintf("FUNCTIONS_CUSTOMHANDLER_PORT=%d", port))
	var complaint strings.Builder
	p.cmd.Stderr = &complaint
	p.began = time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	for {
		if resp, err := http.Get("http://" + p.address + "/"); err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
			p.ready = time.Since(p.began)
			return p, nil
		}
		if time.Since(p.began) > time.Minute {
			p.stop()
			return nil, fmt.Errorf("the handler does not answer: %s", complaint.String())
		}
		time.Sleep(200 * time.Microsecond)
	}
}

func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	timer := time.AfterFunc(25*time.Second, func() { _ = p.cmd.Process.Kill() })
	defer timer.Stop()
	_ = p.cmd.Wait()
}

// clockTick is the unit of CPU time in /proc: USER_HZ, which is 100 wherever Go
// runs on Linux.
const clockTick = 10 * time.Millisecond

// usage is what the process has used so far.
type usage struct {
	cpu       time.Duration
	rss, peak int // KiB
}

func (p *process) usage() (usage, error) { return usageOf(strconv.Itoa(p.cmd.Process.Pid)) }

// usageOf reads /proc/<pid>, where pid may be self.
func usageOf(pid string) (u usage, err error) {
	dir := "/proc/" + pid + "/"
	stat, err := os.ReadFile(dir + "stat")
	if err != nil {
		return u, err
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(after)
	for _, ticks := range fields[11:13] { // utime and stime
		n, err := strconv.Atoi(ticks)
		if err != nil {
			return u, err
		}
		u.cpu += time.Duration(n) * clockTick
	}
	status, err := os.ReadFile(dir + "status")
	if err != nil {
		return u, err
	}
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		n, _ := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(value), " kB"))
		switch name {
		case "VmRSS":
			u.rss = n
		case "VmHWM":
			u.peak = n
		}
	}
	return u, nil
}
