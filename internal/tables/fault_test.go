package tables

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"acsauth/internal/identity"
	"acsauth/internal/identity/storetest"
)

const (
	serverResource = "contoso.communication.azure.com"
	bodyText       = "body-of-the-answer"
)

// server answers every request in one way and keeps what it was sent.
type server struct {
	*httptest.Server
	mu       sync.Mutex
	requests int
	sent     []string // credentials, as they came
}

func newServer(t *testing.T, answer http.HandlerFunc) *server {
	t.Helper()
	s := &server{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.requests++
		if a := r.Header.Get("Authorization"); a != "" {
			s.sent = append(s.sent, a, a[strings.LastIndex(a, ":")+1:])
		}
		if r.URL.RawQuery != "" {
			s.sent = append(s.sent, r.URL.RawQuery)
		}
		s.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *server) open(t *testing.T, credential string) *Store {
	t.Helper()
	c, err := ParseConnectionString("TableEndpoint=" + s.URL + "/contoso;" + credential)
	require.NoError(t, err)
	return mustOpen(t, Options{Connection: c, Table: "identities", Resource: serverResource})
}

// openNowhere opens a store on a port that nobody listens on.
func openNowhere(t *testing.T) *Store {
	t.Helper()
	c, err := ParseConnectionString("TableEndpoint=http://127.0.0.1:1/contoso;SharedAccessSignature=" + testSAS)
	require.NoError(t, err)
	return mustOpen(t, Options{Connection: c, Table: "identities", Resource: serverResource})
}

func answers(status int, header map[string]string, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for k, v := range header {
			w.Header().Set(k, v)
		}
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
}

// problem is the body of a table service's error.
func problem(code string) string {
	return `{"odata.error":{"code":"` + code + `","message":{"lang":"en-US","value":"` + bodyText + `"}}}`
}

// hijacks answers with raw bytes, then closes the connection, by a reset where
// there are none.
func hijacks(raw string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // lest the client fail at sending it
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		if raw == "" {
			_ = conn.(*net.TCPConn).SetLinger(0)
		}
		_, _ = conn.Write([]byte(raw))
		_ = conn.Close()
	}
}

// operations are all methods by name.
func operations(t *testing.T) map[string]func(context.Context, *Store) error {
	t.Helper()
	m, e := someMapping(t), someErasure(t)
	m.Version = "W/\"1\""
	return map[string]func(context.Context, *Store) error{
		"Get":         func(ctx context.Context, s *Store) error { _, err := s.Get(ctx, m.User); return err },
		"Create":      func(ctx context.Context, s *Store) error { _, err := s.Create(ctx, m); return err },
		"MarkErasing": func(ctx context.Context, s *Store) error { _, err := s.MarkErasing(ctx, m); return err },
		"Delete":      func(ctx context.Context, s *Store) error { return s.Delete(ctx, m) },
		"Ping":        func(ctx context.Context, s *Store) error { return s.Ping(ctx) },
		"Record":      func(ctx context.Context, s *Store) error { return s.Record(ctx, e) },
		"List":        listError,
		"Clear":       func(ctx context.Context, s *Store) error { return s.Clear(ctx, e) },
	}
}

