// Package entraid is a stand-in for Microsoft Entra ID: discovery documents,
// signing keys, sign-in with the authorization code flow, and the token
// endpoint, near enough to the real service that its official clients work
// against it unchanged.
//
// It is for development only. NEVER use it in production: anyone may sign in as
// any user, no password is asked for, every scope counts as consented to, keys
// are random at each start, and codes and refresh tokens live in memory.
//
// Start with New, and serve the Server over TLS: MSAL takes no other authority.
// Tests and demos can skip the sign-in with AccessToken, make tokens that Entra
// would never issue with Sign, and disturb the service with SetFault.
//
// Where the real service's behaviour is not documented, a comment that begins
// "Assumed:" says so.
package entraid

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"acsauth/internal/identity"
	"acsauth/internal/localcloud/wire"
	"acsauth/internal/secret"
)

// Config describes the directory. Only BaseURL has to be set.
type Config struct {
	BaseURL string   // where the server is reached: scheme, host and port, no slash at the end
	Tenants []string // tenant ids, the first being the home tenant; none means SampleTenantID
	Clients []Client // app registrations, known in all tenants
	Users   []User   // none means SampleUsers
	// GraphURI is another name of the resource Microsoft Graph, as each national
	// cloud has its own.
	GraphURI string
	// CheckAssertion judges a client_assertion, so that a client can sign in
	// with a federated credential. Nil refuses every assertion.
	CheckAssertion func(clientID, assertion string) error
	Now            func() time.Time // clock; nil is time.Now
	Log            *slog.Logger     // nil discards
}

// Client is an app registration: a client app, an API, or both.
type Client struct {
	ID     string // application (client) id, a GUID
	Name   string
	Secret secret.String // makes it a confidential client; empty leaves it public
	// RedirectURIs are compared as they stand, except that "http://localhost"
	// stands for any port.
	RedirectURIs []string
	AppIDURI     string   // of an API, beside api://<ID> which always works
	Scopes       []string // that it exposes, such as access_as_user; none means that it is no API
	// AccessTokenVersion is the version of the access tokens meant for this
	// API, 1 or 2; zero is 2.
	AccessTokenVersion int
	AppRoles           []string // application permissions that it holds; for its app-only tokens
	// KnownClients are the client apps whose users consent to this API and to
	// what it needs at once.
	KnownClients []string
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
	Roles        []string // app roles, in every API
	Policy       Policy
}

// Server is the stand-in. Make one with New; it may be used from many
// goroutines.
type Server struct {
	baseURL        string
	host           string // of baseURL, with its port
	tenants        []string
	clients        []Client
	graphURI       string
	checkAssertion func(clientID, assertion string) error
	now            func() time.Time
	log            *slog.Logger
	fault          wire.FaultHook
	requests       wire.Counter

	mu            sync.Mutex
	keys          []*wire.Key // the one in use first; all are published
	users         []User
	codes         map[string]*grant
	refreshTokens map[string]*grant
	policy        Policy                  // asked of every user
	consents      map[consentKey][]string // short scopes
}

// New checks cfg and makes a signing key.
func New(cfg Config) (*Server, error) {
	base, err := url.Parse(cfg.BaseURL)
	if err != nil || base.Scheme == "" || base.Host == "" || base.Path != "" {
		return nil, fmt.Errorf("base URL: expected https://host:port without a slash at the end, got %q", cfg.BaseURL)
	}
	s := &Server{
		baseURL:        cfg.BaseURL,
		host:           base.Host,
		graphURI:       cfg.GraphURI,
		checkAssertion: cfg.CheckAssertion,
		now:            cfg.Now,
		log:            cfg.Log,
		codes:          map[string]*grant{},
		refreshTokens:  map[string]*grant{},
		consents:       map[consentKey][]string{},
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if len(cfg.Tenants) == 0 {
		cfg.Tenants = []string{SampleTenantID}
	}
	if len(cfg.Users) == 0 {
		cfg.Users = SampleUsers()
	}
	for _, tenant := range cfg.Tenants {
		if !identity.IsGUID(tenant) {
			return nil, fmt.Errorf("tenant id: expected a GUID, got %q", tenant)
		}
		s.tenants = append(s.tenants, strings.ToLower(tenant))
	}
	for _, c := range cfg.Clients {
		if err := s.addClient(c); err != nil {
			return nil, err
		}
	}
	for _, u := range cfg.Users {
		if err := s.AddUser(u); err != nil {
			return nil, err
		}
	}
	if err := s.RollKeys(); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Server) addClient(c Client) error {
	if !identity.IsGUID(c.ID) {
		return fmt.Errorf("client %q: id: expected a GUID, got %q", c.Name, c.ID)
	}
	c.ID = strings.ToLower(c.ID)
	if _, ok := s.client(c.ID); ok {
		return fmt.Errorf("client %s is there twice", c.ID)
	}
	if c.AccessTokenVersion == 0 {
		c.AccessTokenVersion = 2
	}
	if c.AccessTokenVersion != 1 && c.AccessTokenVersion != 2 {
		return fmt.Errorf("client %s: access token version: expected 1 or 2, got %d", c.ID, c.AccessTokenVersion)
	}
	s.clients = append(s.clients, c)
	return nil
}

// AddUser adds a user, or replaces the one with the same tenant and object id.
func (s *Server) AddUser(u User) error {
	if u.TenantID == "" {
		u.TenantID = s.tenants[0]
	}
	who, err := identity.NewUser(u.TenantID, u.ObjectID)
	if err != nil {
		return fmt.Errorf("user %q: %w", u.Name, err)
	}
	u.TenantID, u.ObjectID = who.TenantID, who.ObjectID
	if !slices.Contains(s.tenants, u.TenantID) {
		return fmt.Errorf("user %q: no tenant %s here", u.Name, u.TenantID)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users = slices.DeleteFunc(s.users, func(other User) bool {
		return other.TenantID == u.TenantID && other.ObjectID == u.ObjectID
	})
	s.users = append(s.users, u)
	return nil
}

// Users returns all users.
func (s *Server) Users() []User {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.users)
}

// User finds a user by tenant and object id.
func (s *Server) User(tenantID, objectID string) (User, bool) {
	for _, u := range s.Users() {
		if strings.EqualFold(u.TenantID, tenantID) && strings.EqualFold(u.ObjectID, objectID) {
			return u, true
		}
	}
	return User{}, false
}

func (s *Server) client(id string) (Client, bool) {
	for _, c := range s.clients {
		if strings.EqualFold(c.ID, id) {
			return c, true
		}
	}
	return Client{}, false
}

// Requests returns how many requests each endpoint has had, faulty ones among
// them: openid-configuration, keys, authorize, token, logout, instance, and
// openid-configuration-v1 and keys-v1 for the version 1.0 documents. A CORS
// preflight is not counted.
func (s *Server) Requests() map[string]int { return s.requests.Counts() }

// SetFault has fault look at every request to a known endpoint first; nil ends
// that.
func (s *Server) SetFault(fault func(w http.ResponseWriter, r *http.Request) (handled bool)) {
	s.fault.Set(fault)
}
