package main

import (
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// documented returns the lines to type that the document, and the sample client's
// README, have in blocks of sh, without what a # begins.
func documented(t *testing.T) (lines []string) {
	t.Helper()
	text, err := os.ReadFile("../docs/local-cloud.md")
	require.NoError(t, err)
	client, err := os.ReadFile("../client/README.md")
	require.NoError(t, err)
	text = append(text, client...)
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		for line := range strings.Lines(block[1]) {
			line, _, _ = strings.Cut(line, " #")
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

func TestEveryFlagOfTheDocumentIsOne(t *testing.T) {
	knobsGiven := 0
	for _, line := range documented(t) {
		args, ok := strings.CutPrefix(line, "go run ./local")
		if !ok {
			continue
		}
		_, o, err := parse(strings.Fields(args), io.Discard)
		assert.NoError(t, err, line)
		knobsGiven += len(o.knobs)
	}
	assert.GreaterOrEqual(t, knobsGiven, 10)
}

// Each curl line of the document is run as it stands, but for the port, against
// a stack, and has the effect that is looked for here.
func TestEveryCurlOfTheDocumentWorks(t *testing.T) {
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("there is no curl")
	}
	s, err := startStack(t.Context(), options{}, nil)
	require.NoError(t, err)
	defer s.stop()
	effects := map[string]func(*testing.T, *stack){
		"acs/issueAccessToken:latency=2s": func(t *testing.T, s *stack) {
			start := time.Now()
			s.askACS(t, "/identities/x/:issueAccessToken")
			assert.GreaterOrEqual(t, time.Since(start), 2*time.Second)
		},
		"acs:status=503": func(t *testing.T, s *stack) {
			assert.Equal(t, 503, s.askACS(t, "/identities"))
		},
		"acs:status=429,retry-after=5": func(t *testing.T, s *stack) {
			assert.Equal(t, 429, s.askACS(t, "/identities"))
		},
		"graph:status=503,probability=0.2": func(t *testing.T, s *stack) {
			require.Eventually(t, func() bool { return s.ask(t, http.MethodGet, s.cloud.GraphURL+"/v1.0/me") == 503 }, time.Minute, time.Millisecond)
		},
		"entra/token:status=500,times=3": func(t *testing.T, s *stack) {
			var got []int
			for range 4 {
				got = append(got, s.ask(t, http.MethodPost, s.cloud.EntraURL+"/common/oauth2/v2.0/token"))
			}
			assert.Equal(t, []int{500, 500, 500}, got[:3])
			assert.NotEqual(t, 500, got[3])
		},
		"acs/createIdentity:reset=before": func(t *testing.T, s *stack) {
			before := s.cloud.ACS.Calls()["createIdentity"]
			assert.Zero(t, s.askACS(t, "/identities"))
			assert.Equal(t, before, s.cloud.ACS.Calls()["createIdentity"], "it has not heard of the call")
		},
		"acs/createIdentity:reset=after": func(t *testing.T, s *stack) {
			before := s.cloud.ACS.Calls()["createIdentity"]
			assert.Zero(t, s.askACS(t, "/identities"))
			assert.Less(t, before, s.cloud.ACS.Calls()["createIdentity"])
		},
		"acs:limits=documented": func(*testing.T, *stack) {}, // 500 and 1000 calls are held to by tests of its own
		"acs:limits=5": func(t *testing.T, s *stack) {
			var got []int
			for range 6 {
				got = append(got, s.askACS(t, "/identities"))
			}
			assert.NotContains(t, got[:5], 429)
			assert.Equal(t, 429, got[5])
		},
		"entra:skew=10m0s": func(t *testing.T, s *stack) {
			assert.WithinDuration(t, time.Now().Add(10*time.Minute), s.cloud.Knobs.Service("entra").Now(), time.Minute)
		},
		"entra:rollover=30s": func(*testing.T, *stack) {},
	}
	var seen []string
	for _, line := range documented(t) {
		args, ok := strings.CutPrefix(line, "curl ")
		if !ok {
			continue
		}
		key := s.cloud.Entra.KeyID()
		words := strings.Fields(strings.ReplaceAll(args, "http://localhost:7071", s.URL))
		out, err := exec.CommandContext(t.Context(), curl, append([]string{"-sS", "--fail-with-body"}, words...)...).CombinedOutput()
		if strings.Contains(line, "/knobs/1") { // which has gone
			assert.Contains(t, string(out), "not known here")
			continue
		}
		require.NoError(t, err, "%s\n%s", line, out)
		assert.True(t, strings.HasPrefix(string(out), "{") || strings.HasPrefix(string(out), "["), string(out))
		if strings.Contains(line, "rollover") {
			assert.NotEqual(t, key, s.cloud.Entra.KeyID(), line)
		}
		for _, set := range s.cloud.Knobs.Knobs() {
			effect := effects[set.Knob.String()]
			if assert.NotNil(t, effect, "%s: no effect is looked for", set.Knob) {
				effect(t, s)
			}
			seen = append(seen, set.Knob.String())
		}
		require.NoError(t, s.cloud.Knobs.Clear(""))
	}
	for knob := range effects {
		assert.True(t, slices.Contains(seen, knob), "%s is not in the document", knob)
	}
}

// askACS calls without a key, which the stand-in refuses; 0 is no answer.
func (s *stack) askACS(t *testing.T, path string) int {
	t.Helper()
	return s.ask(t, http.MethodPost, s.cloud.ACSURL+path+"?api-version=2023-10-01")
}

func (s *stack) ask(t *testing.T, method, url string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader("{}"))
	require.NoError(t, err)
	client := s.cloud.Client()
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	if err != nil {
		return 0
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

func TestTheDocumentNamesEveryPointThatIsTested(t *testing.T) {
	text, err := os.ReadFile("../docs/local-cloud.md")
	require.NoError(t, err)
	var points []string
	for _, m := range regexp.MustCompile(`(?m)^\| (\d\d) \|`).FindAllStringSubmatch(string(text), -1) {
		points = append(points, m[1])
	}
	tested, err := exec.CommandContext(t.Context(), "go", "test", "-list", "TestPoint", "acsauth/internal/localcloud/funchost").Output()
	require.NoError(t, err)
	var numbers []string
	for _, m := range regexp.MustCompile(`(?m)^TestPoint(\d\d)`).FindAllStringSubmatch(string(tested), -1) {
		numbers = append(numbers, m[1])
	}
	slices.Sort(numbers)
	assert.Equal(t, points, slices.Compact(numbers))
	assert.Len(t, points, 28)
}
