package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"acsauth/internal/localcloud/funchost"
)

// The demo is the test: each of its steps checks what it claims.
func TestTheDemo(t *testing.T) {
	var out, errs bytes.Buffer
	require.Equal(t, 0, run(t.Context(), []string{"demo"}, &out, &errs), "%s\n%s", &out, &errs)
	assert.Regexp(t, `All 12 steps done in`, out.String())
	assert.Empty(t, errs.String())
}

func TestTheDemoFailsWithAReasonWhenTheStoreDoes(t *testing.T) {
	t.Setenv("IDENTITY_STORE", "tables")
	t.Setenv("TABLES_CONNECTION_STRING", "AccountName=acc;AccountKey=c2VjcmV0;TableEndpoint=http://127.0.0.1:1/acc")
	var out, errs bytes.Buffer
	assert.Equal(t, 1, run(t.Context(), []string{"demo"}, &out, &errs))
	assert.Contains(t, errs.String(), "demo failed at getUser: GET getUser answered 503 upstream_unavailable")
	assert.Contains(t, errs.String(), "connection refused", "the handler's own words")
	assert.NotContains(t, out.String(), "All 12 steps")
}

func TestTheDemoFailsWithAReasonWhenTheHandlerDoesNotStart(t *testing.T) {
	t.Setenv("LOCAL_STORE_PATH", filepath.Join("/dev/null", "store.db"))
	var out, errs bytes.Buffer
	assert.Equal(t, 1, run(t.Context(), []string{"demo"}, &out, &errs))
	assert.Contains(t, errs.String(), "the handler did not start")
	assert.Contains(t, errs.String(), "identity store", "the handler's own words")
}

func TestSettingsForRealResourcesNeverReachTheHandler(t *testing.T) {
	t.Setenv("ACS_CONNECTION_STRING", "endpoint=https://real.communication.azure.com/;accesskey=cmVhbA==")
	t.Setenv("AzureWebJobsStorage", "DefaultEndpointsProtocol=https;AccountName=real;AccountKey=cmVhbA==")
	t.Setenv("ENTRA_TENANT_ID", "11111111-1111-4111-8111-111111111111")
	var out, errs bytes.Buffer
	require.Equal(t, 0, run(t.Context(), []string{"demo"}, &out, &errs), errs.String())
}

func TestWrongArguments(t *testing.T) {
	for args, want := range map[string]string{
		"serve":                        "no such command: serve",
		"-no-host demo":                "no such command: -no-host demo",
		"-nothing":                     "not defined: -nothing",
		"-port web":                    "expected 0 to 65535",
		"-cors http://localhost:3000/": "expected scheme://host",
		"-cors localhost:3000":         "expected scheme://host",
		"-cors null":                   "expected scheme://host",
	} {
		var errs bytes.Buffer
		assert.Equal(t, 2, run(t.Context(), strings.Fields(args), io.Discard, &errs), args)
		assert.Contains(t, errs.String(), want)
		assert.Contains(t, errs.String(), "usage:")
	}
	var errs bytes.Buffer
	assert.Equal(t, 0, run(t.Context(), []string{"-h"}, io.Discard, &errs))
	assert.Contains(t, errs.String(), "usage:")
}

func TestADemoThatIsStoppedHasNoFaultToReport(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, errs bytes.Buffer
	assert.Equal(t, 1, run(ctx, []string{"demo"}, &out, &errs))
	assert.Contains(t, out.String(), "Stopped.")
	assert.Empty(t, errs.String())
}

func TestWhatIsSaidOfAFunctionNamesIt(t *testing.T) {
	assert.Equal(t, "sweepIdentities: done", line(funchost.Record{Category: "Function.sweepIdentities.User", Text: "done"}))
	assert.Equal(t, "getUser: executed", line(funchost.Record{Category: "Function.getUser", Text: "executed"}))
	assert.Equal(t, "{}", line(funchost.Record{Category: funchost.CategoryConsole, Text: "{}"}))
}

// lines is an io.Writer that hands out what is written line by line.
func lines(t *testing.T) (io.Writer, <-chan string) {
	t.Helper()
	r, w := io.Pipe()
	found := make(chan string, 1000)
	go func() {
		defer close(found)
		for s := bufio.NewScanner(r); s.Scan(); {
			found <- s.Text()
		}
	}()
	t.Cleanup(func() { _ = w.Close() })
	return w, found
}

