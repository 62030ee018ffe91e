package upstream

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"acsauth/internal/trace"
)

// maxIdlePerHost keeps a connection for each request that ACS is asked at once;
// the default of two would close and dial all the time.
const maxIdlePerHost = 256

// NewClient returns the one client for all upstreams. It follows no redirects:
// none of them has a reason to send one, and the next host has no right to a
// token. Deadlines come with the requests. certFile is the setting SSL_CERT_FILE.
func NewClient(certFile string) (*http.Client, error) {
	roots, err := extraRoots(runtime.GOOS, certFile)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		Proxy:       http.ProxyFromEnvironment,
		DialContext: (&net.Dialer{Timeout: 3 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		// No sessions are resumed: each connection shows its certificate.
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
		TLSHandshakeTimeout: 5 * time.Second,
		ForceAttemptHTTP2:   true,
		// A connection that died without a word is found out within one try.
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: 3 * time.Second, PingTimeout: 2 * time.Second},
		MaxIdleConns:           3 * maxIdlePerHost,
		MaxIdleConnsPerHost:    maxIdlePerHost,
		IdleConnTimeout:        90 * time.Second,
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: 64 << 10,
	}
	return &http.Client{Transport: trace.Transport{Next: transport}, CheckRedirect: NoRedirects}, nil
}

// NoRedirects is for http.Client: an answer that redirects is the answer.
func NoRedirects(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// Guard is for the pipelines of azcore. It gives each try of a request a body of
// its own, because azcore rewinds the body for the next try while net/http may
// still be sending the last one, which was answered early. And it reads answers
// whole, up to MaxAnswer: azcore would do so without a bound, and would take one
// that breaks off for a failure that no second try can mend.
type Guard struct{ Next policy.Transporter }

// MaxAnswer is far above what any upstream has reason to answer.
const MaxAnswer = 4 << 20

// Do implements policy.Transporter.
func (g Guard) Do(r *http.Request) (*http.Response, error) {
	if r.Body != nil && r.Body != http.NoBody {
		b, err := readAll(r.Body, r.ContentLength)
		if err != nil {
			return nil, err
		}
		r = r.WithContext(r.Context())
		r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }
		r.Body, _ = r.GetBody()
	}
	resp, err := g.Next.Do(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := readAll(io.LimitReader(resp.Body, MaxAnswer), resp.ContentLength)
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(answer))
	return resp, nil
}

// readAll is io.ReadAll for what is most likely of the given length, where that
// is known: else it is -1.
func readAll(r io.Reader, length int64) ([]byte, error) {
	var b bytes.Buffer
	b.Grow(int(min(max(length, 0), MaxAnswer)) + bytes.MinRead)
	_, err := b.ReadFrom(r)
	return b.Bytes(), err
}

// extraRoots gives SSL_CERT_FILE the meaning it has on Linux, where crypto/x509
// reads it, on the systems where crypto/x509 asks the system alone. nil leaves
// the choice to crypto/x509.
func extraRoots(goos, certFile string) (*x509.CertPool, error) {
	if certFile == "" || goos != "windows" && goos != "darwin" {
		return nil, nil
	}
	pem, err := os.ReadFile(certFile)
	if err != nil {
		return nil, fmt.Errorf("SSL_CERT_FILE: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("SSL_CERT_FILE: %s holds no certificate", certFile)
	}
	return pool, nil
}
