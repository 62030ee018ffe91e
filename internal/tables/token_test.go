package tables

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"acsauth/internal/azurite"
	"acsauth/internal/identity"
	"acsauth/internal/identity/storetest"
)

func TestOnAzuriteWithTokens(t *testing.T) {
	certFile, keyFile, roots := newCertificate(t)
	instance := azurite.Start(t, azurite.Options{CertFile: certFile, KeyFile: keyFile})
	options := Options{Endpoint: instance.Endpoint, Credential: &fakeCredential{}, Transport: trusting(t, roots)}

	t.Run("with a token", conformance(options).inProcesses(place{Endpoint: instance.Endpoint, CertFile: certFile}).Run)

	t.Run("a token of somebody else's is refused", func(t *testing.T) {
		o := options
		o.Table, o.Resource = newTable(t), storetest.Resource
		o.Credential = &fakeCredential{audience: "https://graph.microsoft.com"}
		err := mustOpen(t, o).Ping(t.Context())
		assert.Equal(t, identity.CodeUpstreamRejected, identity.CodeOf(err))
	})

	t.Run("a certificate that is not trusted ends the connection", func(t *testing.T) {
		o := options
		o.Table, o.Resource = newTable(t), storetest.Resource
		o.Transport = nil
		err := mustOpen(t, o).Ping(t.Context())
		assert.Equal(t, identity.CodeUpstreamUnavailable, identity.CodeOf(err))
		assert.ErrorContains(t, err, "certificate")
	})
}

func trusting(t *testing.T, roots *x509.CertPool) *http.Client {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{
		TLSClientConfig:     &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		MaxIdleConnsPerHost: 64,
	}}
	t.Cleanup(client.CloseIdleConnections)
	return client
}

func TestTokensAreAskedForTheRightService(t *testing.T) {
	for endpoint, scope := range map[string]string{
		"https://contoso.table.core.windows.net":       "https://storage.azure.com/.default",
		"https://contoso.table.core.usgovcloudapi.net": "https://storage.azure.com/.default",
		"https://contoso.table.cosmos.azure.com:443":   "https://cosmos.azure.com/.default",
		"https://contoso.table.cosmos.azure.us:443":    "https://cosmos.azure.us/.default",
		"https://contoso.table.cosmos.azure.cn:443":    "https://cosmos.azure.cn/.default",
	} {
		t.Run(endpoint, func(t *testing.T) {
			c := &fakeCredential{err: final{errors.New("secret text")}}
			s := mustOpen(t, Options{Endpoint: endpoint, Credential: c, Table: "identities", Resource: "a.example", Transport: noCalls{t}})
			err := s.Ping(t.Context())
			assert.Equal(t, identity.CodeUpstreamRejected, identity.CodeOf(err), "what the credential says is final")
			assert.NotContains(t, err.Error(), "secret text")
			assert.Equal(t, [][]string{{scope}}, c.asked)

			c.err = errors.New("secret text")
			err = s.Ping(t.Context())
			assert.Equal(t, identity.CodeUpstreamUnavailable, identity.CodeOf(err), "what may pass")
			assert.NotContains(t, err.Error(), "secret text")
		})
	}
}

// noCalls fails the test of whoever makes a request.
type noCalls struct{ t *testing.T }

func (n noCalls) Do(req *http.Request) (*http.Response, error) {
	n.t.Errorf("no request was expected: %s %s", req.Method, req.URL.Path)
	return nil, errors.New("no request was expected")
}

// fakeCredential makes tokens of the shape that Azurite looks at.
type fakeCredential struct {
	audience string
	err      error
	asked    [][]string
}

func (c *fakeCredential) GetToken(_ context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
	if c.err != nil {
		c.asked = append(c.asked, o.Scopes)
		return azcore.AccessToken{}, c.err
	}
	audience := c.audience
	if audience == "" {
		audience = "https://storage.azure.com"
	}
	now := time.Now()
	part := func(v any) string {
		b, _ := json.Marshal(v)
		return base64.RawURLEncoding.EncodeToString(b)
	}
	token := part(map[string]any{"typ": "JWT", "alg": "RS256", "kid": "k"}) + "." + part(map[string]any{
		"aud": audience,
		"iss": "https://sts.windows.net/11111111-2222-3333-4444-555555555555/",
		"iat": now.Add(-time.Minute).Unix(), "nbf": now.Add(-time.Minute).Unix(), "exp": now.Add(time.Hour).Unix(),
		"oid": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee", "tid": "11111111-2222-3333-4444-555555555555", "ver": "1.0",
	}) + "." + base64.RawURLEncoding.EncodeToString([]byte("no signature"))
	return azcore.AccessToken{Token: token, ExpiresOn: now.Add(time.Hour)}, nil
}

// final is an error as azidentity makes them when to try again is no use.
type final struct{ error }

func (final) NonRetriable() {}

func newCertificate(t *testing.T) (certFile, keyFile string, roots *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "127.0.0.1"},
		NotBefore:    time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)

	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	require.NoError(t, os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	require.NoError(t, os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600))
	roots = x509.NewCertPool()
	roots.AddCert(cert)
	return certFile, keyFile, roots
}

func newGUID(t *testing.T) string {
	t.Helper()
	var b [16]byte
	_, err := rand.Read(b[:])
	require.NoError(t, err)
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
