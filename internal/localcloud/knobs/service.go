package knobs

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"acsauth/internal/localcloud/wire"
)

// requestsKept is how many requests a Service remembers.
const requestsKept = 50

// Service is one stand-in as the knobs see it.
type Service struct {
	Name       string
	Operations []string
	Operation  func(*http.Request) string // one of them, or empty
	// Refuse answers with a status in the words of the service. text is a
	// sentence for people.
	Refuse   func(w http.ResponseWriter, r *http.Request, status int, text string)
	RollKeys func() error // nil has none
	NoClock  bool         // it goes by no clock of its own
	// Limit sets what a Knob's Limits says, empty for none. Nil has none to set.
	Limit func(limits string)

	board *Board

	mu       sync.Mutex
	requests []Request // the latest last
	served   int
}

// Request is one that a service has had.
type Request struct {
	Time      time.Time
	Method    string
	Path      string // without the query, which may hold codes
	Operation string
	Caller    string // who called, as far as the service found out
	Reason    string // why it refused
	Status    int    // zero when the connection was reset
	Took      time.Duration
	Fault     string // the knob that hit it
}

// Add makes a Service part of the board.
func (b *Board) Add(s *Service) *Service {
	b.mu.Lock()
	defer b.mu.Unlock()
	s.board = b
	b.services = append(b.services, s)
	return s
}

// Now is the service's clock.
func (s *Service) Now() time.Time { return time.Now().Add(s.board.skew(s.Name)) }

// Requests returns the last ones, the latest first.
func (s *Service) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	latest := slices.Clone(s.requests)
	slices.Reverse(latest)
	return latest
}

// Served counts the requests that have ended.
func (s *Service) Served() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.served
}

func (s *Service) remember(r Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.served++
	s.requests = append(s.requests[max(0, len(s.requests)-requestsKept+1):], r)
}

// Handler puts the knobs in front of the stand-in.
func (s *Service) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen := Request{Time: time.Now(), Method: r.Method, Path: r.URL.EscapedPath(), Operation: s.Operation(r)}
		watched := &statusWriter{ResponseWriter: w}
		r, note := wire.WithNote(r)
		defer func() {
			seen.Caller, seen.Reason = note.Caller(), note.Reason()
			seen.Took, seen.Status = time.Since(seen.Time), watched.status
			s.remember(seen)
		}()
		if skew := s.board.skew(s.Name); skew != 0 {
			w.Header().Set("Date", time.Now().Add(skew).UTC().Format(http.TimeFormat))
		}
		fault, hit := Knob{}, false
		if r.Method != http.MethodOptions { // a CORS preflight is the browser's own
			fault, hit = s.board.fault(s.Name, seen.Operation)
		}
		if !hit {
			next.ServeHTTP(watched, r)
			return
		}
		seen.Fault = fault.String()
		select {
		case <-time.After(fault.Latency):
		case <-r.Context().Done():
			return
		}
		switch {
		case fault.Reset == Before:
			reset(w)
		case fault.Reset == After:
			next.ServeHTTP(&lostWriter{header: http.Header{}}, r)
			reset(w)
		case fault.Status != 0:
			if fault.RetryAfter >= 0 {
				w.Header().Set("Retry-After", strconv.Itoa(fault.RetryAfter))
			}
			s.Refuse(watched, r, fault.Status, fmt.Sprintf("%s. This is a fault that was asked for: %s", reason(fault.Status), fault))
		default:
			next.ServeHTTP(watched, r)
		}
	})
}

// reset cuts the connection: with a TCP reset in HTTP/1.1, and with one of the
// stream in HTTP/2.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	if t, ok := conn.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	_ = conn.Close()
}

// statusWriter remembers the status.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	if w.status < 200 { // 1xx come before another
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(b []byte) (int, error) {
	if w.status < 200 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap is what http.ResponseController looks for.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// lostWriter takes an answer that nobody gets.
type lostWriter struct{ header http.Header }

func (w *lostWriter) Header() http.Header         { return w.header }
func (w *lostWriter) Write(b []byte) (int, error) { return len(b), nil }
func (w *lostWriter) WriteHeader(int)             {}
