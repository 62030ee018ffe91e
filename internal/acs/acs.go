// Package acs is a client of the Azure Communication Services (ACS) Identity
// data plane: it makes identities and issues, revokes and exchanges their
// tokens. Start with New; Client implements identity.Issuer.
//
// Requests are signed with the resource's access key (HMAC-SHA256) or carry an
// Entra ID token of this service's managed identity. A refusal comes back as an
// *identity.Error whose cause is an *Error with ACS's own code and target.
//
// A request that failed is sent again after a short wait while the context
// lasts, with one exception: the making of an identity, once it may have
// reached ACS. ACS can neither make an identity idempotently nor list what it
// made, so a second try would leave one behind that nobody can find.
//
// Requests for identities and tokens wait for their turn where too many are under
// way, and are kept back while ACS throttles; then the error says when to try
// again. What ends something, a revocation or a deletion, is never held back.
//
// What is not checked here: whether the caller may have the token, and whether
// a Teams user's token is theirs. The API is documented at
// https://learn.microsoft.com/rest/api/communication/identity
package acs

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"

	"acsauth/internal/identity"
	"acsauth/internal/secret"
	"acsauth/internal/upstream"
)

// DefaultAPIVersion is the newest stable version of the API.
const DefaultAPIVersion = "2026-09-23"

// tokenScope is what the managed identity asks for. The two slashes are right.
const tokenScope = "https://communication.azure.com//.default"

// Options says which ACS resource to use and how to sign in to it: with
// AccessKey or with Credential.
type Options struct {
	Endpoint   string                 // as ParseEndpoint returns it
	AccessKey  secret.String          // base64
	Credential azcore.TokenCredential // asked for the scope https://communication.azure.com//.default
	APIVersion string                 // DefaultAPIVersion where empty
	Transport  policy.Transporter     // required; must not follow redirects
	Now        func() time.Time       // time.Now where nil
}

// Client calls one ACS resource. It may be used from many goroutines.
type Client struct {
	endpoint string
	version  string
	signed   runtime.Pipeline // with this service's own authority
	bare     runtime.Pipeline // for requests that carry a user's token
	now      func() time.Time
	budget   *retryBudget
	gate     *gate
	unnamed  atomic.Uint64 // requests of no known user
	quotas   quotas
}

// quotas: ACS counts the making of identities and of tokens apart.
type quotas struct{ identities, tokens, exchanges *throttle }