func TestFailuresOfTheService(t *testing.T) {
	const (
		unavailable = identity.CodeUpstreamUnavailable
		rejected    = identity.CodeUpstreamRejected
	)
	elsewhere := newServer(t, answers(http.StatusOK, nil, "{}"))
	later := map[string]string{"Retry-After": "Sun, 22 Nov 2026 09:30:45 GMT", "Date": "Sun, 22 Nov 2026 09:30:15 GMT"}
	for _, c := range []struct {
		name       string
		answer     http.HandlerFunc
		code       identity.Code
		requests   int
		retryAfter time.Duration
		cause      string
	}{
		{"403 for a wrong key", answers(403, nil, problem("AuthenticationFailed")), rejected, 1, 0, "answered 403 (AuthenticationFailed)"},
		{"401 for a wrong token", answers(401, nil, problem("InvalidAuthenticationInfo")), rejected, 1, 0, "answered 401 (InvalidAuthenticationInfo)"},
		{"400 for a wrong request", answers(400, nil, problem("InvalidInput")), rejected, 1, 0, "answered 400 (InvalidInput)"},
		{"403 with text for a code", answers(403, nil, problem("<b>"+bodyText)), rejected, 1, 0, "answered 403 (no error code)"},
		{"429 that names a time", answers(429, map[string]string{"Retry-After": "7"}, problem("TooManyRequests")), unavailable, 1, 7 * time.Second, "answered 429"},
		{"429 that names milliseconds", answers(429, map[string]string{"x-ms-retry-after-ms": "2500"}, ""), unavailable, 1, 2500 * time.Millisecond, "answered 429"},
		{"429 that names none", answers(429, nil, bodyText), unavailable, 4, 0, "answered 429 (no error code)"},
		{"503 that names a date", answers(503, later, problem("ServerBusy")), unavailable, -1, 30 * time.Second, "answered 503 (ServerBusy)"},
		{"503 for longer than anyone waits", answers(503, map[string]string{"Retry-After": "864000"}, ""), unavailable, 1, time.Hour, "answered 503"},
		{"503 that names none", answers(503, nil, problem("ServerBusy")), unavailable, 4, 0, "answered 503 (ServerBusy)"},
		{"408", answers(408, nil, problem("OperationTimedOut")), unavailable, 4, 0, "answered 408"},
		{"501", answers(501, nil, bodyText), unavailable, 1, 0, "answered 501"},
		{"a table that is being deleted", answers(409, nil, problem("TableBeingDeleted")), unavailable, 1, 0, "TableBeingDeleted"},
		{"another conflict", answers(409, nil, problem("AccountIsDisabled")), rejected, 1, 0, "AccountIsDisabled"},
		{"404 of a web server", answers(404, nil, bodyText), rejected, 1, 0, "answered 404 (no error code)"},
		{"a redirect", answers(302, map[string]string{"Location": elsewhere.URL}, bodyText), rejected, 1, 0, "answered 302"},
		{"200 with a web page", answers(200, nil, "<html>"+bodyText), rejected, 1, 0, ""},
		{"an answer that is not HTTP", hijacks(bodyText + "\r\n\r\n"), unavailable, 4, 0, "the connection failed"},
		{"a reset", hijacks(""), unavailable, 4, 0, "reset"},
		{"an answer that is cut short", hijacks("HTTP/1.1 503 Busy\r\nContent-Length: 99\r\n\r\n" + bodyText), unavailable, -1, 0, "closed before the answer was complete"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var done sync.WaitGroup
			for name, operation := range operations(t) {
				for _, credential := range []string{"AccountName=contoso;AccountKey=" + testKey, "SharedAccessSignature=" + testSAS} {
					done.Go(func() {
						server := newServer(t, c.answer)
						err := operation(t.Context(), server.open(t, credential))

						var e *identity.Error
						if !assert.ErrorAs(t, err, &e, name) {
							return
						}
						assert.Equal(t, c.code, e.Code, "%s: %v", name, err)
						assert.Equal(t, c.retryAfter, e.RetryAfter, name)
						assert.ErrorContains(t, e.Err, c.cause, name)
						assert.ErrorContains(t, e.Err, server.Listener.Addr().String(), name)
						assert.NotContains(t, e.Detail, server.Listener.Addr().String(), name)
						server.mu.Lock()
						defer server.mu.Unlock()
						if c.requests > 0 {
							assert.Equal(t, c.requests, server.requests, "%s: requests", name)
						}
						assert.NotEmpty(t, server.sent, name)
						assertHides(t, err.Error(), append(server.sent, bodyText, "/contoso")...)
					})
				}
			}
			done.Wait()
		})
	}
	t.Cleanup(func() { assert.Zero(t, elsewhere.requests, "nothing follows a redirect") })
}

