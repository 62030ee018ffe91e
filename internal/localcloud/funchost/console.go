package funchost

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// Categories of records, as in the logs of the host.
const (
	CategoryConsole = "Host.Function.Console"        // what the handler prints
	CategoryHost    = "Host.General"                 // what the host has to say
	CategoryWorker  = "Worker.HttpWorkerProcess"     // handler lines that start with LanguageWorkerConsoleLog
	CategoryTooling = "Host.Function.ToolingConsole" // handler lines that start with azfuncjsonlog:
)

const recordsKept = 10_000

// maxLine is where a line is cut that does not end. The real host knows no such
// limit; here it keeps a handler gone wild from taking all memory.
const maxLine = 64 << 10

// Record is one line of the host's log. Records of a function, such as a failed
// invocation, have the category "Function.<name>".
type Record struct {
	Time     time.Time
	Level    slog.Level
	Category string
	Text     string
}

// console keeps records and hands them on.
type console struct {
	log   func(Record)
	logMu sync.Mutex // one at a time, apart from mu so that log may read records

	mu      sync.Mutex
	records []Record
}

func (c *console) add(level slog.Level, category, text string) {
	r := Record{time.Now(), level, category, text}
	c.mu.Lock()
	if len(c.records) == recordsKept {
		c.records = append(c.records[:0], c.records[recordsKept/10:]...)
	}
	c.records = append(c.records, r)
	c.mu.Unlock()
	if c.log != nil {
		c.logMu.Lock()
		defer c.logMu.Unlock()
		c.log(r)
	}
}

func (c *console) host(level slog.Level, format string, args ...any) {
	c.add(level, CategoryHost, fmt.Sprintf(format, args...))
}

func (c *console) all() []Record {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Record(nil), c.records...)
}

// lines is the writer behind one stream of a process: it turns each line into a
// record. It is used by one goroutine, and by another after that one has ended.
type lines struct {
	console *console
	level   func(line string) slog.Level
	failure func(line string) // told of each line of level Error
	partial []byte
}

func (l *lines) Write(b []byte) (int, error) {
	l.partial = append(l.partial, b...)
	for {
		i := bytes.IndexByte(l.partial, '\n')
		if i < 0 {
			if len(l.partial) >= maxLine {
				l.flush()
			}
			return len(b), nil
		}
		l.line(string(l.partial[:i]))
		l.partial = l.partial[i+1:]
	}
}

// flush is for what the process printed last, without a newline.
func (l *lines) flush() {
	if len(l.partial) > 0 {
		l.line(string(l.partial))
		l.partial = nil
	}
}

func (l *lines) line(text string) {
	text = strings.TrimSuffix(text, "\r")
	category := CategoryConsole
	if rest, ok := strings.CutPrefix(text, "LanguageWorkerConsoleLog"); ok {
		category, text = CategoryWorker, rest
	} else if rest, ok := strings.CutPrefix(text, "azfuncjsonlog:"); ok {
		category, text = CategoryTooling, rest
	}
	level := l.level(text)
	if level == slog.LevelError {
		l.failure(text)
	}
	l.console.add(level, category, text)
}

// stdoutLevel and its siblings are how the host tells the level of a line.
func stdoutLevel(string) slog.Level { return slog.LevelInfo }

// stderrLevel is for a handler that writes nothing but errors to stderr, which
// the host takes for granted.
func stderrLevel(line string) slog.Level {
	if strings.Contains(strings.ToLower(line), "warn") {
		return slog.LevelWarn
	}
	return slog.LevelError
}

// mixedStderrLevel is for useStdErrorStreamForErrorsOnly set to false.
func mixedStderrLevel(line string) slog.Level {
	line = strings.ToLower(line)
	if strings.Contains(line, "warn") {
		return slog.LevelWarn
	}
	for _, word := range []string{"error", "fail", "severe", "unhandled exception"} {
		if strings.Contains(line, word) {
			return slog.LevelError
		}
	}
	return slog.LevelInfo
}
