package acs

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"acsauth/internal/identity"
	"acsauth/internal/secret"
	"acsauth/internal/upstream"
)

const testID = "8:acs:11111111-2222-3333-4444-555555555555_00000015-0d1b-4b1e-71bf-a43a0d00f3ab"

const (
	goodIdentity = `{"identity":{"id":"` + testID + `"}}`
	notOwned     = `{"error":{"code":"IdentityNotOwned","message":"Provided identity doesn't belong to the resource."}}`
	goodToken    = `{"token":"acs-token-value","expiresOn":"2026-11-23T15:00:00.1234567+00:00"}`
)

func newTestClient(t *testing.T, h http.HandlerFunc) *Client {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	srv.Client().CheckRedirect = upstream.NoRedirects
	c, err := New(Options{Endpoint: srv.URL, AccessKey: secret.New("c2VjcmV0LWtleQ=="), Transport: srv.Client()})
	require.NoError(t, err)
	return c
}

func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	_ = conn.(*net.TCPConn).SetLinger(0)
	_ = conn.Close()
}

func status(code int, header, value, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if header != "" {
			w.Header().Set(header, value)
		}
		w.WriteHeader(code)
		_, _ = w.Write([]byte(body))
	}
}

func TestFaults(t *testing.T) {
	create := func(ctx context.Context, c *Client) error { _, err := c.CreateIdentity(ctx); return err }
	issue := func(ctx context.Context, c *Client) error {
		_, err := c.IssueToken(ctx, testID, identity.TokenRequest{Scopes: []string{"chat"}})
		return err
	}
	remove := func(ctx context.Context, c *Client) error { return c.DeleteIdentity(ctx, testID) }
	exchange := func(ctx context.Context, c *Client) error {
		_, _, err := c.ExchangeTeamsToken(ctx, identity.TeamsExchange{Token: secret.New("teams-token-value")})
		return err
	}
	phone := func(ctx context.Context, c *Client) error {
		_, _, err := c.ExchangeTeamsToken(ctx, identity.TeamsExchange{Token: secret.New("teams-token-value"), Phone: true})
		return err
	}
	resets := func(w http.ResponseWriter, _ *http.Request) { reset(w) }
	const html = "<html>teams-token-value acs-token-value</html>"

	for _, row := range []struct {
		name    string
		call    func(context.Context, *Client) error
		first   http.HandlerFunc // answers the first request
		then    http.HandlerFunc // answers the others
		tries   int
		code    identity.Code // of the error; empty for success
		is      error
		isNot   error
		atLeast time.Duration // RetryAfter
	}{
		{"a create that is throttled goes again", create, status(429, "Retry-After", "1", ""), status(201, "", "", goodIdentity), 2, "", nil, nil, 0},
		{"a create that is turned away goes again", create, status(503, "retry-after-ms", "5", ""), status(201, "", "", goodIdentity), 2, "", nil, nil, 0},
		{"a create that was reset after it was sent does not", create, resets, status(201, "", "", goodIdentity), 1, identity.CodeUpstreamUnavailable, identity.ErrOutcomeUnknown, nil, 0},
		{"a create that met a 500 does not", create, status(500, "", "", ""), status(201, "", "", goodIdentity), 1, identity.CodeUpstreamUnavailable, identity.ErrOutcomeUnknown, nil, 0},
		{"a create that met a 504 does not", create, status(504, "", "", html), status(201, "", "", goodIdentity), 1, identity.CodeUpstreamUnavailable, identity.ErrOutcomeUnknown, nil, 0},
		{"a create answered with garbage has an unknown outcome", create, status(201, "", "", html), nil, 1, identity.CodeUpstreamRejected, identity.ErrOutcomeUnknown, nil, 0},
		{"a create answered with an odd id has one too", create, status(201, "", "", `{"identity":{"id":"../../x"}}`), nil, 1, identity.CodeUpstreamRejected, identity.ErrOutcomeUnknown, nil, 0},
		{"a create refused by the key", create, status(401, "", "", `{"error":{"code":"Denied","message":"Denied by the resource provider."}}`), nil, 1, identity.CodeUpstreamRejected, nil, identity.ErrOutcomeUnknown, 0},
		{"a create at a wrong address", create, status(404, "", "", html), nil, 1, identity.CodeUpstreamRejected, nil, identity.ErrUnknownIdentity, 0},
		{"a redirect is not followed", create, status(307, "Location", "/elsewhere", ""), nil, 1, identity.CodeUpstreamRejected, nil, nil, 0},
		{"a token request that was reset goes again", issue, resets, status(200, "", "", goodToken), 2, "", nil, nil, 0},
		{"a token request that met a 500 goes again", issue, status(500, "", "", html), status(200, "", "", goodToken), 2, "", nil, nil, 0},
		{"a long Retry-After is handed on", issue, status(429, "Retry-After", "30", ""), nil, 1, identity.CodeUpstreamUnavailable, nil, nil, 30 * time.Second},
		{"a token for an unknown identity", issue, status(404, "", "", `{"error":{"code":"NotFound","message":"?"}}`), nil, 1, identity.CodeInternal, identity.ErrUnknownIdentity, nil, 0},
		{"a token answered with garbage", issue, status(200, "", "", html), nil, 1, identity.CodeUpstreamRejected, nil, nil, 0},
		{"a token without an expiry", issue, status(200, "", "", `{"token":"acs-token-value"}`), nil, 1, identity.CodeUpstreamRejected, nil, nil, 0},
		{"an empty token", issue, status(200, "", "", `{"token":"","expiresOn":"2026-11-23T15:00:00Z"}`), nil, 1, identity.CodeUpstreamRejected, nil, nil, 0},
		{"a token twice in one answer", issue, status(200, "", "", `{"token":"a","token":"b","expiresOn":"2026-11-23T15:00:00Z"}`), nil, 1, identity.CodeUpstreamRejected, nil, nil, 0},
		{"an endless answer", issue, func(w http.ResponseWriter, _ *http.Request) {
			for range upstream.MaxAnswer / 512 {
				if _, err := w.Write([]byte(strings.Repeat(" ", 1024))); err != nil {
					return
				}
			}
		}, nil, 1, identity.CodeUpstreamRejected, nil, nil, 0},
		{"a token, and a 404 without a word", issue, status(404, "", "", ""), nil, 1, identity.CodeInternal, identity.ErrUnknownIdentity, nil, 0},
		{"a token, and a gateway's 404", issue, status(404, "", "", html), nil, 1, identity.CodeUpstreamRejected, nil, identity.ErrUnknownIdentity, 0},
		{"a token, and somebody's JSON with 404", issue, status(404, "", "", `{"error":"not found"}`), nil, 1, identity.CodeUpstreamRejected, nil, identity.ErrUnknownIdentity, 0},
		{"a delete of an unknown identity", remove, status(404, "", "", `{"error":{"code":"IdentityNotFound","message":"?"}}`), nil, 1, identity.CodeInternal, identity.ErrUnknownIdentity, nil, 0},
		{"a token for an identity of another resource", issue, status(401, "", "", notOwned), nil, 1, identity.CodeInternal, identity.ErrUnknownIdentity, nil, 0},
		{"a delete of an identity of another resource", remove, status(401, "", "", notOwned), nil, 1, identity.CodeInternal, identity.ErrUnknownIdentity, nil, 0},
		{"a token refused by the key", issue, status(401, "", "", `{"error":{"code":"Denied","message":"Denied by the resource provider."}}`), nil, 1, identity.CodeUpstreamRejected, nil, identity.ErrUnknownIdentity, 0},
		{"a delete refused by the key", remove, status(401, "", "", `{"error":{"code":"Denied","message":"Denied by the resource provider."}}`), nil, 1, identity.CodeUpstreamRejected, nil, identity.ErrUnknownIdentity, 0},
		{"a create, and the words for another resource's", create, status(401, "", "", notOwned), nil, 1, identity.CodeUpstreamRejected, nil, identity.ErrUnknownIdentity, 0},
		{"an exchange, and the words for another resource's", exchange, status(401, "", "", notOwned), nil, 1, identity.CodeUpstreamRejected, nil, identity.ErrUnknownIdentity, 0},
		{"a delete, and a gateway's 404", remove, status(404, "", "", html), nil, 1, identity.CodeUpstreamRejected, nil, identity.ErrUnknownIdentity, 0},
		{"a delete, and a 404 without a word", remove, status(404, "", "", ""), nil, 1, identity.CodeUpstreamRejected, nil, identity.ErrUnknownIdentity, 0},
		{"throttled without a time to wait is handed on at once", issue, status(429, "", "", ""), nil, 1, identity.CodeUpstreamUnavailable, nil, nil, defaultPause},
		{"a Teams token that ACS refuses", exchange, status(401, "", "", `{"error":{"code":"InvalidAccessToken","message":"Provided access token is not valid."}}`), nil, 1, identity.CodeTeamsTokenRejected, nil, nil, 0},
		{"a Teams token of another app", exchange, status(400, "", "", `{"error":{"code":"ValidationError","message":"AAD application is not the expected one.","target":"appId"}}`), nil, 1, identity.CodeTeamsTokenWrongClient, nil, nil, 0},
		{"a Teams token of another user", exchange, status(400, "", "", `{"error":{"code":"ValidationError","message":"Provided AAD token issued for unexpected user.","target":"userId"}}`), nil, 1, identity.CodeTeamsTokenWrongUser, nil, nil, 0},
		{"a Teams token of another app, as the model binder spells it", exchange, status(400, "", "", `{"error":{"code":"ValidationError","message":"AppId: The AppId field is required.","target":"AppId"}}`), nil, 1, identity.CodeTeamsTokenWrongClient, nil, nil, 0},
		{"a Teams token that is missing for ACS", exchange, status(400, "", "", `{"error":{"code":"ValidationError","message":"?","target":"Token"}}`), nil, 1, identity.CodeTeamsTokenRejected, nil, nil, 0},
		{"an exchange that is malformed", exchange, status(400, "", "", `{"error":{"code":"ValidationError","message":"?"}}`), nil, 1, identity.CodeUpstreamRejected, nil, nil, 0},
		{"an exchange forbidden to us", exchange, status(403, "", "", `{"error":{"code":"Forbidden","message":"?"}}`), nil, 1, identity.CodeUpstreamRejected, nil, nil, 0},
		{"an exchange, and a gateway's 401", exchange, status(401, "", "", html), nil, 1, identity.CodeUpstreamRejected, nil, nil, 0},
		{"an exchange that was reset goes again", exchange, resets, status(200, "", "", goodToken), 2, "", nil, nil, 0},
		{"a Teams Phone token that ACS refuses", phone, status(401, "", "", `{"error":{"code":"InvalidAccessToken","message":"Provided access token is not valid."}}`), nil, 1, identity.CodeTeamsTokenRejected, nil, nil, 0},
		{"a Teams Phone token that ACS denies", phone, status(401, "", "", `{"error":{"code":"Denied","message":"Denied by the resource provider."}}`), nil, 1, identity.CodeTeamsTokenRejected, nil, nil, 0},
		{"a Teams Phone token of somebody who is not assigned", phone, status(403, "", "", `{"error":{"code":"Forbidden","message":"?"}}`), nil, 1, identity.CodeTeamsTokenNotAssigned, nil, nil, 0},
		{"a Teams Phone exchange in a version without it", phone, status(404, "", "", `{"error":{"code":"NotFound","message":"?"}}`), nil, 1, identity.CodeUpstreamRejected, nil, identity.ErrUnknownIdentity, 0},
		{"a Teams Phone exchange answered with garbage", phone, status(200, "", "", html), nil, 1, identity.CodeUpstreamRejected, nil, nil, 0},
		{"a Teams Phone exchange without an identity", phone, status(200, "", "", `{"accessToken":`+goodToken+`}`), nil, 1, identity.CodeUpstreamRejected, nil, nil, 0},
		{"a Teams Phone exchange without a token", phone, status(200, "", "", goodIdentity), nil, 1, identity.CodeUpstreamRejected, nil, nil, 0},
		{"an exchange refused by the key is our trouble", exchange, status(401, "", "", `{"error":{"code":"Denied","message":"Denied by the resource provider."}}`), nil, 1, identity.CodeUpstreamRejected, nil, nil, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			var tries atomic.Int32
			c := newTestClient(t, func(w http.ResponseWriter, r *http.Request) {
				if tries.Add(1) == 1 || row.then == nil {
					row.first(w, r)
				} else {
					row.then(w, r)
				}
			})
			err := row.call(t.Context(), c)

			assert.EqualValues(t, row.tries, tries.Load(), "requests made")
			if row.code == "" {
				require.NoError(t, err)
				return
			}
			require.Error(t, err)
			assert.Equal(t, row.code, identity.CodeOf(err))
			if row.is != nil {
				assert.ErrorIs(t, err, row.is)
			}
			if row.isNot != nil {
				assert.NotErrorIs(t, err, row.isNot)
			}
			var e *identity.Error
			if errors.As(err, &e) {
				assert.Equal(t, row.atLeast, e.RetryAfter.Round(time.Second))
			}
			for _, secret := range []string{"teams-token-value", "acs-token-value", "c2VjcmV0", "Signature", "api-version"} {
				assert.NotContains(t, err.Error(), secret)
			}
		})
	}
}