var curlLine = regexp.MustCompile(`^curl -s -X POST (\S+) -H "Authorization: (Bearer \S+)"$`)

func TestThePrintedCurlWorksTwiceAndTheStopIsClean(t *testing.T) {
	out, printed := lines(t)
	var errs bytes.Buffer
	ctx, cancel := context.WithCancel(t.Context())
	exit := make(chan int, 1)
	go func() { exit <- run(ctx, []string{"-port", "0"}, out, &errs) }()
	var curl []string
	timeout := time.After(time.Minute)
	for curl == nil {
		select {
		case line := <-printed:
			curl = curlLine.FindStringSubmatch(line)
		case <-timeout:
			require.FailNow(t, "no curl was printed")
		}
	}
	var drained sync.WaitGroup
	drained.Go(func() {
		for range printed {
		}
	})
	for range 2 {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, curl[1], nil)
		require.NoError(t, err)
		req.Header.Set("Authorization", curl[2])
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		_ = resp.Body.Close()
		assert.Equal(t, 200, resp.StatusCode, string(body))
		assert.Contains(t, string(body), `"communicationUserId":"8:acs:`)
	}
	cancel()
	assert.Equal(t, 0, <-exit)
	assert.Empty(t, errs.String())
}

// Whatever is to fail fails from then on, and not the start.
func TestAKnobAtTheStartSparesTheStart(t *testing.T) {
	out, printed := lines(t)
	var errs bytes.Buffer
	ctx, cancel := context.WithCancel(t.Context())
	exit := make(chan int, 1)
	go func() {
		exit <- run(ctx, []string{"-port", "0", "-knob", "entra:status=503", "-knob", "acs:reset=before", "-knob", "graph:latency=1h", "-knob", "service/getUser:status=503"}, out, &errs)
	}()
	waitForLine(t, printed, "Ctrl-C stops everything")
	cancel()
	assert.Equal(t, 0, <-exit)
	assert.Empty(t, errs.String())

	assert.Equal(t, 1, run(t.Context(), []string{"-port", "0", "-knob", "acs/nothing:status=503"}, io.Discard, &errs))
	assert.Contains(t, errs.String(), `operation "nothing": not known here, only`)
	errs.Reset()
	assert.Equal(t, 2, run(t.Context(), []string{"-knob", "acs:status=9"}, io.Discard, &errs))
	assert.Contains(t, errs.String(), "expected 400 to 599")
}

// pipes is a listener whose connections are in memory, for the clock of a bubble.
type pipes struct {
	made   chan net.Conn
	closed chan struct{}
	close  func()
}

func newPipes() *pipes {
	closed := make(chan struct{})
	return &pipes{make(chan net.Conn), closed, sync.OnceFunc(func() { close(closed) })}
}

func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case p.made <- there:
		return here, nil
	case <-p.closed:
		return nil, syscall.ECONNREFUSED
	}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.made:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.close(); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func TestTheStopLetsAnswersEndButNotForEver(t *testing.T) {
	for name, row := range map[string]struct {
		path string
		want string
		took time.Duration
	}{
		"one that ends":       {"/ends", "the whole answer", graceTime - time.Millisecond},
		"one that never does": {"/hangs", "the whole ", graceTime},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, stopping := newPipes(), make(chan struct{})
				server := serveOn(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					_, _ = io.WriteString(w, "the whole ")
					_ = http.NewResponseController(w).Flush()
					<-stopping
					if r.URL.Path == "/hangs" {
						<-r.Context().Done()
						return
					}
					time.Sleep(row.took)
					_, _ = io.WriteString(w, "answer")
				}))
				client := &http.Client{Transport: &http.Transport{DialContext: l.dial}}
				resp, err := client.Get("http://localhost" + row.path)
				require.NoError(t, err)
				defer resp.Body.Close()
				began := time.Now()
				var stop sync.WaitGroup
				stop.Go(func() { shut(server) })
				close(stopping)
				synctest.Wait()
				_, err = l.dial(t.Context(), "", "")
				assert.Error(t, err, "nobody new is let in")
				body, err := io.ReadAll(resp.Body)
				assert.Equal(t, row.want, string(body))
				assert.Equal(t, row.path == "/hangs", err != nil, "cut off")
				assert.Equal(t, row.took, time.Since(began))
				stop.Wait()
			})
		})
	}
}
