package node

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// recorder is a test that only notes what is said of it.
type recorder struct {
	testing.TB
	log, failure string
}

func (r *recorder) Logf(format string, args ...any)   { r.log += fmt.Sprintf(format, args...) }
func (r *recorder) Errorf(format string, args ...any) { r.failure += fmt.Sprintf(format, args...) }

func TestAScriptDecidesItsTest(t *testing.T) {
	Path(t) // skips here
	for _, c := range []struct {
		name, script string
		limit        time.Duration
		log, failure string
	}{
		{"one that succeeds", `console.log(process.env.SAID)`, time.Minute, "hello", ""},
		{"one that fails", `console.error("why"); process.exitCode = 3`, time.Minute, "why", "-e: exit status 3"},
		{"one that hangs", `setInterval(() => {}, 1000)`, 300 * time.Millisecond, "", "-e was not done within 300ms"},
		{"one that hangs and will not be interrupted", `process.on("SIGINT", () => {}); setInterval(() => {}, 1000)`, time.Second, "", "-e was not done within 1s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := &recorder{TB: t}
			Run(r, t.TempDir(), []string{"SAID=hello"}, c.limit, "-e", c.script)
			assert.Contains(t, r.log, c.log)
			assert.Equal(t, c.failure, r.failure)
		})
	}
}

func TestAMissingProgramIsAFailureInCI(t *testing.T) {
	t.Run("skipped", func(t *testing.T) {
		t.Setenv("CI", "")
		t.Cleanup(func() { assert.True(t, t.Skipped()) })
		Program(t, "install it", "no-such-program", "nor-this-one")
	})
	t.Setenv("CI", "true")
	r := &fatal{recorder: recorder{TB: t}}
	assert.Panics(t, func() { Program(r, "install it", "no-such-program") })
	assert.Equal(t, "no-such-program is not on PATH: install it", r.failure)
	assert.Equal(t, Path(t), Program(t, "", "no-such-program", "node"))
}

type fatal struct{ recorder }

func (f *fatal) Fatalf(format string, args ...any) {
	f.Errorf(format, args...)
	panic("fatal")
}
