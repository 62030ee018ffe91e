// Package localcloud runs stand-ins for Microsoft Entra ID, Azure Communication
// Services and Microsoft Graph on this machine, so that the service can be tried
// and tested without Azure. Start with Start.
//
// FOR DEVELOPMENT ONLY. It listens on loopback alone; anyone who reaches it can
// sign in as any user. All keys are random and all state is in memory, unless
// Options.State brings those of an earlier run, which are then in a file. The service itself contains none of it and is told of it
// by its settings alone.
package localcloud

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"acsauth/internal/localcloud/acsidentity"
	"acsauth/internal/localcloud/entraid"
	"acsauth/internal/localcloud/knobs"
	"acsauth/internal/localcloud/msgraph"
	"acsauth/internal/secret"
)

// The sample app registrations.
const (
	APIClientID = "5f0d8c1a-7e42-4b6d-9a35-2c81e0b7d946" // this service's API
	SPAClientID = "9b3e6a70-1c58-4d2f-8e07-64fa5d1b2c93" // a browser client of it
	// DesktopClientID is a client of it that runs on a desktop or a phone.
	DesktopClientID = "c7d15b2e-8a34-4e91-b06f-3f9d27a4e815"
	APIScope        = "api://" + APIClientID + "/access_as_user"
	// RedirectURI is registered for all of them, with any port.
	RedirectURI = "http://localhost"
)

// Options say where to keep files and what to tell. The zero value of a port is
// a free one.
type Options struct {
	Dir       string // for the CA's certificate; required
	State     *State // what to go on from; nil starts anew
	EntraPort int
	ACSPort   int
	GraphPort int
	Log       *slog.Logger // nil discards
}

// Cloud is the running stand-ins.
type Cloud struct {
	Entra *entraid.Server
	ACS   *acsidentity.Server
	Graph *msgraph.Server
	// Knobs disturb them on demand and know their last requests.
	Knobs *knobs.Board

	EntraURL string // https://localhost:<port>
	ACSURL   string
	GraphURL string
	// CACertFile is the certificate, in PEM, that clients have to trust.
	CACertFile string

	ca         *authority
	connection secret.String
	apiSecret  secret.String // of the API's registration
	roots      *x509.CertPool
	servers    []*http.Server
}

// Start listens and serves until Close. The error is ErrState when o.State is to
// blame.
func Start(o Options) (*Cloud, error) {
	ca, err := openAuthority(o.State)
	if err != nil {
		return nil, err
	}
	c := &Cloud{
		Knobs:      &knobs.Board{},
		CACertFile: filepath.Join(o.Dir, "local-ca.pem"),
		ca:         ca,
		apiSecret:  secret.New(rand.Text()),
		roots:      ca.pool(),
	}
	if o.State != nil {
		c.apiSecret = secret.New(o.State.APISecret)
	}
	if err := os.WriteFile(c.CACertFile, ca.pem(), 0o600); err != nil {
		return nil, err
	}
	tlsConfig, err := ca.serverConfig()
	if err != nil {
		return nil, err
	}
	entra, entraURL, err := listen("Entra ID", o.EntraPort, "-entra-port")
	if err != nil {
		return nil, err
	}
	acs, acsURL, err := listen("ACS", o.ACSPort, "-acs-port")
	if err != nil {
		return nil, errors.Join(err, entra.Close())
	}
	graph, graphURL, err := listen("Microsoft Graph", o.GraphPort, "-graph-port")
	if err != nil {
		return nil, errors.Join(err, entra.Close(), acs.Close())
	}
	c.EntraURL, c.ACSURL, c.GraphURL = entraURL, acsURL, graphURL
	if err := c.open(o); err != nil {
		return nil, errors.Join(err, entra.Close(), acs.Close(), graph.Close())
	}
	c.serve(tls.NewListener(entra, tlsConfig), c.Knobs.Service(EntraService).Handler(c.Entra))
	c.serve(tls.NewListener(acs, tlsConfig), c.Knobs.Service(ACSService).Handler(c.ACS))
	c.serve(tls.NewListener(graph, tlsConfig), c.Knobs.Service(GraphService).Handler(c.Graph))
	return c, nil
}

func listen(name string, port int, flag string) (net.Listener, string, error) {
	l, err := Listen(context.Background(), "the stand-in for "+name, port, flag)
	if err != nil {
		return nil, "", err
	}
	return l, fmt.Sprintf("https://localhost:%d", l.Addr().(*net.TCPAddr).Port), nil
}