func TestTheSuiteOnServicesThatAreBroken(t *testing.T) {
	broken := func(code identity.Code, answer http.HandlerFunc) storetest.Broken {
		return storetest.Broken{Code: code, Open: func(t *testing.T) storetest.Backend {
			return newServer(t, answer).open(t, "SharedAccessSignature="+testSAS)
		}}
	}
	const unavailable, rejected = identity.CodeUpstreamUnavailable, identity.CodeUpstreamRejected
	for name, b := range map[string]storetest.Broken{
		"throttling": broken(unavailable, answers(429, map[string]string{"x-ms-retry-after-ms": "2"}, problem("TooManyRequests"))),
		"busy":       broken(unavailable, answers(503, nil, problem("ServerBusy"))),
		"failing":    broken(unavailable, answers(500, nil, "")),
		"resetting":  broken(unavailable, hijacks("")),
		"hanging": broken(unavailable, func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		}),
		"no table service": broken(rejected, answers(200, nil, "<html>"+bodyText)),
		"refusing":         broken(rejected, answers(403, nil, problem("AuthorizationFailure"))),
		"not there":        {Code: unavailable, Open: func(t *testing.T) storetest.Backend { return openNowhere(t) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b.Check(t)
		})
	}
}

func TestADeadlineOfTheCallerIsKept(t *testing.T) {
	for name, operation := range operations(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := newServer(t, func(_ http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body) // until then the server does not see the client go
				<-r.Context().Done()
			})
			s := server.open(t, "SharedAccessSignature="+testSAS)
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			begun := time.Now()
			err := operation(ctx, s)
			assert.Equal(t, identity.CodeUpstreamUnavailable, identity.CodeOf(err))
			assert.ErrorIs(t, err, context.DeadlineExceeded)
			assert.Less(t, time.Since(begun), tryTimeout)
			assertHides(t, err.Error())
		})
	}
}

func TestAServiceThatIsNotThereIsUnavailable(t *testing.T) {
	err := openNowhere(t).Ping(t.Context())
	assert.Equal(t, identity.CodeUpstreamUnavailable, identity.CodeOf(err))
	assert.ErrorContains(t, err, "connect")
	assertHides(t, err.Error())
}

func TestATableThatCannotBeMade(t *testing.T) {
	for name, c := range map[string]struct {
		creation http.HandlerFunc
		code     identity.Code
		requests int
	}{
		"not allowed":       {answers(403, nil, problem("AuthorizationPermissionMismatch")), identity.CodeUpstreamRejected, 2},
		"just being gone":   {answers(409, nil, problem("TableBeingDeleted")), identity.CodeUpstreamUnavailable, 2},
		"there, yet unseen": {answers(409, nil, problem("TableAlreadyExists")), identity.CodeUpstreamUnavailable, 3},
	} {
		t.Run(name, func(t *testing.T) {
			server := newServer(t, func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, "/Tables") {
					c.creation(w, r)
					return
				}
				answers(404, nil, problem("TableNotFound"))(w, r)
			})
			_, err := server.open(t, "AccountName=contoso;AccountKey="+testKey).Create(t.Context(), someMapping(t))
			assert.Equal(t, c.code, identity.CodeOf(err))
			assert.NotErrorIs(t, err, identity.ErrNotFound)
			assert.Equal(t, c.requests, server.requests)
		})
	}
}

