package funchost

import (
	"bufio"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTheHandlerDiesWithAHostThatIsKilled(t *testing.T) {
	config := forwarding().write(t)
	cmd := exec.Command(config.Executable)
	cmd.Env = append(os.Environ(), roleVariable+"=host", "ROOT="+config.Root)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	defer func() { _ = cmd.Wait() }()
	defer func() { _ = cmd.Process.Kill() }()
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	addr := strings.TrimSpace(line)
	answers := func() bool {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	}
	require.True(t, answers())
	require.NoError(t, cmd.Process.Kill())
	eventually(t, "nobody listens any more", func() bool { return !answers() })
}

func TestTheHandlerOutlivesTheThreadThatCalledStart(t *testing.T) {
	config := forwarding().write(t)
	started := make(chan *Host)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		h, err := Start(t.Context(), config)
		assert.NoError(t, err)
		started <- h
	}()
	h := <-started
	require.NotNil(t, h)
	defer h.Stop()
	r := running{Host: h}
	pid := h.PID()
	for range 50 { // threads come and go
		done := make(chan struct{})
		go func() {
			runtime.LockOSThread()
			close(done)
		}()
		<-done
	}
	res, err := http.Get(r.handlerURL() + "/")
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	assert.Equal(t, pid, h.PID())
}
