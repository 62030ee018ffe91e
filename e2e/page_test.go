package e2e

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"acsauth/internal/child"
)

var pageLine = regexp.MustCompile(`^ +the page +(http://localhost:\d+)/$`)

// A newcomer's way: start it, go through the page, stop it. Nothing complains.
func TestThePageOfTheLocalCloud(t *testing.T) {
	packages(t)
	exe := filepath.Join(t.TempDir(), "local")
	if runtime.GOOS == "windows" {
		exe += ".exe"
	}
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", exe, "acsauth/local").CombinedOutput()
	require.NoError(t, err, string(out))
	local := exec.CommandContext(t.Context(), exe, "-port", "0")
	local.Dir = ".."
	var complaints bytes.Buffer
	local.Stderr = &complaints
	stdout, err := local.StdoutPipe()
	require.NoError(t, err)
	exited, err := child.Start(local)
	require.NoError(t, err)
	lines := bufio.NewScanner(stdout)
	page := ""
	for page == "" && lines.Scan() {
		if found := pageLine.FindStringSubmatch(lines.Text()); found != nil {
			page = found[1]
		}
	}
	require.NotEmpty(t, page, "no page was announced\n%s", &complaints)
	go func() {
		for lines.Scan() {
		}
	}()
	runScript(t, "page.mjs", append(browser(t), "PAGE="+page, "LOCAL_PROCESS="+strconv.Itoa(local.Process.Pid),
		"DELETED="+strings.Join(deleted(), ","), "SCREENSHOTS="+os.Getenv("ACSAUTH_SCREENSHOTS"))...)
	assert.NoError(t, <-exited, "the script has stopped it")
	assert.Empty(t, complaints.String())
}
