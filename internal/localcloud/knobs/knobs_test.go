package knobs

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestALineReadsBackAsItself(t *testing.T) {
	for _, line := range []string{
		"acs:status=503",
		"acs:status=503,probability=0.2",
		"acs/issue:status=429,retry-after=0,times=3",
		"acs:latency=2s",
		"acs:latency=300ms,reset=after",
		"acs:reset=before,probability=0.5,times=1",
		"entra:skew=-10m0s",
		"entra:rollover=now",
		"entra:rollover=1m0s",
		"acs:limits=documented",
		"acs:limits=5",
	} {
		k, err := Parse(line)
		require.NoError(t, err, line)
		assert.Equal(t, line, k.String())
	}
	k, err := Parse(" acs:latency = 1s , status = 500\n")
	require.NoError(t, err)
	assert.Equal(t, "acs:latency=1s,status=500", k.String())
}

func TestALineThatIsWrongSaysWhatWasExpected(t *testing.T) {
	for line, want := range map[string]string{
		"":                                   "expected service:name=value",
		"acs":                                "expected service:name=value",
		":status=503":                        "expected service or service/operation before the colon",
		"acs/:status=503":                    "expected service or service/operation before the colon",
		"acs: ":                              "expected name=value after the colon",
		"acs:,":                              `"": expected latency, status`,
		"acs:colour=red":                     `"colour": expected latency, status`,
		"acs:status=200":                     `status: expected 400 to 599, got "200"`,
		"acs:status=":                        `status: expected 400 to 599, got ""`,
		"acs:status=503,status=500":          "status is there twice",
		"acs:latency=-1s":                    "latency: expected a duration",
		"acs:latency=9999h":                  "latency: expected a duration",
		"acs:latency=2":                      "latency: expected a duration",
		"acs:probability=0.5":                "expected latency, status, reset, skew, rollover or limits",
		"acs:status=503,probability=0":       "probability: expected more than 0",
		"acs:status=503,probability=1.1":     "probability: expected more than 0",
		"acs:status=503,probability=NaN":     "probability: expected more than 0",
		"acs:status=503,times=0":             "times: expected 1 or more",
		"acs:reset=during":                   "reset: expected before or after",
		"acs:status=503,reset=after":         "expected status or reset, got both",
		"acs:latency=1s,retry-after=3":       "retry-after goes with status",
		"acs:status=429,retry-after=-1":      "retry-after: expected 0 to 86400",
		"acs:skew=0s":                        "skew: expected a duration",
		"acs:skew=1m,latency=1s":             "stand alone",
		"acs:limits=few":                     "limits: expected documented, or a number",
		"acs/issue:limits=1":                 "for a whole service",
		"acs/issue:skew=1m":                  "for a whole service",
		"entra:rollover=1ms":                 "rollover: expected now",
		"entra:rollover=now,probability=0.5": "stand alone",
	} {
		_, err := Parse(line)
		assert.ErrorContains(t, err, want, line)
	}
}

// served is a service "acs" with operations "issue" and "create" over HTTP.
type served struct {
	*Service
	board  *Board
	url    string
	client *http.Client
	work   atomic.Int64
	rolled atomic.Int64
	limits []string
}

func serve(t *testing.T) *served {
	t.Helper()
	s := &served{board: &Board{}}
	s.Service = s.board.Add(&Service{
		Name: "acs", Operations: []string{"issue", "create"},
		Operation: func(r *http.Request) string { return r.URL.Path[1:] },
		Refuse: func(w http.ResponseWriter, _ *http.Request, status int, text string) {
			http.Error(w, text, status)
		},
		RollKeys: func() error { s.rolled.Add(1); return nil },
		Limit:    func(limits string) { s.limits = append(s.limits, limits) },
	})
	server := httptest.NewTLSServer(s.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s.work.Add(1)
		_, _ = io.WriteString(w, "served")
	})))
	t.Cleanup(server.Close)
	s.url, s.client = server.URL, server.Client()
	s.client.Transport.(*http.Transport).DisableKeepAlives = true // which would try again
	return s
}

func (s *served) turn(t *testing.T, line string) {
	t.Helper()
	_, err := s.board.Turn(line)
	require.NoError(t, err)
}

func (s *served) get(t *testing.T, method, path string) (*http.Response, string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.url+path, nil)
	require.NoError(t, err)
	res, err := s.client.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return res, string(body), err
}

func TestAStatusInTheWordsOfTheServiceAndNoWork(t *testing.T) {
	s := serve(t)
	s.turn(t, "acs/issue:status=429,retry-after=7")
	res, body, err := s.get(t, "POST", "/issue")
	require.NoError(t, err)
	assert.Equal(t, 429, res.StatusCode)
	assert.Equal(t, "7", res.Header.Get("Retry-After"))
	assert.Contains(t, body, "Too Many Requests. This is a fault that was asked for: acs/issue:status=429,retry-after=7")
	assert.Zero(t, s.work.Load())

	res, body, err = s.get(t, "POST", "/create")
	require.NoError(t, err)
	assert.Equal(t, 200, res.StatusCode)
	assert.Equal(t, "served", body)

	requests := s.Requests()
	require.Len(t, requests, 2)
	assert.Equal(t, "create", requests[0].Operation, "the latest first")
	assert.Equal(t, 429, requests[1].Status)
	assert.Equal(t, "acs/issue:status=429,retry-after=7", requests[1].Fault)
}

