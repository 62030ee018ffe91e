// Package entraid is a stand-in for Microsoft Entra ID: discovery documents,
// signing keys, sign-in with the authorization code flow, and the token
// endpoint, near enough to the real service that its official clients work
// against it unchanged.
//
// It is for development only. NEVER use it in production: anyone may sign in as
// any user, no password is asked for, every scope counts as consented to unless
// a Policy says otherwise, and keys are random at each start.
//
// Start with New, and serve the Server over TLS: MSAL takes no other authority.
// Tests and demos can skip the sign-in with AccessToken, make tokens that Entra
// would never issue with Sign, ask more of users with SetPolicy, and disturb the
// service with SetFault. Export and Import carry its state over a restart.
//
// Codes, refresh tokens and session cookies are sealed, as Entra's are: what they
// stand for is in them, so that a flood of requests fills no memory.
//
// Where no source tells what the real service does, a comment that begins
// "Assumed:" says so; docs/local-cloud-fidelity.md lists them all.
package entraid

import (
	"crypto/cipher"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"acsauth/internal/localcloud/wire"
	"acsauth/internal/secret"
)

// Config describes the directory. Only BaseURL has to be set.
type Config struct {
	BaseURL string   // where the server is reached: scheme, host and port, no slash at the end
	Tenants []Tenant // the first being the home tenant; none means SampleTenant
	Clients []Client // app registrations, known in all tenants
	Users   []User   // none means SampleUsers
	// GraphURI is another name of the resource Microsoft Graph, as each national
	// cloud has its own.
	GraphURI string
	Now      func() time.Time // clock; nil is time.Now
	Log      *slog.Logger     // nil discards
}

// Tenant is a directory.
type Tenant struct {
	ID      string   // a GUID
	Domains []string // that it may be called by, such as contoso.onmicrosoft.com
}

// Client is an app registration: a client app, an API, or both.
type Client struct {
	ID   string // application (client) id, a GUID
	Name string

	// What proves who the app is. An app with none of them is a public client.
	Secret       secret.String
	Certificates []*x509.Certificate
	Federated    []FederatedCredential

	// Redirect URIs are compared as they stand, except that any port will do for
	// localhost and 127.0.0.1.
	RedirectURIs       []string // platform "single-page application": codes are redeemed by scripts
	WebRedirectURIs    []string // platform "web": codes are redeemed with a credential
	NativeRedirectURIs []string // platform "mobile and desktop": neither
	LogoutURL          string   // called in a hidden frame when the user signs out; may be empty

	AppIDURI string   // of an API, beside api://<ID> which always works
	Scopes   []string // that it exposes, such as access_as_user; none means that it is no API
	// AccessTokenVersion is the version of the access tokens meant for this
	// API, 1 or 2; zero is 2.
	AccessTokenVersion int
	// OptionalClaims are those that access tokens for this API carry beyond the
	// usual ones: idtyp, xms_cc, email, upn.
	OptionalClaims []string
	AppRoles       []string // application permissions that it holds; for its app-only tokens
	// Permissions are the delegated permissions that the registration lists, such
	// as GraphURI + "/User.ReadWrite". As far as they are consented to, every
	// token for their resource carries them, whatever it was asked for with.
	Permissions []string
	// KnownClients are the client apps whose users consent to this API and to
	// what it needs at once.
	KnownClients []string
}

// FederatedCredential lets a token of another issuer stand for the app. All
// three values are compared as they stand.
type FederatedCredential struct {
	Issuer, Subject, Audience string
	// Keys are the issuer's, by key id. Nil: the issuer is this directory.
	Keys map[string]*rsa.PublicKey
}

// confidential reports whether the app has anything to prove itself with.
func (c Client) confidential() bool {
	return !c.Secret.Empty() || len(c.Certificates) > 0 || len(c.Federated) > 0
}

// User is a user of one tenant. A guest has an object id of their own in each
// tenant.
type User struct {
	ObjectID     string
	TenantID     string // empty means the home tenant of the directory
	HomeTenantID string // of a guest: where they belong; else empty
	Name         string
	UPN          string
	Teams        bool     // has a Teams licence
	Roles        []string // app roles, in every app of the Config
	Policy       Policy
}

func (u User) guest() bool { return u.HomeTenantID != "" && u.HomeTenantID != u.TenantID }

// codesRemembered is how many redeemed codes are known as such. A code beyond
// that could be redeemed twice.
const codesRemembered = 10_000

// Server is the stand-in. Make one with New; it may be used from many
// goroutines.
type Server struct {
	baseURL  string
	host     string // of baseURL, with its port
	cookie   string // name of the session cookie
	tenants  []Tenant
	clients  []Client
	graphURI string
	now      func() time.Time
	log      *slog.Logger
	fault    wire.FaultHook
	requests wire.Counter
	redeemed *lru.Cache[string, bool]    // ids of codes
	devices  *lru.Cache[string, entered] // user codes

	mu          sync.Mutex
	keys        []*wire.Key // the one in use first; all are published
	announced   *wire.Key   // published too, and the next to be used; nil for none
	consumerKey *wire.Key   // of the tenant of personal accounts, made when first asked for
	sealKey     []byte
	sealer      cipher.AEAD
	users       []User
	policy      Policy                  // asked of every user
	consents    map[consentKey][]string // short scopes
	revocations map[userKey]revocation
}

// New checks cfg and makes the keys.
func New(cfg Config) (*Server, error) {
	base, err := url.Parse(cfg.BaseURL)
	if err != nil || base.Scheme == "" || base.Host == "" || base.Path != "" {
		return nil, fmt.Errorf("base URL: expected https://host:port without a slash at the end, got %q", cfg.BaseURL)
	}
	s := &Server{
		baseURL: cfg.BaseURL,
		host:    base.Host,
		// Browsers keep the cookies of all ports of a host together.
		cookie:      "ESTSAUTH" + strings.TrimPrefix(base.Host, base.Hostname()),
		graphURI:    cfg.GraphURI,
		now:         cfg.Now,
		log:         cfg.Log,
		consents:    map[consentKey][]string{},
		revocations: map[userKey]revocation{},
		devices:     newDevices(),
	}
	s.cookie = strings.ReplaceAll(s.cookie, ":", "-")
	if s.now == nil {
		s.now = time.Now
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.redeemed, err = lru.New[string, bool](codesRemembered); err != nil {
		return nil, err
	}
	if err := s.populate(cfg); err != nil {
		return nil, err
	}
	return s, errors.Join(s.newSealKey(), s.RollKeys())
}

// Requests returns how many requests each endpoint has had, faulty ones among
// them; EndpointNames lists the names. A CORS preflight is not counted.
func (s *Server) Requests() map[string]int { return s.requests.Counts() }

// SetFault has fault look at every request to a known endpoint first; nil ends
// that.
func (s *Server) SetFault(fault func(w http.ResponseWriter, r *http.Request) (handled bool)) {
	s.fault.Set(fault)
}
