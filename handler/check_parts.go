package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"acsauth/internal/acs"
	"acsauth/internal/config"
	"acsauth/internal/entra"
	"acsauth/internal/graph"
	"acsauth/internal/identity"
)

const (
	checkTimeout = 15 * time.Second
	// clockWarn and clockFail are how far clocks may be apart. Entra ID's tokens
	// tolerate 5 minutes; what ACS tolerates of a signed request is not written
	// down anywhere.
	clockWarn = 30 * time.Second
	clockFail = 5 * time.Minute
)

// limited runs one try with a time-out.
func limited(ctx context.Context, try func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	return try(ctx)
}

func isForClients(err error) bool {
	_, ok := err.(*identity.Error)
	return ok
}

func isRejection(err error) bool { return identity.CodeOf(err) == identity.CodeUpstreamRejected }

func reach(address string) string {
	if u, err := url.Parse(address); err == nil && u.Host != "" {
		address = u.Host
	}
	return "Is " + address + " the right host, and does this machine reach it? HTTPS_PROXY names a proxy, SSL_CERT_FILE a certificate authority of your own."
}

// trouble is for an answer that says nothing about this service.
func trouble(who string) string {
	return who + " has trouble of its own. Try again, and look at https://azure.status.microsoft."
}

func openCure(cfg config.Config, part string) string {
	switch {
	case part == partStore && cfg.Notes == config.StoreLocal:
		return "Only one process at a time can have the embedded store open: is the service running? LOCAL_STORE_PATH must be a file that it may write."
	case part == partCredential && cfg.Credential.CertificatePath != "":
		return "ENTRA_CLIENT_CERTIFICATE_PATH must be a PEM file that this process may read, with the certificate and its RSA key."
	case part == partClient:
		return "SSL_CERT_FILE must be a PEM file of certificates that this process may read, or not be set."
	}
	return "The settings are of the right form, but can't be used together."
}

func (c *checkup) entra(ctx context.Context, s *service, cfg config.Config) {
	err := limited(ctx, s.verifier.CheckMetadata)
	there := c.judge("entra", "metadata", strings.Join(s.verifier.Issuers(), ", "), err, entraCure(cfg, err))
	err = limited(ctx, s.verifier.Warm)
	there = c.judge("entra", "signing keys", "there", err, entraCure(cfg, err)) && there
	switch {
	case s.onBehalfOf == nil:
	case !there:
		c.add("entra", "credential for On-Behalf-Of", statusSkip, "not tried, because of what failed above", "")
	default:
		err = limited(ctx, func(ctx context.Context) error { return s.onBehalfOf.CheckCredential(ctx, cfg.Graph.Endpoint) })
		c.judge("entra", "credential for On-Behalf-Of", "accepted", err, credentialCure(cfg, err))
	}
}

func entraCure(cfg config.Config, err error) string {
	var answer *entra.StatusError
	switch {
	case errors.As(err, new(*url.Error)):
		return reach(cfg.Entra.AuthorityHost)
	case errors.As(err, &answer) && (answer.Status >= 500 || answer.Status == http.StatusTooManyRequests):
		return trouble("Entra ID")
	}
	return "Is ENTRA_TENANT_ID the directory id of your tenant, and ENTRA_AUTHORITY_HOST the cloud that it is in?"
}

func credentialCure(cfg config.Config, err error) string {
	switch {
	case cfg.Credential.ManagedIdentity:
		return noIdentity(cfg.ManagedIdentity, "ENTRA_CLIENT_SECRET") +
			" If Entra ID refused it: the registration needs a federated credential whose subject is the identity's object (principal) id, which scripts/register-app.sh --identity makes."
	case isRejection(err):
		return "Compare ENTRA_CLIENT_SECRET or the certificate with the app registration, and see whether it has expired."
	}
	return trouble("Entra ID")
}

func (c *checkup) acs(ctx context.Context, s *service, cfg config.Config) {
	err := limited(ctx, s.acs.CheckAccess)
	c.judge("acs", "access", cfg.ACS.Endpoint+" takes this service's authority", err, acsCure(cfg, err))
}

func acsCure(cfg config.Config, err error) string {
	var refusal *acs.Error // nil where ACS was not reached
	errors.As(err, &refusal)
	withKey := !cfg.ACS.AccessKey.Empty()
	switch {
	case refusal != nil && !isRejection(err):
		return trouble("ACS")
	case refusal != nil && refusal.Status == http.StatusBadRequest:
		return "ACS looked at the request and does not take it: is ACS_API_VERSION one that it knows, and is every id right?"
	case refusal != nil && withKey:
		return "Copy ACS_CONNECTION_STRING again from the portal (the ACS resource, Keys): a key that was regenerated is worth nothing. The resource must allow local authentication. So does a clock of this machine that is wrong."
	case refusal != nil:
		return "Give " + identityName(cfg.ManagedIdentity) + " the role Communication and Email Service Owner on the ACS resource. A new role takes some minutes."
	case withKey:
		return reach(cfg.ACS.Endpoint)
	case isRejection(err):
		return noIdentity(cfg.ManagedIdentity, "ACS_CONNECTION_STRING")
	}
	return reach(cfg.ACS.Endpoint) + " " + noIdentity(cfg.ManagedIdentity, "ACS_CONNECTION_STRING")
}

func identityName(clientID string) string {
	if clientID == "" {
		return "the system-assigned managed identity"
	}
	return "the managed identity with client id " + clientID
}

