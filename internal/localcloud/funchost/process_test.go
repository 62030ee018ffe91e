package funchost

import (
	"context"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPoint04TheHandlerGetsItsEnvironmentAndFolder(t *testing.T) {
	app := forwarding()
	app.env = []string{"SETTING=one"}
	app.custom["description"] = object{
		"defaultExecutablePath": "handler", "workingDirectory": "do", "arguments": []string{"--x", "%SETTING%"},
	}
	r := app.start(t)
	e := r.echo(t, r.request(t, http.MethodGet, "/api/do/echo", ""))

	vars := settings(e.Env)
	port := strconv.Itoa(r.Port())
	assert.Equal(t, "one", vars["SETTING"])
	assert.Equal(t, port, vars["FUNCTIONS_CUSTOMHANDLER_PORT"])
	assert.Equal(t, port, vars["FUNCTIONS_HTTPWORKER_PORT"])
	assert.Regexp(t, guid, vars["FUNCTIONS_CUSTOMHANDLER_WORKER_ID"])
	assert.Equal(t, vars["FUNCTIONS_CUSTOMHANDLER_WORKER_ID"], vars["FUNCTIONS_HTTPWORKER_ID"])
	assert.Equal(t, r.config.Root, vars["FUNCTIONS_APP_ROOT_PATH"])
	assert.Equal(t, []string{"--x", "one"}, e.Args)
	assert.Equal(t, "do", filepath.Base(e.Dir))
	assert.Equal(t, r.PID(), e.PID)
}

func TestPoint04ConfigEnvIsTheCompleteEnvironment(t *testing.T) {
	t.Setenv("LEFTOVER", "of the developer")
	app := forwarding()
	app.config = func(c *Config) { c.Env = []string{roleVariable + "=handler"} }
	r := app.start(t)
	e := r.echo(t, r.request(t, http.MethodGet, "/api/do/echo", ""))
	assert.NotContains(t, settings(e.Env), "LEFTOVER")
}

func TestPoint05AnyAnswerToAPingIsReady(t *testing.T) {
	// The handler of the tests answers GET / with 404, but for these.
	for _, start := range []string{"garbage", "reset"} {
		app := forwarding()
		app.env = []string{"START=" + start}
		r := app.start(t)
		assertEmpty(t, http.StatusInternalServerError, r.send(t, http.MethodGet, "/api/do/echo", ""))
	}
}

func TestPoint05AHandlerThatDoesNotAnswerInTimeIsStartedThreeTimes(t *testing.T) {
	t.Parallel()
	for _, start := range []string{"mute", "hold", "elsewhere", "exit:0"} {
		t.Run(start, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			var timeouts int
			app := setup{env: []string{"START=" + start}, custom: object{"initializationTimeout": "00:00:01"}}
			app.config = func(c *Config) {
				c.Log = func(r Record) {
					mu.Lock()
					defer mu.Unlock()
					if strings.HasPrefix(r.Text, "initializing the handler timed out") {
						timeouts++
					}
				}
			}
			_, err := Start(t.Context(), app.write(t))
			assert.ErrorContains(t, err, "timed out")
			assert.ErrorContains(t, err, "exceeded the restart count")
			mu.Lock()
			defer mu.Unlock()
			assert.Equal(t, 3, timeouts)
		})
	}
}

func TestPoint07AHandlerThatOnlyAsksForRestartsEndsTheHost(t *testing.T) {
	t.Parallel()
	_, err := Start(t.Context(), setup{
		env:    []string{"START=exit:200"},
		custom: object{"initializationTimeout": "00:00:01"}, // in which the process has to come to its end
	}.write(t))
	assert.ErrorIs(t, err, errNotRunning)
	assert.ErrorContains(t, err, "not ready in time")
}

