package faulttest

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	stdlog "log"
	"maps"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"acsauth/internal/localcloud/acsidentity"
)

// wire is the way to one upstream, over TLS, and what goes wrong on it. It sees
// each identity that is made.
type wire struct {
	server   *httptest.Server
	next     http.Handler // the upstream itself
	fault    atomic.Pointer[fault]
	down     atomic.Bool // connections break as soon as they are made
	stranger atomic.Bool // it shows the certificate of somebody else
	released atomic.Pointer[chan struct{}]

	mu   sync.Mutex
	made []creation
	cuts []time.Time // when all connections were broken
}

// creation is an identity that ACS made.
type creation struct {
	id   string
	at   time.Time
	told bool // the answer went out whole, as far as this end knows
}

// fault is what becomes of a request. It may be called for many at once.
type fault func(*exchange)

func newWire(t testing.TB, next http.Handler, http2 bool) *wire {
	t.Helper()
	w := &wire{next: next}
	w.set(deliver)
	w.server = httptest.NewUnstartedServer(w)
	w.server.Listener = gate{w.server.Listener, w}
	w.server.EnableHTTP2 = http2
	w.server.Config.ErrorLog = stdlog.New(io.Discard, "", 0) // broken connections are what it is for
	strangers := &tls.Config{Certificates: []tls.Certificate{newCertificate(t)}}
	w.server.TLS = &tls.Config{
		Certificates: []tls.Certificate{newCertificate(t)},
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			if w.stranger.Load() {
				return strangers, nil
			}
			return nil, nil // the server's own
		},
	}
	w.server.StartTLS()
	t.Cleanup(func() {
		w.heal()
		w.server.CloseClientConnections()
		w.server.Close()
	})
	return w
}

// newCertificate is for the address of every wire, signed by itself.
func newCertificate(t testing.TB) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "a wire"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// certificate is what clients have to trust, in PEM.
func (w *wire) certificate() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.server.Certificate().Raw})
}

// gate breaks new connections while the wire is down.
type gate struct {
	net.Listener
	wire *wire
}

func (g gate) Accept() (net.Conn, error) {
	for {
		c, err := g.Listener.Accept()
		if err != nil || !g.wire.down.Load() {
			return c, err
		}
		reset(c)
	}
}

// reset has the system send RST in place of FIN.
func reset(c net.Conn) {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}

// set has f decide on each request from now on.
func (w *wire) set(f fault) {
	released := make(chan struct{})
	w.fault.Store(&f)
	if before := w.released.Swap(&released); before != nil {
		close(*before)
	}
}

// breakDown ends all connections, and new ones at once.
func (w *wire) breakDown() {
	w.down.Store(true)
	w.cut()
}

// swapCertificate ends all connections; new ones see a stranger's certificate.
func (w *wire) swapCertificate() {
	w.stranger.Store(true)
	w.cut()
}

func (w *wire) cut() {
	w.mu.Lock()
	w.cuts = append(w.cuts, time.Now())
	w.mu.Unlock()
	w.server.CloseClientConnections()
}

// heal ends every fault, and resets what hangs.
func (w *wire) heal() {
	w.set(deliver)
	w.down.Store(false)
	w.stranger.Store(false)
}

// creations are all that were made. Of answers that went out when connections
// were broken nobody can say whether they arrived.
func (w *wire) creations() []creation {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := slices.Clone(w.made)
	for i, made := range all {
		all[i].told = made.told && !slices.ContainsFunc(w.cuts, func(cut time.Time) bool { return cut.Sub(made.at).Abs() < lateWork })
	}
	return all
}

// ServeHTTP implements http.Handler.
func (w *wire) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client has gone
	}
	e := &exchange{wire: w, w: rw, r: r, body: body, released: *w.released.Load(), creation: -1}
	(*w.fault.Load())(e)
	if e.creation >= 0 && e.delivered && r.Context().Err() == nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.made[e.creation].told = true
	}
}

// exchange is one request on its way.
type exchange struct {
	wire      *wire
	w         http.ResponseWriter
	r         *http.Request
	body      []byte
	released  <-chan struct{}
	creation  int // index in made; -1 for none
	delivered bool
}

// work has the upstream do what it is asked, whether or not the client still
// waits, and returns its answer.
func (e *exchange) work() *httptest.ResponseRecorder {
	r := e.r.Clone(context.WithoutCancel(e.r.Context()))
	r.Body = io.NopCloser(bytes.NewReader(e.body))
	answer := httptest.NewRecorder()
	e.wire.next.ServeHTTP(answer, r)
	if acsidentity.Operation(r) == acsidentity.OpCreate && answer.Code == http.StatusCreated {
		var made struct{ Identity struct{ ID string } }
		_ = json.Unmarshal(answer.Body.Bytes(), &made) // the stand-in's own
		e.wire.mu.Lock()
		defer e.wire.mu.Unlock()
		e.creation = len(e.wire.made)
		e.wire.made = append(e.wire.made, creation{id: made.Identity.ID, at: time.Now()})
	}
	return answer
}

// send answers. It is for what the upstream said and for what it did not. The
// error is for a client that has gone.
func (e *exchange) send(status int, header http.Header, body []byte) error {
	maps.Copy(e.w.Header(), header)
	e.w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	e.w.WriteHeader(status)
	_, err := e.w.Write(body)
	return errors.Join(err, http.NewResponseController(e.w).Flush())
}

// reset breaks the connection, or where it is shared, the stream.
func (e *exchange) reset() {
	if h, ok := e.w.(http.Hijacker); ok {
		if c, _, err := h.Hijack(); err == nil {
			reset(c)
			return
		}
	}
	panic(http.ErrAbortHandler)
}

// wait returns when the client goes, the wire heals, or d has passed; d of zero
// is for ever.
func (e *exchange) wait(d time.Duration) {
	var passed <-chan time.Time
	if d > 0 {
		passed = time.After(d)
	}
	select {
	case <-e.r.Context().Done():
	case <-e.released:
	case <-passed:
	}
}