func (c *Cloud) open(o Options) (err error) {
	entra, acs, graph := c.Knobs.Add(entraService()), c.Knobs.Add(acsService()), c.Knobs.Add(graphService())
	c.Entra, err = entraid.New(entraid.Config{
		BaseURL:  c.EntraURL,
		GraphURI: c.GraphURL,
		Log:      o.Log,
		Now:      entra.Now,
		Clients: []entraid.Client{
			{ID: APIClientID, Name: "acsauth API", Secret: c.apiSecret, WebRedirectURIs: []string{RedirectURI},
				Scopes: []string{"access_as_user"}, Permissions: []string{entraid.GraphURI + "/User.ReadWrite"}, KnownClients: []string{SPAClientID, DesktopClientID}},
			{ID: SPAClientID, Name: "Sample client", RedirectURIs: []string{RedirectURI}},
			{ID: DesktopClientID, Name: "Sample desktop client", NativeRedirectURIs: []string{RedirectURI}},
		},
	})
	if err != nil {
		return err
	}
	entra.RollKeys = c.Entra.RollKeys
	c.ACS, err = acsidentity.New(acsidentity.Config{
		Log: o.Log,
		Now: acs.Now,
		VerifyBearer: func(raw string) error {
			_, err := c.Entra.Verify(raw, entraid.ACSAudience)
			return err
		},
		CheckTeamsToken: c.checkTeamsToken,
	})
	if err != nil {
		return err
	}
	for _, u := range c.Entra.Users() {
		if !u.Teams {
			continue
		}
		if err := c.ACS.Assign(u.TenantID, u.ObjectID, SPAClientID, DesktopClientID); err != nil {
			return err
		}
	}
	acs.Limit = c.limitACS
	c.Graph = msgraph.New(msgraph.Config{BaseURL: c.GraphURL, Verify: c.verifyGraphToken, User: c.graphUser, Now: graph.Now, Log: o.Log})
	if o.State != nil {
		if err := c.goOn(o.State); err != nil {
			return err
		}
	}
	c.connection = c.ACS.ConnectionString(c.ACSURL)
	return nil
}

func (c *Cloud) verifyGraphToken(raw string) (msgraph.Claims, error) {
	claims, err := c.Entra.Verify(raw, entraid.GraphAppID)
	return msgraph.Claims{TenantID: claims.TenantID, ObjectID: claims.ObjectID, ClientID: claims.ClientID, Scopes: claims.Scopes}, err
}

func (c *Cloud) graphUser(tenantID, objectID string) (msgraph.User, bool) {
	u, ok := c.Entra.User(tenantID, objectID)
	return msgraph.User{DisplayName: u.Name, UPN: u.UPN, Guest: u.HomeTenantID != "" && u.HomeTenantID != u.TenantID}, ok
}

// limitACS sets what the knob limits says.
func (c *Cloud) limitACS(limits string) {
	switch limits {
	case "":
		c.ACS.SetLimits(nil)
	case knobs.Documented:
		c.ACS.SetLimits(acsidentity.DocumentedLimits())
	default:
		calls, _ := strconv.Atoi(limits) // checked when it was read
		each := map[string]int{}
		for _, operation := range acsidentity.OperationNames() {
			each[operation] = calls
		}
		c.ACS.SetLimits(each)
	}
}

// checkTeamsToken is what ACS does with a Teams user's token: Entra ID's
// signature, and a user with a Teams licence.
func (c *Cloud) checkTeamsToken(raw string) (acsidentity.TeamsClaims, error) {
	claims, err := c.Entra.Verify(raw, entraid.TeamsAppID)
	if err != nil {
		return acsidentity.TeamsClaims{}, err
	}
	user, ok := c.Entra.User(claims.TenantID, claims.ObjectID)
	if !ok || !user.Teams {
		return acsidentity.TeamsClaims{}, errors.New("the user has no Teams licence")
	}
	return acsidentity.TeamsClaims{AppID: claims.ClientID, OID: claims.ObjectID, TID: claims.TenantID,
		Scopes: claims.Scopes, ExpiresAt: claims.ExpiresAt}, nil
}

func (c *Cloud) serve(l net.Listener, h http.Handler) {
	server := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          log.New(io.Discard, "", 0), // clients that do not trust the CA
	}
	c.servers = append(c.servers, server)
	go func() { _ = server.Serve(l) }()
}

// Close ends the stand-ins at once.
func (c *Cloud) Close() {
	for _, s := range c.servers {
		_ = s.Close()
	}
}

// Settings returns the app settings, in the form of os.Environ, that point the
// service at the stand-ins. They hold secrets: the stand-in's access key, and the
// client secret of the API's registration.
func (c *Cloud) Settings() []string {
	return []string{
		"ENTRA_TENANT_ID=" + entraid.SampleTenantID,
		"ENTRA_CLIENT_ID=" + APIClientID,
		"ENTRA_CLIENT_SECRET=" + c.apiSecret.Reveal(),
		"ENTRA_AUTHORITY_HOST=" + c.EntraURL,
		"ACS_CONNECTION_STRING=" + c.connection.Reveal(),
		"GRAPH_ENDPOINT=" + c.GraphURL,
		"SSL_CERT_FILE=" + c.CACertFile,
	}
}

// ConnectionString is what a client of ACS needs.
func (c *Cloud) ConnectionString() secret.String { return c.connection }

// Served counts the requests that the stand-ins have had: while it stays the
// same, so does their state.
func (c *Cloud) Served() (n int) {
	for _, s := range c.Knobs.Services() {
		n += s.Served()
	}
	return n
}

// Secrets returns what must appear in no log.
func (c *Cloud) Secrets() []string {
	_, key, _ := strings.Cut(c.connection.Reveal(), "accesskey=")
	return []string{c.connection.Reveal(), key, c.apiSecret.Reveal()}
}

// Client returns an HTTP client that trusts the stand-ins. It follows no
// redirects.
func (c *Cloud) Client() *http.Client {
	return &http.Client{
		Timeout:       30 * time.Second,
		Transport:     &http.Transport{TLSClientConfig: &tls.Config{RootCAs: c.roots, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
