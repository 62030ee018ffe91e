package acs

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"acsauth/internal/identity"
	"acsauth/internal/secret"
)

// What @azure/communication-identity 1.3.1 put on the wire, with this key, host
// and date, for the same calls.
func TestRequestsAreThoseOfTheOfficialClient(t *testing.T) {
	const (
		accessKey = "ZW11bGF0b3Itc2VjcmV0LWtleS0wMTIzNDU2Nzg5"
		host      = "localhost:8787"
		query     = "?api-version=2023-10-01"
		userID    = "8:acs:11111111-2222-3333-4444-555555555555_00000015-0d1b-4b1e-71bf-a43a0d00f3ab"
		userPath  = "/identities/8%3Aacs%3A11111111-2222-3333-4444-555555555555_00000015-0d1b-4b1e-71bf-a43a0d00f3ab"
		emptyHash = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
		json      = "application/json"
	)
	date := time.Date(2026, 11, 22, 15, 2, 49, 0, time.UTC)

	for _, row := range []struct {
		name   string
		call   func(context.Context, *Client) error
		method string
		target string
		ctype  string
		body   string
		hash   string
		sig    string
	}{
		{"create", func(ctx context.Context, c *Client) error {
			_, err := c.CreateIdentity(ctx)
			return err
		}, "POST", "/identities" + query, json, "", emptyHash, "07LZ6934nqJIrSEMlQMcvogHvfEDOKC7HQF91pnKyO8="},
		{"issue", func(ctx context.Context, c *Client) error {
			_, err := c.IssueToken(ctx, userID, identity.TokenRequest{Scopes: []string{"chat"}})
			return err
		}, "POST", userPath + "/:issueAccessToken" + query, json, `{"scopes":["chat"]}`, "J+doRQjtFVYLx3qOvzptwBLjQWqy6OEWEEk1TY1+rT4=", "6NXhu7lIpmeP36lMxE/qVFbNPBcMZa1nSQEBt0JFKHo="},
		{"issue for 60 minutes", func(ctx context.Context, c *Client) error {
			_, err := c.IssueToken(ctx, userID, identity.TokenRequest{Scopes: []string{"chat.join", "voip.join"}, ExpiresIn: time.Hour})
			return err
		}, "POST", userPath + "/:issueAccessToken" + query, json, `{"scopes":["chat.join","voip.join"],"expiresInMinutes":60}`, "g/o/CxLrnRDs5Xb6OSfJJf592imUzILKYs/8tfxwaZo=", "zQ9uUwfMs6f8QEbtvN7u3LbCD/DBpaEnYl15av0ZMPs="},
		{"revoke", func(ctx context.Context, c *Client) error { return c.RevokeTokens(ctx, userID) },
			"POST", userPath + "/:revokeAccessTokens" + query, "", "", emptyHash, "yJ9pFnXcbf51IjtTzylb7qlWQSkJU1MsT0hcUzB0rsQ="},
		{"delete", func(ctx context.Context, c *Client) error { return c.DeleteIdentity(ctx, userID) },
			"DELETE", userPath + query, "", "", emptyHash, "+wufp7lCPUQPfNpOKYerzuEtEhCaJOISaxwG0gwdCQA="},
		{"exchange", func(ctx context.Context, c *Client) error {
			_, _, err := c.ExchangeTeamsToken(ctx, identity.TeamsExchange{Token: secret.New("AADTOKEN"),
				AppID: "cccccccc-0000-0000-0000-000000000001", UserID: "dddddddd-0000-0000-0000-000000000002"})
			return err
		}, "POST", "/teamsUser/:exchangeAccessToken" + query, json,
			`{"token":"AADTOKEN","appId":"cccccccc-0000-0000-0000-000000000001","userId":"dddddddd-0000-0000-0000-000000000002"}`,
			"Wn70eBsI/o60ITsqZan8Usx7ht0Zt9f5DHQ7V05X+xI=", "TWpvP7TbYZYo28XHSglzUyCpbXf4XD2hkTn/UJwRIeA="},
	} {
		t.Run(row.name, func(t *testing.T) {
			var got *http.Request
			var body []byte
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				got = r
				body, _ = io.ReadAll(r.Body)
				w.WriteHeader(http.StatusTeapot)
			}))
			defer srv.Close()

			c, err := New(Options{Endpoint: "http://" + host, AccessKey: secret.New(accessKey), APIVersion: "2023-10-01",
				Transport: redirectTo{srv}, Now: func() time.Time { return date }})
			require.NoError(t, err)
			require.Error(t, row.call(t.Context(), c))

			require.NotNil(t, got)
			assert.Equal(t, row.method, got.Method)
			assert.Equal(t, row.target, got.RequestURI)
			assert.Equal(t, host, got.Host)
			assert.Equal(t, row.ctype, got.Header.Get("Content-Type"))
			assert.Equal(t, row.body, string(body))
			assert.Equal(t, "Sun, 22 Nov 2026 15:02:49 GMT", got.Header.Get("x-ms-date"))
			assert.Equal(t, row.hash, got.Header.Get("x-ms-content-sha256"))
			assert.Equal(t, "HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature="+row.sig, got.Header.Get("Authorization"))
		})
	}
}

// redirectTo sends a request made for another host to a test server, unchanged.
type redirectTo struct{ srv *httptest.Server }

func (d redirectTo) Do(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	if r.Host == "" {
		r.Host = r.URL.Host
	}
	r.URL.Host = d.srv.Listener.Addr().String()
	return d.srv.Client().Do(r)
}
