// Package entra decides who is calling: it checks the Microsoft Entra ID access
// token that a request carries and names its user. Start with New and
// Verifier.Authenticate. OnBehalfOf gets the token with which this API calls
// another one in that user's name.
//
// A token is accepted only if
//   - the request carries exactly one, in one Authorization header;
//   - it is a compact JWS in canonical base64url, at most 8 KiB long, whose
//     header holds nothing but alg, kid, typ and x5t, with alg RS256;
//   - one of the issuer's current keys has signed it;
//   - go-oidc's verifier agrees on issuer, audience, expiry and signature;
//   - a second, stricter reading of its claims agrees with Expected: names in
//     their exact case, none twice, nothing but UTF-8, each of its right type.
//
// What is not checked here: whether the token was revoked since it was issued
// (Entra ID's tokens live for about an hour and resource servers do not ask
// back), whether it has been used before (it is a bearer token), and what the
// user may do beyond calling this API. Text in errors is fixed: it never quotes
// the token, a claim or Entra ID.
package entra

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"acsauth/internal/identity"
	"acsauth/internal/secret"
)

// DefaultAuthorityHost is Entra ID in the global cloud.
const DefaultAuthorityHost = "https://login.microsoftonline.com"

// clockSkew is how far the clocks of Entra ID and this machine may differ where
// a token is not valid yet. An expired token gets none.
const clockSkew = 5 * time.Minute

// maxLifetime is above the longest lifetime that a tenant can configure, 24 hours.
const maxLifetime = 25 * time.Hour

// Expected lists what an access token has to be.
type Expected struct {
	// AuthorityHost is where the issuers live, "https://host" without a path, such
	// as DefaultAuthorityHost. Required.
	AuthorityHost string
	// Tenants are the tenant ids whose issuers are accepted; claim tid must be
	// that of the issuer. Required.
	Tenants []string
	// Audiences are the accepted values of claim aud, compared as they are.
	// Required.
	Audiences []string
	// Scope must be one of the words of claim scp. Required: its absence is
	// what tells ID tokens and tokens without a user from access tokens.
	Scope string
	// Clients are the application ids that claim azp (appid in v1.0 tokens) may
	// have. Empty: any application of the tenant.
	Clients []string
	// AcceptV1 also accepts v1.0 access tokens, with their own issuer and keys.
	AcceptV1 bool
	// Policy is the user flow of an Azure AD B2C tenant, such as B2C_1_susi;
	// claim tfp (or acr) must name it. Empty: the tenants are no B2C tenants.
	// B2C tokens of an application alone hold a scope like those of a user, so
	// that only Clients keeps them out.
	Policy string
}

// Verifier checks access tokens. It may be used from many goroutines.
type Verifier struct {
	expected Expected
	client   *http.Client
	now      func() time.Time
	issuers  map[string]*issuer // by claim iss
	accepted *acceptedTokens
}

// issuer is one accepted value of claim iss with what goes with it.
type issuer struct {
	issuerForm
	keys      *keySet
	verifiers map[string]*oidc.IDTokenVerifier // by claim aud
}

// New makes no network call: keys are fetched when they are first needed, or by
// Warm. client must not follow redirects. now is the clock.
func New(expected Expected, client *http.Client, log *slog.Logger, now func() time.Time) (*Verifier, error) {
	if expected.AuthorityHost == "" || len(expected.Tenants) == 0 || len(expected.Audiences) == 0 || expected.Scope == "" {
		return nil, errors.New("entra: want an authority host, at least one tenant, one audience and a scope")
	}
	v := &Verifier{expected: expected, client: client, now: now, issuers: map[string]*issuer{}, accepted: newAcceptedTokens()}
	for _, tenantID := range expected.Tenants {
		if !identity.IsGUID(tenantID) {
			return nil, fmt.Errorf("entra: tenant id %q is not a GUID", tenantID)
		}
		var keys *keySet
		for _, form := range expected.forms(strings.ToLower(tenantID)) {
			if keys == nil || keys.url != form.keysURL {
				keys = newKeySet(form.keysURL, form.keyIssuers, form.tenantID, client, log, now)
			}
			v.issuers[form.iss] = &issuer{form, keys, v.verifiersFor(form.iss, keys)}
		}
	}
	return v, nil
}