// store writes a mapping of a user who does not exist, reads it and deletes it.
func (c *checkup) store(ctx context.Context, s *service, cfg config.Config) {
	place := s.store
	if s, ok := s.store.(split); ok {
		c.graph(ctx, s, cfg)
		place = s.notes
	}
	user, err := identity.NewUser("00000000-0000-4000-8000-000000000000", identity.NewGUID())
	if err != nil {
		panic(err) // both are GUIDs
	}
	mapping := identity.Mapping{User: user, AcsUserID: "8:acs:check", CreatedAt: time.Now()}
	for _, step := range []struct {
		name string
		try  func(context.Context) error
	}{
		{"reach", place.Ping},
		{"write", func(ctx context.Context) (err error) { mapping, err = place.Create(ctx, mapping); return err }},
		{"read", func(ctx context.Context) (err error) { mapping, err = place.Get(ctx, user); return err }},
		{"delete", func(ctx context.Context) error { return place.Delete(ctx, mapping) }},
	} {
		err := limited(ctx, step.try)
		if !c.judge("store", step.name, cfg.Notes, err, storeCure(cfg, err)) {
			return
		}
	}
}

// graph can't write: it takes a call of a user to try that.
func (c *checkup) graph(ctx context.Context, s split, cfg config.Config) {
	err := limited(ctx, s.Store.Ping)
	cure := reach(cfg.Graph.Endpoint)
	if errors.As(err, new(*graph.Error)) {
		cure = trouble("Microsoft Graph")
	}
	if !c.judge("store", "Microsoft Graph", cfg.Graph.Endpoint+" answers", err, cure) {
		return
	}
	c.add("store", "mappings", statusSkip, "they are in the users' own profiles: the permission User.ReadWrite and the consent to it are tried by a user's first call", "")
	switch sealsOf(cfg) {
	case sealsNone:
		c.add("store", "seal of mappings", statusOK, "none; "+firstCome, "")
	case sealsSome:
		c.add("store", "seal of mappings", statusWarn, firstCome, "Take GRAPH_ACCEPT_UNSEALED away: it is for as long as it takes to move over.")
	}
}

func storeCure(cfg config.Config, err error) string {
	switch {
	case cfg.Notes == config.StoreLocal:
		return "LOCAL_STORE_PATH must be a file that this process may write, on a disk with room."
	case cfg.Tables.Endpoint == "" && isRejection(err):
		return "Copy TABLES_CONNECTION_STRING (or AzureWebJobsStorage) again from the portal: a key that was regenerated is worth nothing, and the account must allow shared keys. A shared access signature must allow read, add, update and delete."
	case cfg.Tables.Endpoint == "":
		return reach(cfg.Tables.Connection.Endpoint)
	case isRejection(err):
		return "Give " + identityName(cfg.Tables.ManagedIdentity) + " the role Storage Table Data Contributor on the table. A new role takes some minutes. " +
			noIdentity(cfg.Tables.ManagedIdentity, "TABLES_CONNECTION_STRING")
	}
	return reach(cfg.Tables.Endpoint) + " " + noIdentity(cfg.Tables.ManagedIdentity, "TABLES_CONNECTION_STRING")
}

func noIdentity(clientID, instead string) string {
	return "If there was no token for " + identityName(clientID) + ": assign it to the app; outside Azure, where there is none, set " + instead + "."
}

// dates remembers how far each host's clock was from this machine's.
type dates struct {
	next http.RoundTripper
	mu   sync.Mutex
	skew map[string]time.Duration // of the host's clock; the smallest seen
}

// watchDates looks at every answer that the client gets from now on.
func watchDates(client *http.Client) *dates {
	d := &dates{next: client.Transport, skew: map[string]time.Duration{}}
	client.Transport = d
	return d
}

func (d *dates) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := d.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		skew := time.Until(date.Add(500 * time.Millisecond)).Round(time.Second) // a Date is cut off to the second
		d.mu.Lock()
		defer d.mu.Unlock()
		if known, ok := d.skew[r.URL.Host]; !ok || skew.Abs() < known.Abs() {
			d.skew[r.URL.Host] = skew
		}
	}
	return resp, nil
}

// CloseIdleConnections lets http.Client close those of the transport below.
func (d *dates) CloseIdleConnections() {
	if c, ok := d.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

func (c *checkup) clocks(d *dates) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var hosts []string
	for host := range d.skew {
		hosts = append(hosts, host)
	}
	slices.Sort(hosts)
	for _, host := range hosts {
		skew := d.skew[host]
		detail, state, cure := "agrees with this machine's", statusOK, ""
		if skew < 0 {
			detail = fmt.Sprintf("is %v behind this machine's", -skew)
		} else if skew > 0 {
			detail = fmt.Sprintf("is %v ahead of this machine's", skew)
		}
		if skew.Abs() >= clockWarn {
			state, cure = statusWarn, "Set this machine's clock, by NTP for one. Tokens are judged, and requests to ACS are signed, by it."
		}
		if skew.Abs() >= clockFail {
			state = statusFail
		}
		c.add("clock", host, state, detail, cure)
	}
}

func (c *checkup) token(ctx context.Context, s *service, raw string) {
	if raw == "" {
		c.add("token", "input", statusFail, "there was none on standard input", "For one: az account get-access-token --scope api://<client id>/.default --query accessToken -o tsv | handler check --token -")
		return
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	findings, err := s.verifier.Explain(ctx, raw)
	for _, f := range findings {
		state := statusOK
		if f.Broken() {
			state = statusFail
		}
		c.add("token", f.Rule, state, f.Found, f.Cure)
	}
	if err != nil {
		c.add("token", "verdict", statusFail, "refused with "+string(identity.CodeOf(err)), "Mend what failed above.")
		return
	}
	c.add("token", "verdict", statusOK, "accepted", "")
}
