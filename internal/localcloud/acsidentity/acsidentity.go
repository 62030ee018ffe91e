// Package acsidentity is a stand-in for the Identity data plane of Azure
// Communication Services: identities, their access tokens, and the exchange of
// Teams users' tokens, near enough to the real service that its official
// clients work against it unchanged. It checks the access-key signature for
// real.
//
// It is for development only. NEVER use it in production: identities live in
// memory, tokens are signed with a key made at start that no ACS service
// accepts, and hooks stand in for Entra ID.
//
// Start with New, and serve the Server over TLS: most ACS clients take nothing
// else. Tests look inside with Identities, Deleted, Calls and TokenActive, and
// disturb the service with SetFault, SetFaultAfter and SetLimits. Export and
// Import carry its state over a restart.
//
// The contract is that of https://learn.microsoft.com/rest/api/communication/identity.
// Error texts are those that the recordings of the official SDKs' tests show.
// Where neither says what the real service does, a comment that begins
// "Assumed:" marks the choice made here; docs/local-cloud-fidelity.md lists them
// all.
package acsidentity

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"acsauth/internal/identity"
	"acsauth/internal/localcloud/wire"
	"acsauth/internal/secret"
)

// ClockSkew is how far a request's date may be off by default.
//
// Assumed: a request's date may be off by 15 minutes, as it may be with Azure App
// Configuration, which signs its requests in the same way.
const ClockSkew = 15 * time.Minute

// Config describes the ACS resource. Every field may be left empty.
type Config struct {
	AccessKey  secret.String // base64; empty makes a random one
	ResourceID string        // GUID in every communication user id; empty makes a random one
	// VerifyBearer judges the Entra token of an app that calls without the
	// access key. Nil refuses all of them.
	VerifyBearer func(rawToken string) error
	// CheckTeamsToken validates a Teams user's Entra token and reads its claims.
	// Nil refuses all of them.
	CheckTeamsToken func(rawToken string) (TeamsClaims, error)
	SkewWindow      time.Duration    // zero means ClockSkew
	Now             func() time.Time // clock; nil is time.Now
	Log             *slog.Logger     // nil discards
}

// TeamsClaims are what a Teams user's Entra token says.
type TeamsClaims struct {
	AppID     string   // application that the token was issued to: appid or azp
	OID       string   // object id of the user
	TID       string   // tenant of the user
	Scopes    []string // such as Teams.ManageCalls
	ExpiresAt time.Time
}

// Server is the stand-in. Make one with New; it may be used from many
// goroutines.
type Server struct {
	account         atomic.Pointer[account]
	verifyBearer    func(rawToken string) error
	checkTeamsToken func(rawToken string) (TeamsClaims, error)
	skew            time.Duration
	now             func() time.Time
	log             *slog.Logger
	fault           wire.FaultHook
	faultAfter      wire.FaultHook
	calls           wire.Counter
	limiter         limiter
	state           state
}

// account is who the service is.
type account struct {
	accessKey secret.String
	key       []byte // accessKey decoded
	id        string
	signer    *wire.Key
}

func newAccount(accessKey secret.String, id string, signer *wire.Key) (*account, error) {
	key, err := base64.StdEncoding.DecodeString(accessKey.Reveal())
	if err != nil || len(key) == 0 {
		return nil, errors.New("access key: expected base64")
	}
	if !identity.IsGUID(id) {
		return nil, fmt.Errorf("resource id: expected a GUID, got %q", id)
	}
	return &account{accessKey, key, strings.ToLower(id), signer}, nil
}

// New checks cfg and makes what it leaves open.
func New(cfg Config) (*Server, error) {
	s := &Server{
		verifyBearer:    cfg.VerifyBearer,
		checkTeamsToken: cfg.CheckTeamsToken,
		skew:            cfg.SkewWindow,
		now:             cfg.Now,
		log:             cfg.Log,
		state:           newState(),
	}
	if cfg.AccessKey.Empty() {
		random := make([]byte, 64)
		_, _ = rand.Read(random) // never fails
		cfg.AccessKey = secret.New(base64.StdEncoding.EncodeToString(random))
	}
	if cfg.ResourceID == "" {
		cfg.ResourceID = wire.NewGUID()
	}
	if s.skew == 0 {
		s.skew = ClockSkew
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	refuseAll := errors.New("no check of Entra tokens is configured")
	if s.verifyBearer == nil {
		s.verifyBearer = func(string) error { return refuseAll }
	}
	if s.checkTeamsToken == nil {
		s.checkTeamsToken = func(string) (TeamsClaims, error) { return TeamsClaims{}, refuseAll }
	}
	signer, err := wire.NewKey(s.now())
	if err != nil {
		return nil, err
	}
	a, err := newAccount(cfg.AccessKey, cfg.ResourceID, signer)
	if err != nil {
		return nil, err
	}
	s.account.Store(a)
	return s, nil
}

// ResourceID returns the GUID that every communication user id here contains.
func (s *Server) ResourceID() string { return s.account.Load().id }

// ConnectionString returns what a client needs to call with the access key.
// endpoint is where the server is reached, such as https://localhost:8444/.
func (s *Server) ConnectionString(endpoint string) secret.String {
	return secret.New("endpoint=" + endpoint + ";accesskey=" + s.account.Load().accessKey.Reveal())
}

// PublicKey verifies the tokens issued here.
func (s *Server) PublicKey() *rsa.PublicKey { return s.account.Load().signer.Public() }

// SetFault has fault look at every call before anything is done; nil ends that.
// Operation tells which call it is.
func (s *Server) SetFault(fault func(w http.ResponseWriter, r *http.Request) (handled bool)) {
	s.fault.Set(fault)
}

// SetFaultAfter has fault look at every call that has succeeded, with the answer
// not yet sent: when it handles the call, the work is done and the answer lost.
// Nil ends that.
func (s *Server) SetFaultAfter(fault func(w http.ResponseWriter, r *http.Request) (handled bool)) {
	s.faultAfter.Set(fault)
}
