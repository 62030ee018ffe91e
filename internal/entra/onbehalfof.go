package entra

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"
	"golang.org/x/sync/singleflight"

	"acsauth/internal/identity"
	"acsauth/internal/secret"
	"acsauth/internal/upstream"
)

const (
	// onBehalfOfTimeout bounds one call with all its tries, tryTimeout each of
	// them.
	onBehalfOfTimeout = 8 * time.Second
	tryTimeout        = 4 * time.Second
	maxTries          = 3
	firstPause        = 100 * time.Millisecond
	// maxPause is the longest Retry-After that is waited for; others are handed on.
	maxPause = 2 * time.Second
	// tokensPerClient bounds MSAL's cache, which forgets nothing: some 5 KiB for
	// each token.
	tokensPerClient = 1000
)

// OnBehalfOf trades a caller's access token for one with which this API calls
// another API in the caller's name:
// https://learn.microsoft.com/entra/identity-platform/v2-oauth2-on-behalf-of-flow
//
// MSAL does the work and keeps each token until it expires. Where MSAL would
// grow without bound, ask once for each of many callers at a time, or give up at
// the first failure, OnBehalfOf does not.
type OnBehalfOf struct {
	authorityHost string
	newClient     func() (confidential.Client, error)
	tokens        int32 // tokensPerClient
	current       atomic.Pointer[msalClient]
	flights       singleflight.Group
}

// msalClient is a client of MSAL, and how many tokens it has cached.
type msalClient struct {
	confidential.Client
	tokens atomic.Int32
}

// NewOnBehalfOf makes no network call. clientID is this API's; expected is what
// the Verifier has, whose callers these are; client must not follow redirects.
func NewOnBehalfOf(expected Expected, clientID string, credential Credential, client *http.Client) (*OnBehalfOf, error) {
	if expected.Policy != "" {
		return nil, errors.New("entra: Azure AD B2C has no On-Behalf-Of flow")
	}
	if expected.AuthorityHost == "" || len(expected.Tenants) == 0 {
		return nil, errors.New("entra: want an authority host and at least one tenant")
	}
	cred, err := credential.forMSAL(expected.AuthorityHost)
	if err != nil {
		return nil, err
	}
	// The issuer, not the authority host: MSAL wants the two to be alike, which
	// they are not in External ID.
	authority := strings.TrimSuffix(expected.forms(strings.ToLower(expected.Tenants[0]))[0].iss, "/v2.0")
	o := &OnBehalfOf{
		authorityHost: expected.AuthorityHost,
		tokens:        tokensPerClient,
		newClient: func() (confidential.Client, error) {
			return confidential.New(authority, clientID, cred,
				confidential.WithHTTPClient(wholeAnswers{client}),
				// It would ask Microsoft whether the operator's own setting can be trusted.
				confidential.WithInstanceDiscovery(false))
		},
	}
	msal, err := o.newClient()
	if err != nil {
		return nil, err
	}
	o.current.Store(&msalClient{Client: msal})
	return o, nil
}

// Token returns an access token for scopes, which are of one resource, in the
// name of caller, whom the Verifier has accepted. Its errors come from ctx or are
// an *identity.Error: CodeInteractionRequired, with Entra ID's claims challenge
// where there is one, CodeConsentRequired, CodeAccessBlocked,
// CodeUpstreamUnavailable, and CodeUpstreamRejected when Entra ID refuses this
// API itself.
func (o *OnBehalfOf) Token(ctx context.Context, caller identity.Caller, scopes []string) (secret.String, error) {
	if err := caller.Check(); err != nil || caller.AccessToken.Empty() {
		return secret.String{}, errors.New("entra: On-Behalf-Of without a caller")
	}
	key := sha256.Sum256([]byte(caller.AccessToken.Reveal() + " " + strings.Join(scopes, " ")))
	done := o.flights.DoChan(string(key[:]), func() (token any, err error) {
		// On this goroutine of its own a panic would end the process.
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("entra: panic: %v\n%s", p, debug.Stack())
			}
		}()
		// Others may wait for it too.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), onBehalfOfTimeout)
		defer cancel()
		return o.acquire(ctx, caller, scopes)
	})
	select {
	case r := <-done:
		token, _ := r.Val.(secret.String)
		return token, r.Err
	case <-ctx.Done():
		return secret.String{}, ctx.Err()
	}
}

// acquire tries again where that may help.
func (o *OnBehalfOf) acquire(ctx context.Context, caller identity.Caller, scopes []string) (secret.String, error) {
	pause := firstPause
	for try := 1; ; try++ {
		token, err := o.try(ctx, caller, scopes)
		if err == nil {
			return token, nil
		}
		refusal := o.refusal(err, caller, scopes)
		wait := max(pause, refusal.RetryAfter)
		if try == maxTries || wait > maxPause || !worthRepeating(err, refusal) || !sleep(ctx, wait) {
			return secret.String{}, refusal
		}
		pause *= 4
	}
}

func (o *OnBehalfOf) try(ctx context.Context, caller identity.Caller, scopes []string) (secret.String, error) {
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	msal := o.current.Load()
	result, err := msal.AcquireTokenOnBehalfOf(ctx, caller.AccessToken.Reveal(), scopes, confidential.WithTenantID(caller.TenantID))
	if err != nil {
		return secret.String{}, err
	}
	if result.Metadata.TokenSource == confidential.TokenSourceIdentityProvider && msal.tokens.Add(1) >= o.tokens {
		o.replace(msal)
	}
	return secret.New(result.AccessToken), nil
}

// replace lets go of a client with all that it has cached.
func (o *OnBehalfOf) replace(full *msalClient) {
	if msal, err := o.newClient(); err == nil { // the first one was made of the same parts
		o.current.CompareAndSwap(full, &msalClient{Client: msal})
	}
}

// CheckCredential finds out whether Entra ID takes this API's credential, by
// asking for a token in its own name for resource, such as
// https://graph.microsoft.com. Such a token gives no right to anything.
func (o *OnBehalfOf) CheckCredential(ctx context.Context, resource string) error {
	_, err := o.current.Load().AcquireTokenByCredential(ctx, []string{resource + "/.default"})
	if err != nil {
		return o.refusal(err, identity.Caller{}, nil)
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// wholeAnswers gives MSAL answers that have arrived whole and are not too long.
// What fails on the way is a *transportError, which MSAL wraps.
type wholeAnswers struct{ *http.Client }

func (w wholeAnswers) Do(r *http.Request) (*http.Response, error) {
	resp, err := w.Client.Do(r)
	if err != nil {
		return nil, &transportError{upstream.Brief(err)}
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxSTSAnswer))
	if err != nil {
		return nil, &transportError{upstream.Brief(err)}
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}

// maxSTSAnswer is room for three tokens and a discovery document.
const maxSTSAnswer = 256 << 10

type transportError struct{ err error }

func (e *transportError) Error() string { return fmt.Sprintf("entra: %v", e.err) }
func (e *transportError) Unwrap() error { return e.err }
