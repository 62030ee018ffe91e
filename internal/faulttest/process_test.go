package faulttest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"acsauth/internal/child"
)

const (
	startTimeout = 60 * time.Second
	stopTimeout  = 40 * time.Second
	// answerTimeout is the handler's own deadline of 15 s and what two busy cores
	// may add.
	answerTimeout = 25 * time.Second
)

// process is one running handler.
type process struct {
	t      testing.TB
	url    string
	client *http.Client
	log    *log
	cmd    *exec.Cmd
	exited chan struct{}
	killed atomic.Bool // or about to be
}

// log is what a handler prints.
type log struct {
	mu   sync.Mutex
	text bytes.Buffer
	news chan struct{} // closed and made anew at each write
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.news)
	l.news = make(chan struct{})
	return l.text.Write(p)
}

func (l *log) read() (text string, news <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String(), l.news
}

// await waits for the first line with the given text in it.
func (p *process) await(text string, timeout time.Duration) (line string, ok bool) {
	deadline := time.After(timeout)
	for {
		all, news := p.log.read()
		for line := range strings.Lines(all) {
			if strings.Contains(line, text) && strings.HasSuffix(line, "\n") {
				return line, true
			}
		}
		select {
		case <-news:
		case <-p.exited:
			return "", false
		case <-deadline:
			return "", false
		}
	}
}

// startProcess runs a handler with the given environment until it is stopped,
// killed, or the test ends.
func startProcess(t testing.TB, client *http.Client, environ []string) *process {
	t.Helper()
	p := &process{t: t, client: client, log: &log{news: make(chan struct{})}, exited: make(chan struct{})}
	p.cmd = exec.Command(executable)
	p.cmd.Env = environ
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	p.cmd.WaitDelay = time.Second
	exited, err := child.Start(p.cmd)
	require.NoError(t, err)
	go func() {
		<-exited // the log tells why
		close(p.exited)
	}()
	t.Cleanup(func() {
		if !p.killed.Load() {
			p.kill()
		}
	})
	line, ok := p.await(`"listening"`, startTimeout)
	text, _ := p.log.read()
	require.True(t, ok, "the handler did not start: %s", text)
	var listening struct{ Address string }
	require.NoError(t, json.NewDecoder(strings.NewReader(line)).Decode(&listening))
	p.url = "http://127.0.0.1" + listening.Address[strings.LastIndexByte(listening.Address, ':'):]
	return p
}

// kill ends the process as a crash does: it learns nothing of it.
func (p *process) kill() {
	p.killed.Store(true)
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.exited
	p.ended()
}

// stop lets the process finish what it has begun.
func (p *process) stop() {
	if runtime.GOOS == "windows" {
		p.kill() // there are no other signals
		return
	}
	p.killed.Store(true)
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		assert.ErrorIs(p.t, err, os.ErrProcessDone)
	}
	select {
	case <-p.exited:
		assert.Equal(p.t, 0, p.cmd.ProcessState.ExitCode(), "a clean stop")
	case <-time.After(stopTimeout):
		p.kill()
		assert.Fail(p.t, "the handler did not stop")
	}
	p.ended()
}

// ended looks through the log: it must be JSON, a line for a line, so that no
// panic and no data race is in it, and nothing secret.
func (p *process) ended() {
	text, _ := p.log.read()
	lines := bufio.NewReader(strings.NewReader(text))
	for {
		line, err := lines.ReadString('\n')
		if errors.Is(err, io.EOF) {
			break // a line that was cut short is no line
		}
		if !json.Valid([]byte(line)) {
			assert.Fail(p.t, "the handler's log is not JSON", "%s", text[strings.Index(text, line):])
			break
		}
	}
	for _, secret := range append(cloud.Secrets(), upstreamWords) {
		assert.NotContains(p.t, text, secret, "in the log")
	}
}
