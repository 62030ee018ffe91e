package main

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"acsauth"
	"acsauth/functions"
	"acsauth/internal/acs"
	"acsauth/internal/config"
	"acsauth/internal/entra"
	"acsauth/internal/identity"
	"acsauth/internal/secret"
	"acsauth/internal/upstream"
)

const warmTimeout = 10 * time.Second

// service is the parts of the program, put together.
type service struct {
	client     *http.Client
	verifier   *entra.Verifier
	onBehalfOf *entra.OnBehalfOf // nil without a credential
	acs        *acs.Client
	store      store
	identities *identity.Service
	log        *slog.Logger
}

// open makes the parts and no network call.
func open(cfg config.Config, log *slog.Logger) (*service, error) {
	client, err := upstream.NewClient(os.Getenv("SSL_CERT_FILE"))
	if err != nil {
		return nil, &openError{partClient, err}
	}
	s := &service{client: client, log: log}
	if s.verifier, err = entra.New(cfg.Entra, client, log, time.Now); err != nil {
		return nil, &openError{partEntra, err}
	}
	if s.onBehalfOf, err = openOnBehalfOf(cfg, client); err != nil {
		return nil, &openError{partCredential, err}
	}
	if s.acs, err = openACS(cfg, client); err != nil {
		return nil, &openError{partACS, err}
	}
	if s.store, err = openStore(cfg, client, s.onBehalfOf, s.acs.Resource()); err != nil {
		return nil, &openError{partStore, err}
	}
	s.identities = identity.NewService(s.store, s.store, s.acs, log, time.Now)
	s.identities.ReuseTokens(cfg.TokenReuse)
	return s, nil
}

// openError is a part of the service that could not be made from its settings.
type openError struct {
	part string
	err  error
}

const (
	partClient     = "certificate authorities"
	partEntra      = "access tokens"
	partCredential = "On-Behalf-Of"
	partACS        = "ACS"
	partStore      = "store"
)

func (e *openError) Error() string { return fmt.Sprintf("%s: %v", e.part, e.err) }
func (e *openError) Unwrap() error { return e.err }

func openOnBehalfOf(cfg config.Config, client *http.Client) (*entra.OnBehalfOf, error) {
	if !cfg.Credential.Given() {
		return nil, nil
	}
	credential := entra.Credential{Secret: cfg.Credential.Secret, CertificateFile: cfg.Credential.CertificatePath}
	if cfg.Credential.ManagedIdentity {
		var err error
		if credential.Federated, err = managedIdentity(cfg.ManagedIdentity, client); err != nil {
			return nil, err
		}
	}
	return entra.NewOnBehalfOf(cfg.Entra, cfg.ClientID, credential, client)
}

func openACS(cfg config.Config, client *http.Client) (*acs.Client, error) {
	o := acs.Options{Endpoint: cfg.ACS.Endpoint, AccessKey: cfg.ACS.AccessKey, APIVersion: cfg.ACS.APIVersion, Transport: client}
	if cfg.ACS.AccessKey.Empty() {
		var err error
		if o.Credential, err = managedIdentity(cfg.ManagedIdentity, client); err != nil {
			return nil, err
		}
	}
	return acs.New(o)
}

// managedIdentity names the identity where there is a name: azidentity does not
// look at AZURE_CLIENT_ID itself.
func managedIdentity(clientID string, client *http.Client) (azcore.TokenCredential, error) {
	o := &azidentity.ManagedIdentityCredentialOptions{ClientOptions: policy.ClientOptions{Transport: client}}
	if clientID != "" {
		o.ID = azidentity.ClientID(clientID)
	}
	return azidentity.NewManagedIdentityCredential(o)
}

