// Package upstream is what the clients of all upstream services share: the HTTP
// client they go through, how they read Retry-After and addresses, and what of
// an upstream's words gets into the log.
package upstream

import (
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// maxRetryAfter bounds what an upstream can make clients wait.
const maxRetryAfter = time.Hour

// RetryAfter reads when to try again, in the three forms that Azure services
// use: seconds, a date, and two headers in milliseconds. A date counts from the
// answer's own Date, so that no clock here is asked. Zero where there is none.
func RetryAfter(h http.Header) time.Duration {
	var d time.Duration
	for _, name := range []string{"retry-after-ms", "x-ms-retry-after-ms"} {
		if ms, err := strconv.Atoi(h.Get(name)); err == nil && d == 0 {
			d = time.Duration(min(ms, int(maxRetryAfter.Milliseconds()))) * time.Millisecond
		}
	}
	v := h.Get("Retry-After")
	if seconds, err := strconv.Atoi(v); err == nil && d == 0 {
		d = time.Duration(min(seconds, int(maxRetryAfter.Seconds()))) * time.Second
	} else if at, err := http.ParseTime(v); err == nil && d == 0 {
		if date, err := http.ParseTime(h.Get("Date")); err == nil {
			d = at.Sub(date)
		}
	}
	return min(max(d, 0), maxRetryAfter)
}

// IsLoopback reports whether host, a name or an address without a port, is this
// machine for certain.
func IsLoopback(host string) bool {
	if addr, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return addr.Unmap().IsLoopback()
	}
	return strings.EqualFold(host, "localhost")
}

// Plain keeps what an upstream calls something fit for a log line.
func Plain(s string) string {
	s = notPlain.ReplaceAllString(s, "_")
	return s[:min(len(s), 40)]
}

var notPlain = regexp.MustCompile(`[^A-Za-z0-9._-]`)

// Brief keeps what net/http and the SDKs put around an error, URLs and bodies of
// answers among it, out of the log.
func Brief(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	if line, _, more := strings.Cut(err.Error(), "\n"); more {
		return errors.New(line)
	}
	return err
}
