package main

import (
	"context"
	_ "embed"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"time"
)

// report is all that was measured, for report.md.tmpl.
type report struct {
	Machine, Date string
	BinaryMB      float64

	Ready, ReadyMax, First time.Duration
	IdleRSS                int // KiB
	Init                   initCost
	Yardstick              yardstick
	NoReuse, Reuse         loaded
	Latency                []slow
	Pressure               []strained
	Growth                 []grown
}

// loaded is an outcome with what the handler used for it.
type loaded struct {
	outcome
	Callers   int
	CPU       time.Duration // of the handler, for each answer
	RSS, Peak int           // KiB
	Upstream  float64       // requests to ACS for each answer
}

type slow struct {
	ACS time.Duration
	outcome
}

type strained struct {
	Name string
	outcome
	Granted  int64
	CPU      time.Duration // of the handler, for each answer
	Peak     int           // KiB
	Recovery time.Duration
}

type grown struct {
	Mappings, Users int
	loaded
}

func newReport(ctx context.Context, handler string) (*report, error) {
	info, err := os.Stat(handler)
	if err != nil {
		return nil, err
	}
	r := &report{Machine: machine(), Date: time.Now().UTC().Format("2006-01-02"), BinaryMB: float64(info.Size()) / 1e6}
	r.Init, err = initCosts(ctx, handler)
	return r, err
}

// initCost is what the packages of the handler do before main.
type initCost struct {
	Packages int
	Total    time.Duration
	Most     []packageInit // the five that take longest
}

type packageInit struct {
	Name string
	Took time.Duration
}

var initLine = regexp.MustCompile(`(?m)^init (\S+) @\S+ ms, (\S+) ms clock`)

// initCosts runs the handler with the trace of the runtime on.
func initCosts(ctx context.Context, handler string) (c initCost, err error) {
	cmd := exec.CommandContext(ctx, handler, "version")
	cmd.Env = append(environment(), "GODEBUG=inittrace=1")
	var trace strings.Builder
	cmd.Stderr = &trace
	if err := cmd.Run(); err != nil {
		return c, err
	}
	for _, line := range initLine.FindAllStringSubmatch(trace.String(), -1) {
		ms, err := strconv.ParseFloat(line[2], 64)
		if err != nil {
			return c, err
		}
		c.Most = append(c.Most, packageInit{line[1], time.Duration(ms * float64(time.Millisecond))})
		c.Total += c.Most[len(c.Most)-1].Took
	}
	c.Packages = len(c.Most)
	slices.SortStableFunc(c.Most, func(a, b packageInit) int { return int(b.Took - a.Took) })
	c.Most = c.Most[:min(5, len(c.Most))]
	return c, nil
}

// CPURatio is the handler's CPU time for a token by the yardstick.
func (r *report) CPURatio() float64 {
	return float64(r.NoReuse.CPU) / float64(r.Yardstick.RSAVerify+r.Yardstick.TLSRequest)
}

// CPUSlope is by what power of the number of mappings the CPU time of a call
// grows: 0 is not at all, 1 is in proportion.
func (r *report) CPUSlope() float64 {
	return r.slope(func(g grown) float64 { return float64(g.CPU) })
}

// MemorySlope is the same of the peak memory.
func (r *report) MemorySlope() float64 {
	return r.slope(func(g grown) float64 { return float64(g.Peak) })
}

func (r *report) slope(of func(grown) float64) float64 {
	var sumX, sumY, sumXX, sumXY float64
	var n float64
	for _, g := range r.Growth {
		if g.Users != fewUsers {
			continue
		}
		n++
		x, y := math.Log(float64(g.Mappings)), math.Log(of(g))
		sumX, sumY, sumXX, sumXY = sumX+x, sumY+y, sumXX+x*x, sumXY+x*y
	}
	return (n*sumXY - sumX*sumY) / (n*sumXX - sumX*sumX)
}

// Answers lists what callers were told.
func (o outcome) Answers() string {
	var parts []string
	for _, status := range slices.Sorted(maps.Keys(o.statuses)) {
		parts = append(parts, fmt.Sprintf("%d × %d", o.statuses[status], status))
	}
	if o.broken > 0 {
		parts = append(parts, fmt.Sprintf("%d without an answer", o.broken))
	}
	return strings.Join(parts, ", ")
}

func (o outcome) Rate() string                { return strconv.FormatFloat(o.rate(), 'f', 0, 64) }
func (o outcome) P(percent int) time.Duration { return o.quantile(float64(percent) / 100) }

//go:embed report.md.tmpl
var reportTemplate string

func (r *report) render(w io.Writer) error {
	t, err := template.New("").Funcs(template.FuncMap{
		"ms":  func(d time.Duration) string { return decimal(float64(d) / float64(time.Millisecond)) },
		"us":  func(d time.Duration) string { return decimal(float64(d) / float64(time.Microsecond)) },
		"mib": func(kib int) string { return decimal(float64(kib) / 1024) },
		"f":   decimal,
		"n":   func(n int) string { return strconv.Itoa(n) },
	}).Parse(reportTemplate)
	if err != nil {
		return err
	}
	return t.Execute(w, r)
}

// decimal writes three digits that count.
func decimal(f float64) string {
	switch {
	case f >= 100:
		return strconv.FormatFloat(f, 'f', 0, 64)
	case f >= 10:
		return strconv.FormatFloat(f, 'f', 1, 64)
	}
	return strconv.FormatFloat(f, 'f', 2, 64)
}