func TestTheContextOfStartBoundsTheStart(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := Start(ctx, setup{env: []string{"START=mute"}}.write(t))
	assert.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestPoint06RequestsWaitForTheHandler(t *testing.T) {
	gate := filepath.Join(t.TempDir(), "gate")
	touch(t, gate)
	app := forwarding()
	app.env = []string{"START=wait:" + gate}
	r := app.start(t)
	first := r.PID()
	require.NoError(t, os.Remove(gate))
	require.NoError(t, r.Restart())
	assert.NotEqual(t, first, r.PID())

	answer := r.doLater(r.request(t, http.MethodGet, "/api/do/echo", ""))
	select {
	case <-answer:
		assert.Fail(t, "answered before the handler could")
	case <-time.After(50 * time.Millisecond): // long enough for a wrong answer
	}
	touch(t, gate)
	assert.Equal(t, http.StatusOK, (<-answer).status)
}

func TestPoint07TheThirdFailureEndsTheHost(t *testing.T) {
	r := forwarding().start(t)
	for range 2 {
		pid := r.PID()
		assertEmpty(t, http.StatusInternalServerError, r.crash(t, "3"))
		r.replaced(t, pid)
		require.NoError(t, r.Err())
	}
	// Whichever is noticed first, the end of the handler or of the host.
	assert.Contains(t, []int{http.StatusInternalServerError, http.StatusServiceUnavailable}, r.crash(t, "3").status)
	<-r.Done()
	assert.ErrorContains(t, r.Err(), "exceeded the restart count")
	assert.ErrorContains(t, r.Err(), "exit status 3")
	assert.Zero(t, r.PID())

	res := r.send(t, http.MethodGet, "/api/do/echo", "")
	assert.Equal(t, http.StatusServiceUnavailable, res.status)
	assert.Contains(t, res.body, "not running")
	assert.Error(t, r.Restart())
}

func TestPoint07FailuresMoreThanThirtyMinutesApartDoNotAddUp(t *testing.T) {
	var now atomic.Int64
	app := forwarding()
	app.config = func(c *Config) { c.Now = func() time.Time { return time.Unix(now.Load(), 0) } }
	r := app.start(t)
	for range 4 {
		now.Add(30*60 + 1)
		pid := r.PID()
		r.crash(t, "3")
		r.replaced(t, pid)
	}
	assert.NoError(t, r.Err())
}

func TestPoint07ExitCodesTellWhatFollows(t *testing.T) {
	t.Run("0 is the end of the handler, not of the host", func(t *testing.T) {
		r := forwarding().start(t)
		assertEmpty(t, http.StatusInternalServerError, r.crash(t, "0"))
		eventually(t, "no process", func() bool { return r.PID() == 0 })
		assertEmpty(t, http.StatusInternalServerError, r.send(t, http.MethodGet, "/api/do/echo", ""))
		require.NoError(t, r.Restart())
		assert.Equal(t, http.StatusOK, r.send(t, http.MethodGet, "/api/do/echo", "").status)
	})
	t.Run("200 asks for a restart, any number of times", func(t *testing.T) {
		r := forwarding().start(t)
		for range 4 {
			pid := r.PID()
			r.crash(t, "200")
			r.replaced(t, pid)
		}
		assert.Equal(t, http.StatusOK, r.send(t, http.MethodGet, "/api/do/echo", "").status)
	})
	t.Run("a signal is a failure", func(t *testing.T) {
		r := forwarding().start(t)
		for range 3 {
			pid := r.PID()
			p, err := os.FindProcess(pid)
			require.NoError(t, err)
			require.NoError(t, p.Kill())
			eventually(t, "another process, or the end", func() bool { now := r.PID(); return now != pid && now != 0 || r.Err() != nil })
		}
		assert.Error(t, r.Err())
	})
}

func TestARestartIsNoFailure(t *testing.T) {
	r := forwarding().start(t)
	for range 4 {
		pid := r.PID()
		require.NoError(t, r.Restart())
		assert.NotEqual(t, pid, r.PID())
		assert.Equal(t, http.StatusOK, r.send(t, http.MethodGet, "/api/do/echo", "").status)
	}
	assert.NoError(t, r.Err())
}

func TestNothingIsSentToAProcessThatIsToGo(t *testing.T) {
	r := forwarding().start(t)
	p, err := r.super.await(t.Context(), startsPerRequest)
	require.NoError(t, err)
	r.super.recycle(p)
	next, err := r.super.await(t.Context(), startsPerRequest)
	require.NoError(t, err)
	assert.NotSame(t, p, next)
}

func TestPoint08StopKillsAndLeavesNothingBehind(t *testing.T) {
	before := runtime.NumGoroutine()
	for _, app := range []setup{forwarding(), proxying()} {
		app.config = func(c *Config) { c.ProbeEvery = time.Millisecond }
		t.Run("", func(t *testing.T) {
			r := app.start(t)
			pid := r.PID()
			answer := r.doLater(r.request(t, http.MethodGet, "/api/do/hang", ""))
			r.logged(t, "hanging")
			r.Stop()
			// Whichever is noticed first, the end of the host or of the handler.
			assert.Contains(t, []int{http.StatusServiceUnavailable, http.StatusInternalServerError}, (<-answer).status)
			assert.NoError(t, r.Err())
			<-r.Done()
			assert.Zero(t, r.PID())
			p, err := os.FindProcess(pid)
			if err == nil {
				assert.ErrorIs(t, p.Kill(), os.ErrProcessDone)
			}
			r.Stop() // a second time does no harm
		})
	}
	// The condition runs in a goroutine of its own.
	eventually(t, "no goroutine left", func() bool { return runtime.NumGoroutine() <= before+1 })
}

func TestPoint09LinesOfTheHandlerBecomeRecords(t *testing.T) {
	app := forwarding()
	r := app.start(t)
	r.send(t, http.MethodGet, "/api/do/print?out=one%0Atwo%0A&err=Warned%0Aa+failure%0A", "")
	r.send(t, http.MethodGet, "/api/do/print?out=LanguageWorkerConsoleLogfor+the+host%0Aazfuncjsonlog:for+tools%0A", "")
	for _, want := range []Record{
		{Text: "one", Level: slog.LevelInfo, Category: CategoryConsole},
		{Text: "two", Level: slog.LevelInfo, Category: CategoryConsole},
		{Text: "Warned", Level: slog.LevelWarn, Category: CategoryConsole},
		{Text: "a failure", Level: slog.LevelError, Category: CategoryConsole},
		{Text: "for the host", Level: slog.LevelInfo, Category: CategoryWorker},
		{Text: "for tools", Level: slog.LevelInfo, Category: CategoryTooling},
	} {
		got := r.logged(t, want.Text)
		assert.Equal(t, want.Text, got.Text)
		assert.Equal(t, want.Level, got.Level, got.Text)
		assert.Equal(t, want.Category, got.Category, got.Text)
	}
	r.send(t, http.MethodGet, "/api/do/print?out=no+newline+at+the+end", "")
	r.crash(t, "4")
	r.logged(t, "no newline at the end")
	assert.Contains(t, r.logged(t, "exit status 4").Text, "a failure", "what stderr said last")
}

func TestPoint09StderrMayBeForMoreThanErrors(t *testing.T) {
	app := forwarding()
	app.custom["description"] = object{"defaultExecutablePath": "handler", "useStdErrorStreamForErrorsOnly": false}
	r := app.start(t)
	r.send(t, http.MethodGet, "/api/do/print?err=all+is+well%0Athis+FAILED%0Afair+warning%0A", "")
	assert.Equal(t, slog.LevelInfo, r.logged(t, "all is well").Level)
	assert.Equal(t, slog.LevelError, r.logged(t, "this FAILED").Level)
	assert.Equal(t, slog.LevelWarn, r.logged(t, "fair warning").Level)
}