func (s *service) functions(cfg config.Config) functions.Options {
	return functions.Options{
		Identities:      s.identities,
		Authenticator:   s.verifier,
		TeamsTokens:     entra.TeamsTokens{Resource: entra.TeamsResource(cfg.Entra.AuthorityHost), Clients: cfg.TeamsClientIDs, Now: time.Now},
		TeamsOnBehalfOf: s.teamsOnBehalfOf(cfg),
		Checks: []functions.Check{
			{Name: "keys", Ready: s.verifier.Warm},
			{Name: "store", Ready: s.identities.Ready},
		},
		TokenPolicy:   cfg.TokenPolicy,
		RequiredScope: cfg.Entra.Scope,
		RateLimit:     cfg.RateLimit,
		Resource: functions.Resource{URL: cfg.PublicURL, AuthorizationServers: s.verifier.Issuers(),
			Scope: "api://" + cfg.ClientID + "/" + cfg.Entra.Scope},
		UnderHost: cfg.UnderHost,
		UserHash:  userHash(cfg.LogUserKey),
		Log:       s.log,
		Now:       time.Now,
	}
}

// teamsOnBehalfOf asks for all the Teams permissions that this API's registration
// has: which they are is the operator's affair.
func (s *service) teamsOnBehalfOf(cfg config.Config) func(context.Context, identity.Caller) (secret.String, error) {
	if !cfg.TeamsOnBehalfOf {
		return nil
	}
	scopes := []string{entra.TeamsResource(cfg.Entra.AuthorityHost) + "/.default"}
	return func(ctx context.Context, caller identity.Caller) (secret.String, error) {
		return s.onBehalfOf.Token(ctx, caller, scopes)
	}
}

// userHash stands for a user in the log: nobody can tell whose it is without the
// key.
func userHash(key secret.String) func(identity.User) string {
	k := []byte(key.Reveal())
	if len(k) == 0 {
		k = make([]byte, 32)
		_, _ = rand.Read(k) // never fails
	}
	return func(u identity.User) string {
		mac := hmac.New(sha256.New, k)
		_, _ = io.WriteString(mac, u.Key())
		return hex.EncodeToString(mac.Sum(nil)[:8])
	}
}

// slow are the parts that the first request would have to wait for: signing keys,
// and connections to the store and to ACS.
func (s *service) slow() map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"signing keys":          s.verifier.Warm,
		"store":                 s.store.Ping,
		"communication service": s.acs.Connect,
	}
}

// warm calls each of parts ahead of time. What fails is tried again when it is
// needed.
func warm(ctx context.Context, parts map[string]func(context.Context) error, log *slog.Logger) {
	warming, cancel := context.WithTimeout(ctx, warmTimeout)
	defer cancel()
	var wg sync.WaitGroup
	for name, work := range parts {
		wg.Go(func() {
			if err := work(warming); err != nil && ctx.Err() == nil { // else the process stops
				log.Warn("warming up failed", "part", name, "error", err.Error())
			}
		})
	}
	wg.Wait()
}

// sweep finishes erasures that were noted and not done: now, and, where no timer
// of the Functions host sees to it, again and again until ctx ends.
func (s *service) sweep(ctx context.Context, once bool) {
	ticker := time.NewTicker(sweepInterval)
	defer ticker.Stop()
	for ctx.Err() == nil {
		sweeping, cancel := context.WithTimeout(ctx, sweepInterval)
		_, _ = s.identities.Sweep(sweeping) // which logs what it did
		cancel()
		if once {
			return
		}
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
}

func (s *service) close() {
	if err := closeStore(s.store); err != nil {
		s.log.Warn("the store did not close", "error", err.Error())
	}
	s.client.CloseIdleConnections()
}

// appFolder is where host.json and the function folders are: where the Functions
// host says, above the program's folder bin, in the working directory, or else
// the copy in the program. from names it for the log.
func appFolder(environ []string) (folder fs.FS, from string) {
	for _, pair := range environ {
		if root, ok := strings.CutPrefix(pair, "FUNCTIONS_APP_ROOT_PATH="); ok && root != "" {
			return os.DirFS(root), root
		}
	}
	var candidates []string
	if exe, err := os.Executable(); err == nil {
		candidates = append(candidates, filepath.Dir(filepath.Dir(exe)))
	}
	for _, dir := range append(candidates, ".") {
		_, err := os.Stat(filepath.Join(dir, "host.json"))
		_, ours := os.Stat(filepath.Join(dir, "getToken", "function.json"))
		if err == nil && ours == nil {
			return os.DirFS(dir), dir
		}
	}
	return acsauth.AppFolder, "the program itself"
}
