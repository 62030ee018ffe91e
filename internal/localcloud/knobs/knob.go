// Package knobs disturbs the stand-ins of the local cloud on demand, and tells
// what they have been asked. A knob is one line of text, the same on the command
// line, at the management endpoint and on the page:
//
//	service[/operation]:name=value[,name=value…]
//
//	acs:status=503,probability=0.2
//	acs/issueAccessToken:latency=2s
//	entra:skew=10m
//
// Start with a Board, give each stand-in a Service of it, and serve the stand-in
// through Service.Handler. No stand-in has to know of any of this, but for the
// clock: that is Service.Now.
//
// FOR DEVELOPMENT ONLY.
package knobs

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// When a connection is reset.
const (
	Before = "before" // the work: nothing has happened
	After  = "after"  // it: all has happened, and the caller can't know
)

// A latency or a skew is at most this.
const maxDuration = 24 * time.Hour

// Documented are the limits that the real service documents.
const Documented = "documented"

// Knob is one line, parsed. It is a fault, a skewed clock, keys that roll, or
// limits.
type Knob struct {
	Service   string
	Operation string // empty is every one

	// A fault: how long a request waits, and what becomes of it then. Without
	// Status and Reset it is served.
	Latency     time.Duration
	Status      int
	RetryAfter  int // in seconds; negative is none
	Reset       string
	Probability float64 // that a request is hit
	Times       int     // how many are hit, at most; 0 is no limit

	// Skew is how far the service's clock is ahead. Negative is behind.
	Skew time.Duration

	// Rollover has a new signing key at once, and then as often as Every says.
	Rollover bool
	Every    time.Duration // zero is once

	// Limits is Documented, or how often each operation may be called in the
	// time that the real service counts by; empty is no limit.
	Limits string
}

// Parse reads a line. Whether the service and the operation exist is the
// Board's to say.
func Parse(line string) (Knob, error) {
	k := Knob{Probability: 1, RetryAfter: -1}
	target, settings, ok := strings.Cut(strings.TrimSpace(line), ":")
	if !ok {
		return k, fmt.Errorf("knob %q: expected service:name=value or service/operation:name=value", line)
	}
	var hasOperation bool
	k.Service, k.Operation, hasOperation = strings.Cut(target, "/")
	if k.Service == "" || hasOperation && k.Operation == "" {
		return k, fmt.Errorf("knob %q: expected service or service/operation before the colon", line)
	}
	if strings.TrimSpace(settings) == "" {
		return k, fmt.Errorf("knob %q: expected name=value after the colon", line)
	}
	given := map[string]bool{}
	for setting := range strings.SplitSeq(settings, ",") {
		name, value, _ := strings.Cut(setting, "=")
		name = strings.TrimSpace(name)
		if given[name] {
			return k, fmt.Errorf("knob %q: %s is there twice", line, name)
		}
		given[name] = true
		if err := k.set(name, strings.TrimSpace(value)); err != nil {
			return k, fmt.Errorf("knob %q: %w", line, err)
		}
	}
	if err := k.check(given); err != nil {
		return k, fmt.Errorf("knob %q: %w", line, err)
	}
	return k, nil
}

func (k *Knob) set(name, value string) (err error) {
	bad := func(expected string) error { return fmt.Errorf("%s: expected %s, got %q", name, expected, value) }
	switch name {
	case "latency":
		if k.Latency, err = time.ParseDuration(value); err != nil || k.Latency <= 0 || k.Latency > maxDuration {
			return bad("a duration such as 2s or 300ms")
		}
	case "status":
		if k.Status, err = strconv.Atoi(value); err != nil || k.Status < 400 || k.Status > 599 {
			return bad("400 to 599")
		}
	case "retry-after":
		if k.RetryAfter, err = strconv.Atoi(value); err != nil || k.RetryAfter < 0 || k.RetryAfter > 86400 {
			return bad("0 to 86400 seconds")
		}
	case "reset":
		if k.Reset = value; value != Before && value != After {
			return bad("before or after")
		}
	case "probability":
		if k.Probability, err = strconv.ParseFloat(value, 64); err != nil || !(k.Probability > 0 && k.Probability <= 1) {
			return bad("more than 0, at most 1")
		}
	case "times":
		if k.Times, err = strconv.Atoi(value); err != nil || k.Times < 1 {
			return bad("1 or more")
		}
	case "skew":
		if k.Skew, err = time.ParseDuration(value); err != nil || k.Skew == 0 || k.Skew.Abs() > maxDuration {
			return bad("a duration such as 10m or -10m")
		}
	case "rollover":
		k.Rollover = true
		if value == "now" {
			return nil
		}
		if k.Every, err = time.ParseDuration(value); err != nil || k.Every < time.Second || k.Every > maxDuration {
			return bad("now, or a duration of 1s or more")
		}
	case "limits":
		k.Limits = value
		if n, err := strconv.Atoi(value); value != Documented && (err != nil || n < 0) {
			return bad("documented, or a number of calls")
		}
	default:
		return fmt.Errorf("%q: expected latency, status, retry-after, reset, probability, times, skew, rollover or limits", name)
	}
	return nil
}

// check looks at what goes together.
func (k *Knob) check(given map[string]bool) error {
	switch {
	case !k.isFault():
		if len(given) > 1 || k.Operation != "" {
			return fmt.Errorf("skew, rollover and limits stand alone and are for a whole service")
		}
	case k.Latency == 0 && k.Status == 0 && k.Reset == "":
		return fmt.Errorf("expected latency, status, reset, skew, rollover or limits")
	case k.Status != 0 && k.Reset != "":
		return fmt.Errorf("expected status or reset, got both")
	case k.RetryAfter >= 0 && k.Status == 0:
		return fmt.Errorf("retry-after goes with status")
	}
	return nil
}

// String is a line that Parse reads as k.
func (k Knob) String() string {
	var settings []string
	add := func(given bool, format string, value any) {
		if given {
			settings = append(settings, fmt.Sprintf(format, value))
		}
	}
	add(k.Latency != 0, "latency=%s", k.Latency)
	add(k.Status != 0, "status=%d", k.Status)
	add(k.RetryAfter >= 0, "retry-after=%d", k.RetryAfter)
	add(k.Reset != "", "reset=%s", k.Reset)
	add(k.Probability != 1, "probability=%v", k.Probability)
	add(k.Times != 0, "times=%d", k.Times)
	add(k.Skew != 0, "skew=%s", k.Skew)
	add(k.Rollover && k.Every == 0, "rollover=%s", "now")
	add(k.Every != 0, "rollover=%s", k.Every)
	add(k.Limits != "", "limits=%s", k.Limits)
	target := k.Service
	if k.Operation != "" {
		target += "/" + k.Operation
	}
	return target + ":" + strings.Join(settings, ",")
}

func (k Knob) isFault() bool { return !k.Rollover && k.Skew == 0 && k.Limits == "" }

// replaces tells whether both turn the same thing of one service.
func (k Knob) replaces(other Knob) bool {
	return k.Service == other.Service && !k.isFault() && !other.isFault() &&
		(k.Skew != 0) == (other.Skew != 0) && k.Rollover == other.Rollover
}

func (k Knob) hits(operation string) bool {
	return k.isFault() && (k.Operation == "" || k.Operation == operation)
}

// reason is the text of a status, for the bodies of stand-ins.
func reason(status int) string {
	if text := http.StatusText(status); text != "" {
		return text
	}
	return strconv.Itoa(status)
}

func oneOf(names []string) string { return strings.Join(slices.Sorted(slices.Values(names)), ", ") }
