package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestATemporaryFolderIsPrivateAndGoes(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	f, err := openFolder("")
	require.NoError(t, err)
	info, err := os.Stat(f.path)
	require.NoError(t, err)
	if runtime.GOOS != "windows" {
		assert.Equal(t, os.FileMode(0o700), info.Mode().Perm())
	}
	f.close()
	assert.NoDirExists(t, f.path)
}

func TestLeftoversOfAKilledRunGoAndNothingElse(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	t.Setenv("TMP", temp)
	inUse, err := openFolder("")
	require.NoError(t, err)
	defer inUse.close()
	killed := filepath.Join(temp, folderPrefix+"killed")
	require.NoError(t, os.MkdirAll(filepath.Join(killed, "deep"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(killed, lockFile), nil, 0o600))
	foreign := filepath.Join(temp, folderPrefix+"foreign")
	require.NoError(t, os.Mkdir(foreign, 0o700))
	file := filepath.Join(temp, folderPrefix+"file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	elsewhere := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(elsewhere, lockFile), nil, 0o600))
	link := filepath.Join(temp, folderPrefix+"link")
	require.NoError(t, os.Symlink(elsewhere, link))

	removeLeftovers()
	assert.NoDirExists(t, killed)
	assert.DirExists(t, inUse.path)
	assert.DirExists(t, foreign, "it has no lock, so it may be anybody's")
	assert.FileExists(t, file)
	assert.FileExists(t, filepath.Join(elsewhere, lockFile), "links are not followed")
}

func TestALockThatIsALinkMakesNothingElsewhere(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a link takes rights there that tests do not have")
	}
	dir := t.TempDir()
	elsewhere := filepath.Join(dir, "elsewhere")
	require.NoError(t, os.Symlink(elsewhere, filepath.Join(dir, lockFile)))
	_, err := lock(filepath.Join(dir, lockFile))
	assert.Error(t, err)
	assert.NoFileExists(t, elsewhere)
}

func TestAFolderForStateIsOursAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "state")
	f, err := openFolder(path)
	require.NoError(t, err)
	_, err = openFolder(path)
	assert.ErrorContains(t, err, "is in use by another local cloud")
	f.close()
	assert.DirExists(t, path)
	f, err = openFolder(path)
	require.NoError(t, err, "free again")
	f.close()

	foreign := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(foreign, "thesis.txt"), nil, 0o600))
	_, err = openFolder(foreign)
	assert.ErrorContains(t, err, "is not empty and no state is kept there")

	_, err = openFolder(filepath.Join(foreign, "thesis.txt"))
	assert.ErrorContains(t, err, "the folder that -state names")

	if runtime.GOOS != "windows" {
		open := t.TempDir()
		require.NoError(t, os.Chmod(open, 0o755))
		f, err = openFolder(open)
		require.NoError(t, err)
		defer f.close()
		info, err := os.Stat(open)
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o700), info.Mode().Perm())
	}
}

// A run that is killed leaves its folder and takes its handler along; the next
// start removes the folder.
func TestTheNextStartCleansUpAfterAKilledOne(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux ties the handler's life to the host's")
	}
	temp := t.TempDir()
	exe := buildLocal(t)
	cmd := exec.CommandContext(t.Context(), exe, "-port", "0")
	cmd.Dir = ".."
	cmd.Env = append(os.Environ(), "TMPDIR="+temp)
	out, printed := lines(t)
	cmd.Stdout = out
	require.NoError(t, cmd.Start())
	waitForLine(t, printed, "Ctrl-C stops everything")
	require.NoError(t, cmd.Process.Signal(syscall.SIGKILL))
	_ = cmd.Wait()
	left, err := filepath.Glob(filepath.Join(temp, folderPrefix+"*"))
	require.NoError(t, err)
	require.Len(t, left, 1)
	t.Setenv("TMPDIR", temp)
	f, err := openFolder("")
	require.NoError(t, err)
	defer f.close()
	assert.NoDirExists(t, left[0])
}

func buildLocal(t *testing.T) string {
	t.Helper()
	exe := filepath.Join(t.TempDir(), "local")
	if runtime.GOOS == "windows" {
		exe += ".exe"
	}
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", exe, "acsauth/local").CombinedOutput()
	require.NoError(t, err, string(out))
	return exe
}

func waitForLine(t *testing.T, printed <-chan string, text string) (all []string) {
	t.Helper()
	limit := time.After(time.Minute)
	for {
		select {
		case line, ok := <-printed:
			require.True(t, ok, "it ended without %q: %q", text, all)
			if all = append(all, line); len(line) >= len(text) && line[:len(text)] == text {
				go func() {
					for range printed {
					}
				}()
				return all
			}
		case <-limit:
			require.FailNow(t, "timed out", "waiting for %q: %q", text, all)
		}
	}
}