func TestACreateThatWasNeverSentGoesAgain(t *testing.T) {
	var dials atomic.Int32
	srv := httptest.NewServer(status(201, "", "", goodIdentity))
	t.Cleanup(srv.Close)
	transport := &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		if dials.Add(1) < 3 {
			return nil, errors.New("no route")
		}
		return (&net.Dialer{}).DialContext(ctx, network, addr)
	}}
	c, err := New(Options{Endpoint: srv.URL, AccessKey: secret.New("a2V5"), Transport: &http.Client{Transport: transport}})
	require.NoError(t, err)
	id, err := c.CreateIdentity(t.Context())
	require.NoError(t, err)
	assert.Equal(t, testID, id)
	assert.EqualValues(t, 3, dials.Load())
}

func TestTheCallersDeadlineEndsAllTries(t *testing.T) {
	c := newTestClient(t, status(503, "", "", ""))
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := c.IssueToken(ctx, testID, identity.TokenRequest{Scopes: []string{"chat"}})
	assert.Equal(t, identity.CodeUpstreamUnavailable, identity.CodeOf(err))
	assert.ErrorIs(t, err, context.DeadlineExceeded)
}

type credential struct{ err error }

func (c credential) GetToken(_ context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: strings.Join(o.Scopes, " "), ExpiresOn: time.Now().Add(time.Hour)}, c.err
}

