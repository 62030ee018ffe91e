package entraid

import (
	"crypto/sha1"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"acsauth/internal/localcloud/wire"
)

// asserting is credentials with an assertion in place of the secret.
func asserting(assertion string) url.Values {
	return with(credentials(ACSScope), "client_secret", "", "client_assertion_type", assertionType, "client_assertion", assertion)
}

// certified are the claims of a good assertion by certificate.
func (d *directory) certified(changes map[string]any) map[string]any {
	claims := map[string]any{"iss": apiID, "sub": apiID, "aud": d.baseURL + tokenPath, "jti": "1",
		"nbf": d.now.Unix(), "exp": d.now.Add(10 * time.Minute).Unix()}
	for name, v := range changes {
		claims[name] = v
	}
	return claims
}

func TestAnAppProvesItselfWithItsCertificate(t *testing.T) {
	d := newDirectory(t)
	for name, form := range map[string]struct{ header, changes map[string]any }{
		"by x5t":                      {map[string]any{"x5t": d.certificate.ID}, nil},
		"by x5t with padding":         {map[string]any{"x5t": d.certificate.ID + "="}, nil},
		"by thumbprint in kid":        {map[string]any{"kid": thumbprint(d.certificate)}, nil},
		"for the tenant's domain":     {map[string]any{"x5t": d.certificate.ID}, map[string]any{"aud": d.baseURL + "/contoso.example/v2.0"}},
		"for common's token endpoint": {map[string]any{"x5t": d.certificate.ID}, map[string]any{"aud": d.baseURL + "/common/oauth2/v2.0/token"}},
	} {
		body := d.tokens(asserting(d.certificate.Sign(form.header, d.certified(form.changes))))
		claims := claimsOf(t, member(t, body, "access_token"))
		assert.Equal(t, "2", claims["appidacr"], name)
	}
	other, err := wire.NewKey(d.now)
	require.NoError(t, err)
	named := map[string]any{"x5t": d.certificate.ID}
	for name, row := range map[string]struct {
		assertion string
		number    int
	}{
		"certificate not registered": {other.Sign(map[string]any{"x5t": other.ID}, d.certified(nil)), 700027},
		"no certificate named":       {d.certificate.Sign(map[string]any{"kid": nil}, d.certified(nil)), 700027},
		"signed by another":          {other.Sign(named, d.certified(nil)), 700027},
		"of another app":             {d.certificate.Sign(named, d.certified(map[string]any{"sub": spaID})), 700021},
		"for another place":          {d.certificate.Sign(named, d.certified(map[string]any{"aud": "https://login.example/"})), 700023},
		"expired":                    {d.certificate.Sign(named, d.certified(map[string]any{"exp": d.now.Unix()})), 700024},
		"without expiry":             {d.certificate.Sign(named, d.certified(map[string]any{"exp": nil})), 700024},
		"not yet valid":              {d.certificate.Sign(named, d.certified(map[string]any{"nbf": d.now.Add(time.Hour).Unix()})), 700024},
	} {
		t.Run(name, func(t *testing.T) {
			d.refused(asserting(row.assertion), http.StatusUnauthorized, "invalid_client", row.number)
		})
	}
}

func TestAnAppProvesItselfWithTheTokenOfAnother(t *testing.T) {
	d := newDirectory(t)
	trusted := func(changes map[string]any) map[string]any {
		claims := map[string]any{"iss": d.issuerV2(SampleTenantID), "sub": "job", "aud": "api://AzureADTokenExchange",
			"nbf": d.now.Unix(), "exp": d.now.Add(time.Hour).Unix()}
		for name, v := range changes {
			claims[name] = v
		}
		return claims
	}
	d.tokens(asserting(d.Sign(nil, trusted(nil))))
	for name, row := range map[string]struct {
		assertion string
		number    int
	}{
		"another issuer":        {d.Sign(nil, trusted(map[string]any{"iss": "https://evil.example/"})), 700211},
		"another subject":       {d.Sign(nil, trusted(map[string]any{"sub": "JOB"})), 700213},
		"another audience":      {d.Sign(nil, trusted(map[string]any{"aud": "api://azureadtokenexchange"})), 700212},
		"another key":           {d.certificate.Sign(nil, trusted(nil)), 50013},
		"expired":               {d.Sign(nil, trusted(map[string]any{"exp": d.now.Unix()})), 700024},
		"audience is no text":   {d.Sign(nil, trusted(map[string]any{"aud": []int{1}})), 700212},
		"expiry is no number":   {d.Sign(nil, trusted(map[string]any{"exp": "soon"})), 700024},
		"algorithm is no RS256": {d.Sign(map[string]any{"alg": "none"}, trusted(nil)), 50013},
	} {
		t.Run(name, func(t *testing.T) {
			d.refused(asserting(row.assertion), http.StatusUnauthorized, "invalid_client", row.number)
		})
	}
}

func thumbprint(k *wire.Key) string {
	return fmt.Sprintf("%X", sha1.Sum(k.Certificate().Raw))
}

func claimsOf(t *testing.T, token string) map[string]any {
	t.Helper()
	parts := strings.Split(token, ".")
	require.Len(t, parts, 3)
	return decoded(t, parts[1])
}
