package funchost

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// schedule tells when a timer fires after t. The zero time is never.
type schedule interface{ next(t time.Time) time.Time }

// parseSchedule reads what a timerTrigger says: an NCRONTAB expression of six
// fields (with five, the second is 0), in UTC, or a time span hh:mm:ss.
func parseSchedule(text string) (schedule, error) {
	fields := strings.Fields(text)
	if len(fields) == 1 && strings.Contains(text, ":") {
		var every time.Duration
		if err := setTimeSpan(&every, fields[0]); err != nil {
			return nil, err
		}
		return interval(every), nil
	}
	if len(fields) == 5 {
		fields = append([]string{"0"}, fields...)
	}
	if len(fields) != len(cronFields) {
		return nil, fmt.Errorf("expected six fields or hh:mm:ss, got %q", text)
	}
	var c cron
	for i, f := range cronFields {
		var err error
		if c[i], err = f.parse(fields[i]); err != nil {
			return nil, fmt.Errorf("%q: %s: %w", text, f.name, err)
		}
	}
	if c.next(time.Now()).IsZero() {
		return nil, fmt.Errorf("%q never fires", text)
	}
	return c, nil
}

// interval fires in equal steps.
type interval time.Duration

func (i interval) next(t time.Time) time.Time { return t.Add(time.Duration(i)) }

// cron has a set for each field: bit n stands for the value n.
type cron [6]uint64

// cronField is one field of an expression.
type cronField struct {
	name     string
	min, max int
	names    []string // of the values, from min on
}

var cronFields = [6]cronField{
	{"second", 0, 59, nil},
	{"minute", 0, 59, nil},
	{"hour", 0, 23, nil},
	{"day", 1, 31, nil},
	{"month", 1, 12, []string{"JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"}},
	{"day of week", 0, 6, []string{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"}},
}

// parse reads a list of *, values and ranges, each with a step if it likes.
func (f cronField) parse(text string) (set uint64, err error) {
	for part := range strings.SplitSeq(text, ",") {
		span, stepText, stepped := strings.Cut(part, "/")
		step := 1
		if stepped {
			if step, err = strconv.Atoi(stepText); err != nil || step < 1 {
				return 0, fmt.Errorf("expected a step of 1 or more, got %q", part)
			}
		}
		first, last := f.min, f.max
		if span != "*" {
			from, to, ranged := strings.Cut(span, "-")
			if first, err = f.value(from); err != nil {
				return 0, err
			}
			if ranged {
				last, err = f.value(to)
			} else if !stepped {
				last = first
			}
			if err != nil || last < first {
				return 0, fmt.Errorf("expected a range, got %q", part)
			}
		}
		for v := first; v <= last; v += step {
			set |= 1 << v
		}
	}
	return set, nil
}

func (f cronField) value(text string) (int, error) {
	if i := slices.Index(f.names, strings.ToUpper(text)); i >= 0 {
		return f.min + i, nil
	}
	v, err := strconv.Atoi(text)
	if err != nil || v < f.min || v > f.max {
		return 0, fmt.Errorf("expected %d to %d, got %q", f.min, f.max, text)
	}
	return v, nil
}

func (c cron) has(field, value int) bool { return c[field]&(1<<value) != 0 }

// next wants day and day of week to fit both, as NCRONTAB does.
func (c cron) next(t time.Time) time.Time {
	t = t.UTC().Truncate(time.Second).Add(time.Second)
	for limit := t.AddDate(9, 0, 0); t.Before(limit); { // 29 February may be eight years away
		year, month, day := t.Date()
		switch {
		case !c.has(4, int(month)):
			t = time.Date(year, month+1, 1, 0, 0, 0, 0, time.UTC)
		case !c.has(3, day) || !c.has(5, int(t.Weekday())):
			t = time.Date(year, month, day+1, 0, 0, 0, 0, time.UTC)
		case !c.has(2, t.Hour()):
			t = t.Truncate(time.Hour).Add(time.Hour)
		case !c.has(1, t.Minute()):
			t = t.Truncate(time.Minute).Add(time.Minute)
		case !c.has(0, t.Second()):
			t = t.Add(time.Second)
		default:
			return t
		}
	}
	return time.Time{}
}

// keepTime fires a timer on its schedule until the host ends. A run that takes
// longer than the time to the next one has that wait.
func (h *Host) keepTime(fn *function) {
	fire := func() { _ = h.Trigger(h.ctx, fn.name) } // a failure is in the log
	if fn.trigger.RunOnStartup {
		fire()
	}
	for {
		timer := time.NewTimer(time.Until(fn.schedule.next(time.Now())))
		select {
		case <-h.ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
			fire()
		}
	}
}