func TestManagedIdentity(t *testing.T) {
	var authorization string
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		authorization = r.Header.Get("Authorization")
		status(201, "", "", goodIdentity)(w, r)
	}))
	t.Cleanup(srv.Close)

	c, err := New(Options{Endpoint: srv.URL, Credential: credential{}, Transport: srv.Client()})
	require.NoError(t, err)
	_, err = c.CreateIdentity(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "Bearer https://communication.azure.com//.default", authorization)

	c, err = New(Options{Endpoint: srv.URL, Credential: credential{errors.New("no identity\nGET http://169.254.169.254 secret")}, Transport: srv.Client()})
	require.NoError(t, err)
	_, err = c.CreateIdentity(t.Context())
	assert.Equal(t, identity.CodeUpstreamRejected, identity.CodeOf(err))
	assert.NotErrorIs(t, err, identity.ErrOutcomeUnknown)
	assert.NotContains(t, err.Error(), "169.254")
}

func TestTeamsPhoneExchangeCarriesTheUsersTokenAlone(t *testing.T) {
	var got *http.Request
	c := newTestClient(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		status(200, "", "", `{"identity":{"id":"`+testID+`"},"accessToken":`+goodToken+`}`)(w, r)
	})
	token, id, err := c.ExchangeTeamsToken(t.Context(), identity.TeamsExchange{Token: secret.New("user-token"), Phone: true})
	require.NoError(t, err)
	assert.Equal(t, testID, id)
	assert.Equal(t, "acs-token-value", token.Value.Reveal())
	assert.Equal(t, time.Date(2026, 11, 23, 15, 0, 0, 123456700, time.UTC), token.ExpiresOn)
	assert.Equal(t, "/access/teamsExtension/:exchangeAccessToken?api-version=2026-09-23", got.RequestURI)
	assert.Equal(t, "Bearer user-token", got.Header.Get("Authorization"))
	assert.Empty(t, got.Header.Get("x-ms-content-sha256"))
}

