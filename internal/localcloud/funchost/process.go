package funchost

import (
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"acsauth/internal/child"
)

// killWait is how long the host waits for a killed process, and for the pipes
// that a child of the handler may hold open.
const killWait = time.Second

// command is what to run, time and again.
type command struct {
	path, dir string
	args, env []string
	strict    bool // stderr is for errors only
}

// newCommand resolves what host.json describes.
func newCommand(config Config, a *app, port int) (command, error) {
	d := a.description
	vars := settings(config.Env)
	c := command{
		dir:    filepath.Join(config.Root, d.WorkingDirectory),
		strict: d.UseStdErrorStreamForErrorsOnly == nil || *d.UseStdErrorStreamForErrorsOnly,
		env: append(slices.Clone(config.Env),
			"FUNCTIONS_CUSTOMHANDLER_PORT="+strconv.Itoa(port),
			"FUNCTIONS_HTTPWORKER_PORT="+strconv.Itoa(port),
			"FUNCTIONS_APP_ROOT_PATH="+config.Root),
	}
	if filepath.IsAbs(d.WorkingDirectory) {
		c.dir = d.WorkingDirectory
	}

	var line []string
	for _, arg := range d.Arguments {
		line = append(line, expand(arg, vars))
	}
	if d.DefaultWorkerPath != "" {
		line = append(line, `"`+expand(d.DefaultWorkerPath, vars)+`"`)
	}
	for _, arg := range d.WorkerArguments {
		line = append(line, expand(arg, vars))
	}
	c.args = splitArguments(strings.Join(line, " "))

	path := config.Executable
	if path == "" {
		path = expand(d.DefaultExecutablePath, vars)
		base := d.WorkerDirectory
		if !filepath.IsAbs(base) {
			base = filepath.Join(config.Root, base)
		}
		if joined := filepath.Join(base, path); !filepath.IsAbs(path) && isFile(joined) {
			path = joined
		}
	}
	// Found now rather than at each start: exec would look for a relative path
	// below c.dir.
	found, err := exec.LookPath(path)
	if err != nil {
		return c, fmt.Errorf("executable of the handler: %w", err)
	}
	c.path, err = filepath.Abs(found)
	return c, err
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir()
}

var percentName = regexp.MustCompile(`%([^%\s]+)%`)

// expand replaces each %NAME% by the app setting; one that isn't set vanishes.
func expand(s string, vars map[string]string) string {
	return percentName.ReplaceAllStringFunc(s, func(m string) string { return vars[strings.Trim(m, "%")] })
}

var argument = regexp.MustCompile(`(?:[^\s"]|"[^"]*")+`)

// splitArguments splits as the host's runtime does: it joins the arguments with
// spaces and quotes none, so that one with a space in it becomes two.
func splitArguments(line string) []string {
	args := argument.FindAllString(line, -1)
	for i, a := range args {
		args[i] = strings.ReplaceAll(a, `"`, "")
	}
	return args
}

// process is one run of the handler.
type process struct {
	cmd    *exec.Cmd
	exited chan struct{} // closed when it has ended and its output is read

	recycled    chan struct{} // closed to have it killed and another one started
	recycleOnce sync.Once

	mu     sync.Mutex
	errors []string // the last three lines of level Error
}

// launch starts a process. It returns once that runs.
func launch(c command, console *console) (*process, error) {
	p := &process{
		cmd:      exec.Command(c.path, c.args...),
		exited:   make(chan struct{}),
		recycled: make(chan struct{}),
	}
	stdout := &lines{console: console, level: stdoutLevel}
	stderr := &lines{console: console, level: stderrLevel, failure: p.remember}
	if !c.strict {
		stderr.level = mixedStderrLevel
	}
	worker := newGUID()
	p.cmd.Dir = c.dir
	p.cmd.Env = append(slices.Clone(c.env), "FUNCTIONS_CUSTOMHANDLER_WORKER_ID="+worker, "FUNCTIONS_HTTPWORKER_ID="+worker)
	p.cmd.Stdout, p.cmd.Stderr = stdout, stderr
	p.cmd.WaitDelay = killWait

	exited, err := child.Start(p.cmd)
	if err != nil {
		return nil, fmt.Errorf("start handler: %w", err)
	}
	go func() {
		<-exited // the state tells how it ended
		stdout.flush()
		stderr.flush()
		close(p.exited)
	}()
	console.host(slog.LevelInfo, "handler started: pid %d, %s", p.cmd.Process.Pid, c.path)
	return p, nil
}

// kill ends the process with SIGKILL, or the like of it elsewhere. It waits for
// the end, but not for ever: a process can be stuck in the kernel.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // an error means that it has ended
	select {
	case <-p.exited:
	case <-time.After(2 * killWait):
	}
}

// recycle asks for a restart that is nobody's fault.
func (p *process) recycle() { p.recycleOnce.Do(func() { close(p.recycled) }) }

func (p *process) running() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

func (p *process) remember(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.errors = append(p.errors, line)
	p.errors = p.errors[max(0, len(p.errors)-3):]
}

// end describes how the process ended, with the errors that it printed last.
// Only after exited.
func (p *process) end() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	err := fmt.Errorf("handler, pid %d: %s", p.cmd.Process.Pid, p.cmd.ProcessState)
	if len(p.errors) > 0 {
		err = fmt.Errorf("%w: %s", err, strings.Join(p.errors, " | "))
	}
	return err
}
