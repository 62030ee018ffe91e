// Package msgraph is a stand-in for Microsoft Graph v1.0: the signed-in user and
// the open extensions of their profile, near enough to the real service that
// its clients work against it unchanged.
//
// It is for development only. NEVER use it in production: extensions live in
// memory, and a hook stands in for Entra ID.
//
// Start with New, and serve the Server over TLS. Tests look inside with
// Extension and Calls, and disturb the service with SetFault and SetFaultAfter.
//
// The contract is that of
// https://learn.microsoft.com/graph/api/resources/opentypeextension. Error codes
// and texts are those that answers of the real service show, as recorded in
// public issues and in tests of its clients. Where none tells what the real
// service does, a comment that begins "Assumed:" marks the choice made here.
package msgraph

import (
	"log/slog"
	"maps"
	"net/http"
	"time"

	"acsauth/internal/localcloud/wire"
)

// Config describes the service. Verify and User have to be set.
type Config struct {
	BaseURL string // where the server is reached: scheme, host and port, no slash at the end
	// Verify judges an access token that a request carries.
	Verify func(rawToken string) (Claims, error)
	// User finds a user of the directory.
	User func(tenantID, objectID string) (User, bool)
	Now  func() time.Time // clock; nil is time.Now
	Log  *slog.Logger     // nil discards
}

// Claims are those of an access token that the service asks for.
type Claims struct {
	TenantID string
	ObjectID string
	ClientID string   // the application that calls
	Scopes   []string // such as User.Read; none in an app-only token
}

// User is a user as the directory knows them.
type User struct {
	DisplayName string
	UPN         string
	Guest       bool
}

// Server is the stand-in. Make one with New; it may be used from many
// goroutines.
type Server struct {
	baseURL    string
	verify     func(rawToken string) (Claims, error)
	user       func(tenantID, objectID string) (User, bool)
	now        func() time.Time
	log        *slog.Logger
	fault      wire.FaultHook
	faultAfter wire.FaultHook
	calls      wire.Counter
	extensions extensions
}

// New fills in what cfg leaves open.
func New(cfg Config) *Server {
	s := &Server{baseURL: cfg.BaseURL, verify: cfg.Verify, user: cfg.User, now: cfg.Now, log: cfg.Log}
	if s.now == nil {
		s.now = time.Now
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	return s
}

// Extension returns the properties of a user's open extension, or nil.
func (s *Server) Extension(tenantID, objectID, name string) map[string]any {
	s.extensions.mu.Lock()
	defer s.extensions.mu.Unlock()
	if e := s.extensions.of[owner{tenantID, objectID}][name]; e != nil {
		return maps.Clone(e.properties)
	}
	return nil
}

// Calls returns how many requests each operation has had, faulty ones among
// them.
func (s *Server) Calls() map[string]int { return s.calls.Counts() }

// SetFault has fault look at every request before anything is done; nil ends
// that. Operation tells which it is.
func (s *Server) SetFault(fault func(w http.ResponseWriter, r *http.Request) (handled bool)) {
	s.fault.Set(fault)
}

// SetFaultAfter has fault look at every request that has succeeded, with the
// answer not yet sent: when it handles the request, the work is done and the
// answer lost. Nil ends that.
func (s *Server) SetFaultAfter(fault func(w http.ResponseWriter, r *http.Request) (handled bool)) {
	s.faultAfter.Set(fault)
}
