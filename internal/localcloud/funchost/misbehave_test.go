package funchost

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// raw is the path at which the handler answers with these bytes.
func raw(bytes, then string) string {
	return "/api/do/raw?" + url.Values{"bytes": {bytes}, "then": {then}}.Encode()
}

func TestPoint24AnAnswerThatIsNoneIs500(t *testing.T) {
	bothModes(t, func(t *testing.T, r running) {
		pid := r.PID()
		for name, path := range map[string]string{
			"nothing":                  raw("", ""),
			"a reset":                  raw("", "reset"),
			"an end of writing":        raw("", "half-close"),
			"no HTTP":                  raw("SSH-2.0-OpenSSH_9.9\r\n\r\n", ""),
			"half a status line":       raw("HTTP/1.1 20", ""),
			"half a header":            raw("HTTP/1.1 200 OK\r\nContent-", ""),
			"a header without a colon": raw("HTTP/1.1 200 OK\r\nnonsense\r\n\r\n", ""),
			"a status of 0":            raw("HTTP/1.1 000 None\r\nContent-Length: 0\r\n\r\n", ""),
			"a status of 99":           raw("HTTP/1.1 099 None\r\nContent-Length: 0\r\n\r\n", ""),
			"a status in words":        raw("HTTP/1.1 good\r\n\r\n", ""),
			"two lengths":              raw("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", ""),
			"interim answers alone":    raw("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", ""),
			"a huge header":            raw("HTTP/1.1 200 OK\r\nX-Huge: "+strings.Repeat("x", 70<<10)+"\r\nContent-Length: 0\r\n\r\n", ""),
		} {
			assertEmpty(t, http.StatusInternalServerError, r.send(t, http.MethodPost, path, "body"))
			assert.Equal(t, pid, r.PID(), name)
		}
		assert.Equal(t, http.StatusOK, r.send(t, http.MethodGet, "/api/do/echo", "").status, "and it goes on")
	})
}

func TestPoint24AnAnswerThatBreaksOffIsNeverWhole(t *testing.T) {
	for name, path := range map[string]string{
		"less than its length":     raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", ""),
		"a chunk without an end":   raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "half-close"),
		"a chunk of no size":       raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n", ""),
		"a reset in the middle":    raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", "reset"),
		"an end of writing inside": raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", "half-close"),
	} {
		r := forwarding().start(t)
		assertEmpty(t, http.StatusInternalServerError, r.send(t, http.MethodGet, path, ""))
		r = proxying().start(t)
		// What has been passed on can't be taken back: the connection breaks.
		got := <-r.doLater(r.request(t, http.MethodGet, path, ""))
		assert.Contains(t, []int{0, http.StatusInternalServerError}, got.status, name)
	}
}