func TestAResetBeforeAndAfterTheWork(t *testing.T) {
	s := serve(t)
	s.turn(t, "acs:reset=before,times=1")
	s.turn(t, "acs:reset=after,times=1")
	_, _, err := s.get(t, "POST", "/issue")
	require.Error(t, err)
	assert.Zero(t, s.work.Load())
	_, _, err = s.get(t, "POST", "/issue")
	require.Error(t, err)
	assert.EqualValues(t, 1, s.work.Load())
	_, body, err := s.get(t, "POST", "/issue")
	require.NoError(t, err, "both are spent")
	assert.Equal(t, "served", body)
	assert.Zero(t, s.Requests()[1].Status)
}

func TestLatencyComesBeforeTheWork(t *testing.T) {
	s := serve(t)
	s.turn(t, "acs:latency=60ms")
	start := time.Now()
	_, _, err := s.get(t, "POST", "/issue")
	require.NoError(t, err)
	assert.GreaterOrEqual(t, time.Since(start), 60*time.Millisecond)
	assert.GreaterOrEqual(t, s.Requests()[0].Took, 60*time.Millisecond)
}

func TestProbabilityHitsSome(t *testing.T) {
	s := serve(t)
	s.turn(t, "acs:status=500,probability=0.5")
	hit := 0
	for range 400 {
		if _, ok := s.board.fault("acs", "issue"); ok {
			hit++
		}
	}
	assert.InDelta(t, 200, hit, 80, "eight standard deviations")
	assert.Equal(t, hit, s.board.Knobs()[0].Hit)
}

func TestAPreflightIsLeftAlone(t *testing.T) {
	s := serve(t)
	s.turn(t, "acs:status=500")
	res, _, err := s.get(t, http.MethodOptions, "/issue")
	require.NoError(t, err)
	assert.Equal(t, 200, res.StatusCode)
}

func TestASkewedClockShowsInTheDateToo(t *testing.T) {
	s := serve(t)
	s.turn(t, "acs:skew=1h")
	s.turn(t, "acs:skew=-2h")
	require.Len(t, s.board.Knobs(), 1, "the second took the place of the first")
	assert.WithinDuration(t, time.Now().Add(-2*time.Hour), s.Now(), time.Minute)
	res, _, err := s.get(t, "GET", "/issue")
	require.NoError(t, err)
	date, err := http.ParseTime(res.Header.Get("Date"))
	require.NoError(t, err)
	assert.WithinDuration(t, time.Now().Add(-2*time.Hour), date, time.Minute)
	require.NoError(t, s.board.Clear("acs"))
	assert.WithinDuration(t, time.Now(), s.Now(), time.Minute)
}

func TestKeysRollOnceAndThenInTheirTime(t *testing.T) {
	s := serve(t)
	s.turn(t, "acs:rollover=now")
	assert.EqualValues(t, 1, s.rolled.Load())
	assert.Empty(t, s.board.Knobs(), "done, and nothing stays")
	s.turn(t, "acs:rollover=1h")
	assert.EqualValues(t, 2, s.rolled.Load())
	s.turn(t, "acs:rollover=1s")
	require.Eventually(t, func() bool { return s.rolled.Load() >= 4 }, time.Minute, 10*time.Millisecond)
	require.NoError(t, s.board.Clear(""))
	assert.Empty(t, s.board.Knobs())
}

func TestLimitsAreSetReplacedAndTakenAway(t *testing.T) {
	s := serve(t)
	s.turn(t, "acs:limits=documented")
	s.turn(t, "acs:limits=5")
	s.turn(t, "acs:skew=1m")
	require.Len(t, s.board.Knobs(), 2, "a skew is another thing")
	require.NoError(t, s.board.Clear("acs"))
	assert.Equal(t, []string{"documented", "", "5", ""}, s.limits)
}

func TestWhatIsNotKnownIsAnError(t *testing.T) {
	s := serve(t)
	s.board.Add(&Service{Name: "graph", Operations: []string{"me"}, NoClock: true})
	for line, want := range map[string]string{
		"azure:status=500":       `service "azure": not known here, only acs, graph`,
		"acs/frob:status=500":    `operation "frob": not known here, only create, issue`,
		"graph:rollover=now":     "graph has no keys to roll",
		"graph:skew=1m":          "graph has no clock to skew",
		"graph:limits=5":         "graph has no limits",
		"acs/issue/x:latency=1s": `operation "issue/x": not known here`,
	} {
		_, err := s.board.Turn(line)
		assert.ErrorContains(t, err, want, line)
	}
	assert.ErrorIs(t, s.board.Clear("17"), ErrUnknown)
	assert.ErrorIs(t, s.board.Clear("azure"), ErrUnknown)
	assert.NoError(t, s.board.Clear("acs"), "nothing set is as good as cleared")
}

func TestOneKnobIsClearedByItsID(t *testing.T) {
	s := serve(t)
	first, err := s.board.Turn("acs:status=500")
	require.NoError(t, err)
	s.turn(t, "acs:status=503")
	require.NoError(t, s.board.Clear("1"))
	require.Len(t, s.board.Knobs(), 1)
	assert.NotEqual(t, first.ID, s.board.Knobs()[0].ID)
}

func TestKnobsMayBeTurnedWhileRequestsAreServed(t *testing.T) {
	s := serve(t)
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			for range 50 {
				_, err := s.board.Turn("acs:status=503,times=1")
				if err == nil {
					err = s.board.Clear("")
				}
				if err != nil && !errors.Is(err, ErrUnknown) {
					t.Error(err)
				}
				s.board.fault("acs", "issue")
				s.remember(Request{})
				s.Requests()
			}
		})
	}
	wait.Wait()
	assert.Len(t, s.Requests(), requestsKept)
	assert.Equal(t, 200, s.Served())
}