func TestNewWantsOneWayToSignIn(t *testing.T) {
	for _, o := range []Options{
		{Endpoint: "https://a.example", Transport: http.DefaultClient},
		{Endpoint: "https://a.example", Transport: http.DefaultClient, AccessKey: secret.New("a2V5"), Credential: credential{}},
		{Endpoint: "https://a.example", Transport: http.DefaultClient, AccessKey: secret.New("!")},
		{Endpoint: "a.example", Transport: http.DefaultClient, AccessKey: secret.New("a2V5")},
		{Endpoint: "https://a.example", AccessKey: secret.New("a2V5")},
	} {
		_, err := New(o)
		assert.Error(t, err)
	}
}

func TestRetriesStopWhenMostTriesFail(t *testing.T) {
	var tries atomic.Int32
	c := newTestClient(t, func(w http.ResponseWriter, _ *http.Request) {
		tries.Add(1)
		w.Header().Set("retry-after-ms", "1")
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	for range 200 {
		_, err := c.IssueToken(t.Context(), testID, identity.TokenRequest{Scopes: []string{"chat"}})
		require.Error(t, err)
	}
	assert.Less(t, tries.Load(), int32(320), "200 calls and what the budget allows")
	b := newRetryBudget()
	for i := range 100_000 {
		if i%10 < 3 {
			b.count(nil, errors.New("lost"))
		} else {
			b.count(&http.Response{StatusCode: 200}, nil)
		}
		require.True(t, b.allows(), "three in ten may fail for ever")
	}
}

// late is an ACS without a network that makes an identity, and takes its time.
type late time.Duration

func (l late) Do(r *http.Request) (*http.Response, error) {
	httptrace.ContextClientTrace(r.Context()).WroteHeaderField("", nil) // the request is on its way
	select {
	case <-time.After(time.Duration(l)):
		return &http.Response{StatusCode: http.StatusCreated, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(goodIdentity)), Request: r}, nil
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

// A process that was suspended finds an answer that came in time too late.
func TestACreateIsListenedToBeyondItsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const deadline = lateAnswer / 10
		create := func(answered time.Duration) (budget float64, err error) {
			c, err := New(Options{Endpoint: "https://contoso.communication.azure.com", AccessKey: secret.New("a2V5"), Transport: late(answered)})
			require.NoError(t, err)
			ctx, cancel := context.WithTimeout(t.Context(), deadline)
			defer cancel()
			_, err = c.CreateIdentity(ctx)
			return c.budget.left, err
		}
		_, err := create(deadline + lateAnswer - time.Nanosecond)
		require.NoError(t, err)
		left, err := create(deadline + lateAnswer + time.Nanosecond)
		require.ErrorIs(t, err, identity.ErrOutcomeUnknown)
		assert.ErrorContains(t, err, context.DeadlineExceeded.Error())
		assert.Less(t, left, float64(maxRetryBudget), "it counts as a failure of ACS")
	})

	done, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := newTestClient(t, status(201, "", "", goodIdentity)).CreateIdentity(done)
	assert.NotErrorIs(t, err, identity.ErrOutcomeUnknown, "nothing was sent")
}