func TestWhatCannotBeAKeyMakesNoCall(t *testing.T) {
	c, err := ParseConnectionString("AccountName=contoso;AccountKey=" + testKey)
	require.NoError(t, err)
	s := mustOpen(t, Options{Connection: c, Table: "identities", Resource: serverResource, Transport: noCalls{t}})
	plain := func(err error) {
		t.Helper()
		require.Error(t, err)
		assert.False(t, errors.As(err, new(*identity.Error)), "%v", err)
	}
	for _, id := range []string{"", "8:acs:a/b", `8:acs:a\b`, "8:acs:a#b", "8:acs:a?b", "8:acs:a%b", "8:acs:a\nb", "8:acs:a\x7fb", "8:acs:é", strings.Repeat("a", 255)} {
		m, e := someMapping(t), someErasure(t)
		m.AcsUserID, e.AcsUserID = id, id
		_, err := s.Create(t.Context(), m)
		plain(err)
		plain(s.Record(t.Context(), e))
		plain(s.Clear(t.Context(), e))
	}
	m, e := someMapping(t), someErasure(t)
	m.CreatedAt, e.RecordedAt = time.Time{}, time.Time{}
	_, err = s.Create(t.Context(), m)
	plain(err)
	plain(s.Record(t.Context(), e))

	for _, user := range []identity.User{{}, {TenantID: "a/b", ObjectID: "c"}, {TenantID: strings.ToUpper(m.User.TenantID), ObjectID: "C"}} {
		m.User, e.User = user, user
		m.Version = "1"
		for name, operation := range map[string]func() error{
			"Get":         func() error { _, err := s.Get(t.Context(), user); return err },
			"Create":      func() error { _, err := s.Create(t.Context(), m); return err },
			"MarkErasing": func() error { _, err := s.MarkErasing(t.Context(), m); return err },
			"Delete":      func() error { return s.Delete(t.Context(), m) },
			"Record":      func() error { return s.Record(t.Context(), e) },
		} {
			t.Run(name, func(*testing.T) { plain(operation()) })
		}
	}
}

func TestOptionsAreChecked(t *testing.T) {
	good, err := ParseConnectionString("AccountName=contoso;AccountKey=" + testKey)
	require.NoError(t, err)
	endpoint := "https://contoso.table.core.windows.net"
	for _, c := range []struct {
		name    string
		o       Options
		wantErr string
	}{
		{"no table", Options{Connection: good, Resource: "a.example"}, "table name"},
		{"a table name that is too short", Options{Connection: good, Table: "ab", Resource: "a.example"}, "table name"},
		{"a table name with a hyphen", Options{Connection: good, Table: "acs-identities", Resource: "a.example"}, "table name"},
		{"no resource", Options{Connection: good, Table: "identities"}, "ACS resource"},
		{"a URL for a resource", Options{Connection: good, Table: "identities", Resource: "https://a.example"}, "ACS resource"},
		{"a quote in the resource", Options{Connection: good, Table: "identities", Resource: "a' or 'a"}, "ACS resource"},
		{"a long resource", Options{Connection: good, Table: "identities", Resource: strings.Repeat("a", 121)}, "ACS resource"},
		{"no way in", Options{Table: "identities", Resource: "a.example"}, "either a connection or an endpoint"},
		{"two ways in", Options{Connection: good, Endpoint: endpoint, Credential: &fakeCredential{}, Table: "identities", Resource: "a.example"}, "either a connection or an endpoint"},
		{"an endpoint alone", Options{Endpoint: endpoint, Table: "identities", Resource: "a.example"}, "needs a credential"},
		{"a credential alone", Options{Credential: &fakeCredential{}, Table: "identities", Resource: "a.example"}, "not an absolute URL"},
		{"a token over http", Options{Endpoint: "http://127.0.0.1:10002/devstoreaccount1", Credential: &fakeCredential{}, Table: "identities", Resource: "a.example"}, "must be https"},
		{"a connection without a key", Options{Connection: Connection{Endpoint: endpoint}, Table: "identities", Resource: "a.example"}, "neither a key nor"},
		{"a signature in the endpoint", Options{Endpoint: endpoint + "/?" + testSAS, Credential: &fakeCredential{}, Table: "identities", Resource: "a.example"}, "has a query"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.o.Transport = noCalls{t}
			_, err := Open(c.o)
			require.ErrorContains(t, err, c.wantErr)
			assertHides(t, err.Error())
		})
	}
	_, err = Open(Options{Endpoint: endpoint, Credential: &fakeCredential{}, Table: "identities", Resource: "Localhost:8443", Transport: noCalls{t}})
	assert.NoError(t, err)
}
