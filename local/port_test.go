package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestABusyPortSaysWhoHasItAndWhatToDo(t *testing.T) {
	s, err := startStack(t.Context(), options{}, nil)
	require.NoError(t, err)
	defer s.stop()
	var out, errs bytes.Buffer
	require.Eventually(t, func() bool { // it is asked, and has not long to answer
		errs.Reset()
		assert.Equal(t, 1, run(t.Context(), []string{"-port", strings.TrimPrefix(s.URL, "http://localhost:")}, &out, &errs))
		return strings.Contains(errs.String(), fmt.Sprintf("is taken by another local cloud (process %d)", os.Getpid()))
	}, time.Minute, time.Millisecond)
	assert.Contains(t, errs.String(), "choose another port with -port")

	other, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer other.Close()
	port := strconv.Itoa(other.Addr().(*net.TCPAddr).Port)
	for _, flag := range []string{"-port", "-entra-port", "-acs-port", "-graph-port"} {
		errs.Reset()
		assert.Equal(t, 1, run(t.Context(), []string{"-port", "0", flag, port}, &out, &errs))
		assert.Contains(t, errs.String(), "port "+port)
		assert.Contains(t, errs.String(), "choose another port with "+flag)
		if runtime.GOOS == "linux" {
			assert.Contains(t, errs.String(), fmt.Sprintf("is taken by process %d (", os.Getpid()))
		}
	}
}

func TestTwoCopiesRunSideBySide(t *testing.T) {
	one, err := startStack(t.Context(), options{}, nil)
	require.NoError(t, err)
	defer one.stop()
	two, err := startStack(t.Context(), options{}, nil)
	require.NoError(t, err)
	defer two.stop()
	assert.NotEqual(t, one.folder.path, two.folder.path)
	assert.NotEqual(t, one.cloud.Secrets(), two.cloud.Secrets(), "keys are random")
	assert.FileExists(t, one.folder.file(storeFile), "the second start has left the first alone")
}

// Every socket that listens, of this process and of the handler, does so on
// loopback.
func TestNothingListensBeyondLoopback(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells")
	}
	s, err := startStack(t.Context(), options{}, nil)
	require.NoError(t, err)
	defer s.stop()
	own := map[string]bool{}
	for _, pid := range []int{os.Getpid(), s.host.PID()} {
		files, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
		require.NoError(t, err)
		for _, file := range files {
			if target, err := os.Readlink(file); err == nil {
				own[target] = true
			}
		}
	}
	listening := 0
	for table, loopback := range map[string]string{"/proc/net/tcp": "0100007F:", "/proc/net/tcp6": "00000000000000000000000001000000:"} {
		text, err := os.ReadFile(table)
		require.NoError(t, err)
		for line := range strings.Lines(string(text)) {
			if f := strings.Fields(line); f[3] == "0A" && own["socket:["+f[9]+"]"] {
				listening++
				assert.True(t, strings.HasPrefix(f[1], loopback), "%s in %s", f[1], table)
			}
		}
	}
	assert.GreaterOrEqual(t, listening, 5, "front, handler, Entra ID, ACS, Graph")
}

// What the linker has put into the handler is what counts.
func TestTheHandlerContainsNothingOfTheLocalCloud(t *testing.T) {
	const mark = "acsauth/internal/localcloud"
	symbols := func(pkg string) string {
		exe := filepath.Join(t.TempDir(), "program")
		out, err := exec.CommandContext(t.Context(), "go", "build", "-o", exe, pkg).CombinedOutput()
		require.NoError(t, err, string(out))
		table, err := exec.CommandContext(t.Context(), "go", "tool", "nm", exe).Output()
		require.NoError(t, err)
		return string(table)
	}
	assert.NotContains(t, symbols("acsauth/handler"), mark)
	assert.Contains(t, symbols("acsauth/local"), mark, "this is how it would show")
}