func TestPoint20And22OddAnswersThatAreWhole(t *testing.T) {
	bothModes(t, func(t *testing.T, r running) {
		for name, row := range map[string]struct {
			answer string
			status int
			body   string
		}{
			"an interim answer first":   {"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, "ok"},
			"many of them":              {strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 40) + "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, "ok"},
			"a body until the end":      {"HTTP/1.0 200 OK\r\n\r\nas long as it lasts", 200, "as long as it lasts"},
			"chunks":                    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", 200, "ok"},
			"trailers":                  {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-End\r\n\r\n2\r\nok\r\n0\r\nX-End: yes\r\n\r\n", 200, "ok"},
			"a status nobody knows":     {"HTTP/1.1 799 Strange\r\nContent-Length: 2\r\n\r\nok", 799, "ok"},
			"no reason":                 {"HTTP/1.1 404\r\nContent-Length: 0\r\n\r\n", 404, ""},
			"bare line feeds":           {"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", 200, "ok"},
			"many headers":              {"HTTP/1.1 200 OK\r\n" + strings.Repeat("X-Many: "+strings.Repeat("y", 90)+"\r\n", 300) + "Content-Length: 2\r\n\r\nok", 200, "ok"},
			"more than was announced":   {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok and more", 200, "ok"},
			"a body where none belongs": {"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\nbody", 204, ""},
		} {
			got := r.send(t, http.MethodGet, raw(row.answer, ""), "")
			assert.Equal(t, row.status, got.status, name)
			assert.Equal(t, row.body, got.body, name)
		}
	})
}

func TestPoint22InterimAnswersStayWithTheProxy(t *testing.T) {
	r := proxying().start(t)
	address := strings.TrimPrefix(r.url, "http://")
	conn, err := net.Dial("tcp", address)
	require.NoError(t, err)
	defer conn.Close()
	path := raw("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "")
	_, err = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, address)
	require.NoError(t, err)
	line, err := bufio.NewReader(conn).ReadString('\n')
	require.NoError(t, err)
	assert.Equal(t, "HTTP/1.1 200 OK\r\n", line)
}

func TestPoint25AnAnswerThatNeverEndsCostsTheProcess(t *testing.T) {
	for name, app := range map[string]setup{"forwarding": forwarding(), "proxying": proxying()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app.host = object{"functionTimeout": "00:00:00.4"}
			r := app.start(t)
			pid := r.PID()
			got := <-r.doLater(r.request(t, http.MethodGet, raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", "hold"), ""))
			assert.Contains(t, []int{0, http.StatusInternalServerError}, got.status, "broken off, or never begun")
			r.replaced(t, pid)
			assert.NoError(t, r.Err(), "not counted")
		})
	}
}

func TestPoint24ACrashTakesAllRequestsThatAreUnderWay(t *testing.T) {
	r := forwarding().start(t)
	var answers []<-chan response
	for range 8 {
		answers = append(answers, r.doLater(r.request(t, http.MethodPost, "/api/do/hang", "body")))
	}
	eventually(t, "eight that hang", func() bool {
		n := 0
		for _, record := range r.Records() {
			if record.Text == "hanging" {
				n++
			}
		}
		return n == 8
	})
	pid := r.PID()
	assertEmpty(t, http.StatusInternalServerError, r.crash(t, "1"))
	for _, answer := range answers {
		assertEmpty(t, http.StatusInternalServerError, <-answer)
	}
	r.replaced(t, pid)
	assert.Equal(t, http.StatusOK, r.send(t, http.MethodGet, "/api/do/echo", "").status)
}

func TestPoint24AHandlerThatClosesItsConnectionsIsMetWithNewOnes(t *testing.T) {
	bothModes(t, func(t *testing.T, r running) {
		for range 5 {
			got := r.send(t, http.MethodGet, raw("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "reset"), "")
			assert.Equal(t, http.StatusOK, got.status)
			assert.Equal(t, http.StatusOK, r.send(t, http.MethodGet, "/api/do/echo", "").status)
		}
	})
}

func TestPoint22AnAnswerToPartOfARequestLeavesTheHostWell(t *testing.T) {
	r := proxying().start(t)
	for range 30 {
		for _, length := range []int64{-1, 1 << 20} {
			req := r.request(t, http.MethodPost, raw("HTTP/1.1 413 Too Much\r\nContent-Length: 0\r\n\r\n", ""), "")
			req.Body, req.ContentLength = io.NopCloser(strings.NewReader(strings.Repeat("x", 1<<20))), length
			got := <-r.doLater(req)
			assert.Contains(t, []int{0, http.StatusRequestEntityTooLarge, http.StatusInternalServerError}, got.status)
		}
	}
	assert.Equal(t, http.StatusOK, r.send(t, http.MethodGet, "/api/do/echo", "").status)
}

func TestPoint09AFloodOfLinesHarmsNobody(t *testing.T) {
	r := forwarding().start(t)
	start := time.Now()
	assert.Equal(t, http.StatusOK, r.send(t, http.MethodGet, "/api/do/print?repeat=200000&out=x%0A", "").status)
	r.send(t, http.MethodGet, "/api/do/print?out=the+last+one%0A", "")
	r.logged(t, "the last one")
	assert.Less(t, time.Since(start), time.Minute)
	assert.LessOrEqual(t, len(r.Records()), recordsKept)
}

func TestPoint09ALineThatDoesNotEndIsCut(t *testing.T) {
	r := forwarding().start(t)
	r.send(t, http.MethodGet, "/api/do/print?repeat=300000&out=0123456789", "")
	r.send(t, http.MethodGet, "/api/do/print?out=%0Aits+end%00%ff%0A", "")
	r.logged(t, "its end\x00\xff")
	length := 0
	for _, record := range r.Records() {
		if strings.HasPrefix(record.Text, "0123") || strings.Contains(record.Text, "012345") {
			assert.LessOrEqual(t, len(record.Text), maxLine+64<<10)
			length += len(record.Text)
		}
	}
	assert.Equal(t, 3_000_000, length, "nothing is lost")
}

func TestPoint14HeadersOfARequestThatAreTooLargeNeverGetToTheHandler(t *testing.T) {
	r := forwarding().start(t)
	req := r.request(t, http.MethodGet, "/api/do/print?out=was+called%0A", "")
	req.Header.Set("X-Huge", strings.Repeat("x", 2<<20))
	got := <-r.doLater(req)
	assert.Contains(t, []int{0, http.StatusRequestHeaderFieldsTooLarge}, got.status)
	for _, record := range r.Records() {
		assert.NotContains(t, record.Text, "was called")
	}
}

// bothModes runs a test with a host that forwards and with one that proxies.
func bothModes(t *testing.T, test func(*testing.T, running)) {
	t.Helper()
	for name, app := range map[string]setup{"forwarding": forwarding(), "proxying": proxying()} {
		t.Run(name, func(t *testing.T) { test(t, app.start(t)) })
	}
}
