package acs

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/stretchr/testify/require"

	"acsauth/internal/identity"
	"acsauth/internal/secret"
)

// instant is an ACS without a network.
type instant struct{}

func (instant) Do(r *http.Request) (*http.Response, error) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(goodToken)), Request: r}, nil
}

// BenchmarkSign signs a request with the access key.
func BenchmarkSign(b *testing.B) {
	p, err := newKeyPolicy(secret.New("c2VjcmV0LWtleQ=="), time.Now)
	require.NoError(b, err)
	req, err := runtime.NewRequest(b.Context(), http.MethodPost, "https://contoso.communication.azure.com"+identityPath(testID)+"/:issueAccessToken?api-version="+DefaultAPIVersion)
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		p.sign(req.Raw(), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=")
	}
}

// BenchmarkIssueToken is all that the client does for a token but the network.
func BenchmarkIssueToken(b *testing.B) {
	c, err := New(Options{Endpoint: "https://contoso.communication.azure.com", AccessKey: secret.New("c2VjcmV0LWtleQ=="), Transport: instant{}})
	require.NoError(b, err)
	req := identity.TokenRequest{Scopes: []string{"chat", "voip"}, ExpiresIn: 24 * time.Hour}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.IssueToken(b.Context(), testID, req); err != nil {
			b.Fatal(err)
		}
	}
}