func (v *Verifier) verifiersFor(iss string, keys *keySet) map[string]*oidc.IDTokenVerifier {
	verifiers := map[string]*oidc.IDTokenVerifier{}
	for _, aud := range v.expected.Audiences {
		verifiers[aud] = oidc.NewVerifier(iss, keys, &oidc.Config{
			ClientID:             aud, // go-oidc's name for the expected audience
			SupportedSigningAlgs: []string{oidc.RS256},
			Now:                  v.now,
		})
	}
	return verifiers
}

// Authenticate returns the user whose access token r carries. Its errors are
// *identity.Error: CodeInvalidRequest, CodeInvalidToken, CodeInsufficientScope,
// CodeUserTokenRequired, CodeClientNotAllowed, and CodeUpstreamUnavailable when
// there are no keys to check any token with.
func (v *Verifier) Authenticate(r *http.Request) (identity.Caller, error) {
	raw, err := bearerToken(r)
	if err != nil {
		return identity.Caller{}, err
	}
	return v.Verify(r.Context(), raw)
}

// Verify checks a bare token; errors as Authenticate.
func (v *Verifier) Verify(ctx context.Context, raw string) (identity.Caller, error) {
	if len(raw) > maxToken {
		return identity.Caller{}, invalid("The access token is malformed.").Because(errTooLong)
	}
	hash := sha256.Sum256([]byte(raw))
	if a, ok := v.accepted.Get(hash); ok {
		if current, err := a.issuer.keys.fresh(ctx); err == nil && current == a.keys {
			return v.check(a.claims, a.issuer, raw)
		}
	}
	token, err := parseToken(raw)
	if err != nil {
		return identity.Caller{}, invalid("The access token is malformed.").Because(err)
	}
	c, err := parseClaims(token.payload)
	if err != nil {
		return identity.Caller{}, invalid("The access token is malformed.").Because(err)
	}
	iss, ok := v.issuers[c.issuer]
	if !ok {
		return identity.Caller{}, v.stranger(ctx, c, raw)
	}
	verifier, ok := iss.verifiers[c.audience]
	if !ok {
		return identity.Caller{}, invalid("The access token is for another audience.")
	}
	s := &signatureCheck{token: token}
	if _, err := verifier.Verify(s.context(ctx), raw); err != nil {
		return identity.Caller{}, verifyError(err, s.err)
	}
	caller, err := v.check(c, iss, raw)
	if err == nil {
		v.accepted.Add(hash, accepted{c, iss, s.keys})
	}
	return caller, err
}

func verifyError(err, keyErr error) error {
	if errors.Is(keyErr, errNoKeys) {
		e := identity.Errorf(identity.CodeUpstreamUnavailable, "The keys that access tokens are checked with are not available just now.").Because(keyErr)
		e.RetryAfter = 2 * time.Second
		return e
	}
	if keyErr != nil {
		return invalid("The access token was signed with a key that is not the issuer's.").Because(keyErr)
	}
	if errors.As(err, new(*oidc.TokenExpiredError)) {
		return invalid("The access token has expired.")
	}
	return invalid("The access token is not valid.")
}

// check is the second look at the claims, after the signature.
func (v *Verifier) check(c claims, iss *issuer, raw string) (identity.Caller, error) {
	if iss.policy != "" {
		c = c.ofB2C(iss.tenantID)
	}
	now := v.now()
	for _, rule := range claimRules {
		if err := rule.check(v, c, iss, now); err != nil {
			return identity.Caller{}, err
		}
	}
	user, err := identity.NewUser(c.tenantID, c.objectID)
	if err != nil {
		return identity.Caller{}, err // a rule has seen to it
	}
	return identity.Caller{User: user, ClientID: c.client(), Roles: c.roles, AccessToken: secret.New(raw)}, nil
}

func invalid(detail string) *identity.Error {
	return &identity.Error{Code: identity.CodeInvalidToken, Detail: detail}
}

// Warm fetches the signing keys of every issuer. It is only ahead of time: the
// first token would do the same.
func (v *Verifier) Warm(ctx context.Context) error {
	var errs []error
	for _, iss := range v.issuers {
		errs = append(errs, iss.keys.warm(ctx))
	}
	return errors.Join(errs...)
}

// Issuers returns the accepted values of claim iss, sorted.
func (v *Verifier) Issuers() []string { return slices.Sorted(maps.Keys(v.issuers)) }