// New makes no network call.
func New(o Options) (*Client, error) {
	endpoint, err := ParseEndpoint(o.Endpoint)
	if err != nil {
		return nil, fmt.Errorf("acs: %w", err)
	}
	if o.APIVersion == "" {
		o.APIVersion = DefaultAPIVersion
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	var authenticate policy.Policy
	switch {
	case !o.AccessKey.Empty() && o.Credential == nil:
		if authenticate, err = newKeyPolicy(o.AccessKey, o.Now); err != nil {
			return nil, fmt.Errorf("acs: %w", err)
		}
	case o.AccessKey.Empty() && o.Credential != nil:
		authenticate = runtime.NewBearerTokenPolicy(o.Credential, []string{tokenScope}, nil)
	default:
		return nil, fmt.Errorf("acs: want either an access key or a credential")
	}

	if o.Transport == nil {
		return nil, fmt.Errorf("acs: want a transport")
	}
	budget := newRetryBudget()
	clientOptions := &policy.ClientOptions{
		Transport: upstream.Guard{Next: o.Transport},
		Retry:     budget.retryOptions(),
		Telemetry: policy.TelemetryOptions{ApplicationID: "acsauth"},
	}
	pipeline := func(authenticate ...policy.Policy) runtime.Pipeline {
		return runtime.NewPipeline("communicationidentity", "v1.0.0", runtime.PipelineOptions{
			PerCall:  []policy.Policy{runtime.NewRequestIDPolicy()},
			PerRetry: append([]policy.Policy{tryPolicy{budget}}, authenticate...),
		}, clientOptions)
	}
	return &Client{
		endpoint: endpoint, version: o.APIVersion,
		signed: pipeline(authenticate), bare: pipeline(),
		now: o.Now, budget: budget, gate: newGate(maxUnderWay, maxWaiting),
		quotas: quotas{newThrottle(o.Now), newThrottle(o.Now), newThrottle(o.Now)},
	}, nil
}

// Resource is the host name of the ACS resource, lower-case and without a port:
// identities live in one resource and mean nothing in another.
func (c *Client) Resource() string {
	u, err := url.Parse(c.endpoint)
	if err != nil {
		panic(err) // ParseEndpoint has parsed it
	}
	return u.Hostname()
}

type issueRequest struct {
	Scopes           []string `json:"scopes"`
	ExpiresInMinutes int      `json:"expiresInMinutes,omitempty"`
}

type exchangeRequest struct {
	Token  string `json:"token"`
	AppID  string `json:"appId"`
	UserID string `json:"userId"`
}

// CreateIdentity makes an identity. An error that Is identity.ErrOutcomeUnknown
// means that one may have been made; its RetryAfter is set where ACS says when to
// try again, or most tries have failed of late.
func (c *Client) CreateIdentity(ctx context.Context) (string, error) {
	ctx = policy.WithRetryOptions(ctx, c.budget.createRetryOptions())
	var a identityAnswer
	err := c.call(ctx, c.signed, operation{method: http.MethodPost, path: "/identities", creates: true, quota: c.quotas.identities}, &a)
	if err == nil && !identity.IsACSUserID(a.Identity.ID) {
		err = unexpected(fmt.Errorf("%w: the answer names no identity", identity.ErrOutcomeUnknown))
	}
	var e *identity.Error
	if errors.As(err, &e) && errors.Is(err, identity.ErrOutcomeUnknown) && !c.budget.allows() {
		e.RetryAfter = max(e.RetryAfter, time.Second) // no time for another try
	}
	if err != nil {
		return "", err
	}
	return a.Identity.ID, nil
}

// IssueToken issues a token; identity.ErrUnknownIdentity where ACS itself, and no
// gateway in between, answers 404, or that the identity is not of this resource.
func (c *Client) IssueToken(ctx context.Context, acsUserID string, req identity.TokenRequest) (identity.Token, error) {
	var a tokenAnswer
	op := operation{method: http.MethodPost, path: identityPath(acsUserID) + "/:issueAccessToken",
		body: issueRequest{req.Scopes, minutes(req.ExpiresIn)}, unknown: identity.ErrUnknownIdentity, quota: c.quotas.tokens, user: acsUserID}
	if err := c.call(ctx, c.signed, op, &a); err != nil {
		return identity.Token{}, err
	}
	return a.token()
}

// RevokeTokens ends all tokens of an identity; identity.ErrUnknownIdentity as
// IssueToken. It can take ACS some minutes to make it known everywhere.
func (c *Client) RevokeTokens(ctx context.Context, acsUserID string) error {
	return c.call(ctx, c.signed, operation{method: http.MethodPost, path: identityPath(acsUserID) + "/:revokeAccessTokens", unknown: identity.ErrUnknownIdentity}, nil)
}

// DeleteIdentity deletes an identity with its tokens and data;
// identity.ErrUnknownIdentity as IssueToken, and for a 404 only with an error of ACS's
// own.
func (c *Client) DeleteIdentity(ctx context.Context, acsUserID string) error {
	return c.call(ctx, c.signed, operation{method: http.MethodDelete, path: identityPath(acsUserID), unknown: identity.ErrUnknownIdentity, erases: true}, nil)
}

// ExchangeTeamsToken trades a Teams user's Entra token for an ACS token. An
// *identity.Error with a teams_token_ code where ACS refuses that token.
func (c *Client) ExchangeTeamsToken(ctx context.Context, x identity.TeamsExchange) (token identity.Token, acsUserID string, err error) {
	if x.Phone {
		return c.exchangePhoneToken(ctx, x)
	}
	var a tokenAnswer
	op := operation{method: http.MethodPost, path: "/teamsUser/:exchangeAccessToken",
		body: exchangeRequest{x.Token.Reveal(), x.AppID, x.UserID}, exchanges: true, quota: c.quotas.exchanges, user: x.UserID}
	if err := c.call(ctx, c.signed, op, &a); err != nil {
		return identity.Token{}, "", err
	}
	token, err = a.token()
	return token, "", err
}

// exchangePhoneToken trades an Entra user token with the scope
// TeamsExtension.ManageCalls for an ACS identity and token (Teams Phone
// Extensibility, API version 2025-06-30 and later). The user's token is the
// only authority.
func (c *Client) exchangePhoneToken(ctx context.Context, x identity.TeamsExchange) (token identity.Token, acsUserID string, err error) {
	var a identityAnswer
	op := operation{method: http.MethodPost, path: "/access/teamsExtension/:exchangeAccessToken",
		body: struct{}{}, bearer: x.Token, exchanges: true, quota: c.quotas.exchanges, user: x.UserID}
	if err := c.call(ctx, c.bare, op, &a); err != nil {
		return identity.Token{}, "", err
	}
	if !identity.IsACSUserID(a.Identity.ID) {
		return identity.Token{}, "", unexpected(fmt.Errorf("the answer names no identity"))
	}
	token, err = a.AccessToken.token()
	return token, a.Identity.ID, err
}

// identityPath escapes the colons too, as the official JavaScript client does.
func identityPath(acsUserID string) string {
	return "/identities/" + strings.ReplaceAll(url.PathEscape(acsUserID), ":", "%3A")
}

// minutes is zero, and so left out, for the default lifetime.
func minutes(d time.Duration) int { return int(d / time.Minute) }
