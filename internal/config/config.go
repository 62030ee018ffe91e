// Package config turns app settings, which reach a process as environment
// variables, into a Config. Start with Load.
//
// It checks the form of every setting and what settings say together, and
// reports all faults at once, each by the name of its setting and without its
// value. Whether what they name exists is for `handler check` to find out.
package config

import (
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"acsauth/internal/acs"
	"acsauth/internal/entra"
	"acsauth/internal/graph"
	"acsauth/internal/identity"
	"acsauth/internal/secret"
	"acsauth/internal/tables"
)

// Config is what the service was told. Every field has been checked.
type Config struct {
	Entra          entra.Expected
	ClientID       string // of this API, lower-case
	Credential     Credential
	TeamsClientIDs []string // application ids
	// TeamsOnBehalfOf: a Teams user's token that a caller does not send is got
	// with Credential.
	TeamsOnBehalfOf bool

	ACS             ACS
	TokenPolicy     identity.TokenPolicy
	TokenReuse      time.Duration // zero: each token is new
	RateLimit       int           // calls a minute and user; 0 is no limit
	ManagedIdentity string        // client id of the user-assigned identity; empty: system-assigned

	Store        string // StoreTables, StoreGraph or StoreLocal
	Notes        string // where notes of erasures are: StoreTables or StoreLocal
	Graph        Graph
	Tables       Tables
	LocalPath    string
	UnderHost    bool // run by the Functions host
	Port         int
	PublicURL    string // https://host, or empty
	CORSOrigins  []string
	LogLevel     slog.Level
	LogUserKey   secret.String
	UnknownNames []string // variables that look like misspelt settings
}

// The values of IDENTITY_STORE.
const (
	StoreTables = "tables"
	StoreGraph  = "graph"
	StoreLocal  = "local"
)

// Credential is this API's own, for On-Behalf-Of. The zero value is none; else
// one field is set.
type Credential struct {
	Secret          secret.String
	CertificatePath string
	ManagedIdentity bool // Config.ManagedIdentity stands for the API's registration
}

// Given reports whether there is one.
func (c Credential) Given() bool {
	return !c.Secret.Empty() || c.CertificatePath != "" || c.ManagedIdentity
}

// Graph is Microsoft Graph, and how mappings are kept there.
type Graph struct {
	Endpoint       string // the name of the Entra resource too
	Extension      string
	Keys           []secret.String
	AcceptUnsealed bool
}

// ACS is the ACS resource. Without an AccessKey the managed identity is used.
type ACS struct {
	Endpoint   string
	AccessKey  secret.String
	APIVersion string
}

// Tables is the table service: by Connection, or at Endpoint by managed identity.
type Tables struct {
	Connection      tables.Connection
	Endpoint        string
	ManagedIdentity string // as Config.ManagedIdentity
	Name            string
}

// Load reads the settings from environ, which has the form of os.Environ. The
// error is a Faults.
func Load(environ []string) (Config, error) {
	r := newReader(environ)
	c := Config{
		UnderHost:       r.has("FUNCTIONS_CUSTOMHANDLER_PORT"),
		ManagedIdentity: r.guid("AZURE_CLIENT_ID"),
		TokenPolicy:     r.tokenPolicy(),
		TokenReuse:      time.Duration(r.integer("ACS_TOKEN_REUSE_SECONDS", 60, 0, 3600)) * time.Second,
		RateLimit:       r.integer("RATE_LIMIT_PER_USER", 60, 0, 1_000_000),
		LogLevel:        r.level("LOG_LEVEL"),
		LogUserKey:      secret.New(r.get("LOG_USER_KEY")),
		UnknownNames:    r.unknown(),
	}
	if n := len(c.LogUserKey.Reveal()); n > 0 && n < 16 {
		r.fault("LOG_USER_KEY", "is shorter than 16 characters")
	}
	r.entra(&c)
	r.acs(&c)
	r.store(&c)
	r.credential(&c)
	r.graph(&c)
	if host := "https://" + strings.ToLower(r.get("WEBSITE_HOSTNAME")); isOrigin(host) {
		c.PublicURL = host
	}
	c.PublicURL = r.origin("PUBLIC_URL", c.PublicURL)
	r.listen(&c)
	return c, r.err()
}

func (r *reader) entra(c *Config) {
	c.ClientID = r.guid("ENTRA_CLIENT_ID")
	if !r.has("ENTRA_CLIENT_ID") {
		r.fault("ENTRA_CLIENT_ID", "is missing: the application (client) id of this API's registration, a GUID")
	}
	c.Entra = entra.Expected{
		AuthorityHost: r.origin("ENTRA_AUTHORITY_HOST", entra.DefaultAuthorityHost),
		Tenants:       r.guids("ENTRA_TENANT_ID"),
		Audiences:     r.list("ENTRA_AUDIENCES"),
		Scope:         r.get("ENTRA_REQUIRED_SCOPE"),
		Clients:       r.guids("ENTRA_ALLOWED_CLIENT_IDS"),
		AcceptV1:      r.boolean("ENTRA_ACCEPT_V1_TOKENS"),
		Policy:        r.get("ENTRA_B2C_POLICY"),
	}
	r.b2c(c.Entra)
	if !r.has("ENTRA_TENANT_ID") {
		r.fault("ENTRA_TENANT_ID", "is missing: the tenant (directory) id, a GUID")
	}
	if len(c.Entra.Audiences) == 0 {
		c.Entra.Audiences = []string{c.ClientID, "api://" + c.ClientID}
	}
	if c.Entra.Scope == "" {
		c.Entra.Scope = "access_as_user"
	}
	if strings.ContainsAny(c.Entra.Scope, " ,\"\\/") {
		r.fault("ENTRA_REQUIRED_SCOPE", "is not one scope as it stands in claim scp, such as access_as_user")
	}
	if c.TeamsClientIDs = r.guids("TEAMS_CLIENT_IDS"); len(c.TeamsClientIDs) == 0 {
		c.TeamsClientIDs = []string{c.ClientID}
	}
}

func (r *reader) b2c(e entra.Expected) {
	switch {
	case e.Policy == "":
		if strings.HasSuffix(e.AuthorityHost, ".b2clogin.com") {
			r.fault("ENTRA_B2C_POLICY", "is missing: the user flow whose tokens are accepted")
		}
	case len(e.Policy) > 100 || !policyName.MatchString(e.Policy):
		r.fault("ENTRA_B2C_POLICY", "is not the name of a user flow such as B2C_1_susi")
	case e.AcceptV1:
		r.fault("ENTRA_ACCEPT_V1_TOKENS", "means nothing with ENTRA_B2C_POLICY: one of them must go")
	case e.AuthorityHost == entra.DefaultAuthorityHost:
		r.fault("ENTRA_AUTHORITY_HOST", "is missing: a B2C tenant is at https://<name>.b2clogin.com")
	case len(e.Clients) == 0 && !r.has("ENTRA_ALLOWED_CLIENT_IDS"):
		r.fault("ENTRA_ALLOWED_CLIENT_IDS", "is missing: in a B2C tenant only this list keeps out tokens of applications without a user")
	}
}

var policyName = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

func (r *reader) acs(c *Config) {
	c.ACS.APIVersion = acs.DefaultAPIVersion
	if v := r.get("ACS_API_VERSION"); v != "" {
		if _, err := time.Parse(time.DateOnly, strings.TrimSuffix(v, "-preview")); err != nil {
			r.fault("ACS_API_VERSION", "is not a version such as "+acs.DefaultAPIVersion)
		}
		c.ACS.APIVersion = v
	}
	var err error
	if r.has("ACS_CONNECTION_STRING") {
		if c.ACS.Endpoint, c.ACS.AccessKey, err = acs.ParseConnectionString(r.get("ACS_CONNECTION_STRING")); err != nil {
			r.fault("ACS_CONNECTION_STRING", "is wrong: "+err.Error())
		}
	}
	if r.has("ACS_ENDPOINT") {
		if c.ACS.Endpoint, err = acs.ParseEndpoint(r.get("ACS_ENDPOINT")); err != nil {
			r.fault("ACS_ENDPOINT", "is wrong: "+err.Error())
		}
	}
	switch {
	case r.has("ACS_CONNECTION_STRING") && r.has("ACS_ENDPOINT"):
		r.fault("ACS_ENDPOINT", "is set beside ACS_CONNECTION_STRING: one of them must go")
	case !r.has("ACS_CONNECTION_STRING") && !r.has("ACS_ENDPOINT"):
		r.fault("ACS_CONNECTION_STRING", "is missing, and so is ACS_ENDPOINT: one of them says which ACS resource to use")
	}
}

func (r *reader) store(c *Config) {
	c.Store = r.choice("IDENTITY_STORE", StoreTables, StoreTables, StoreGraph, StoreLocal)
	c.Notes = c.Store
	inAzure := r.has("WEBSITE_INSTANCE_ID") || r.has("WEBSITE_POD_NAME") || r.has("CONTAINER_APP_NAME")
	switch {
	case c.Store == StoreGraph && (inAzure || slices.ContainsFunc(tableSettings, r.has)):
		c.Notes = StoreTables
	case c.Store == StoreGraph:
		c.Notes = StoreLocal
	case c.Store == StoreLocal && inAzure:
		r.fault("IDENTITY_STORE", "is local, a file that does not outlive an instance in Azure: use tables")
	}
	c.Tables = r.tables(c.Notes != StoreLocal, c.ManagedIdentity)
	if c.Notes == StoreLocal {
		c.LocalPath = r.localPath()
	}
}

// tableSettings are those of which one says where the table is.
var tableSettings = []string{"TABLES_CONNECTION_STRING", "TABLES_ENDPOINT",
	"AzureWebJobsStorage", "AzureWebJobsStorage__tableServiceUri", "AzureWebJobsStorage__accountName"}

func (r *reader) localPath() string {
	if path := r.get("LOCAL_STORE_PATH"); path != "" {
		return path
	}
	folder, err := os.UserConfigDir()
	if err != nil {
		r.fault("LOCAL_STORE_PATH", "is missing, and the user has no configuration folder to stand in for it")
	}
	return filepath.Join(folder, "acsauth", "identities.db")
}

// graph is read in any case: On-Behalf-Of is tried with Graph.
func (r *reader) graph(c *Config) {
	c.Graph = Graph{
		Endpoint:       r.origin("GRAPH_ENDPOINT", graph.DefaultEndpoint),
		Extension:      r.get("GRAPH_EXTENSION_NAME"),
		AcceptUnsealed: r.boolean("GRAPH_ACCEPT_UNSEALED"),
	}
	if c.Graph.Extension == "" {
		c.Graph.Extension = graph.DefaultExtension
	} else if err := graph.CheckName(c.Graph.Extension); err != nil {
		r.fault("GRAPH_EXTENSION_NAME", err.Error())
	}
	for _, key := range r.list("GRAPH_MAPPING_KEYS") {
		if len(key) < 32 {
			r.fault("GRAPH_MAPPING_KEYS", "has a key that is shorter than 32 characters")
			break
		}
		c.Graph.Keys = append(c.Graph.Keys, secret.New(key))
	}
	if c.Store != StoreGraph {
		return
	}
	if !c.Credential.Given() {
		r.fault("ENTRA_CLIENT_SECRET", "is missing, and so are ENTRA_CLIENT_CERTIFICATE_PATH and ENTRA_CLIENT_CREDENTIAL: with IDENTITY_STORE=graph this API calls Microsoft Graph on behalf of the user, for which it has to prove itself")
	}
	if strings.HasPrefix(c.Graph.Endpoint, "http:") {
		r.fault("GRAPH_ENDPOINT", "is not https: tokens are sent to it")
	}
	if c.Graph.AcceptUnsealed && len(c.Graph.Keys) == 0 {
		r.fault("GRAPH_ACCEPT_UNSEALED", "means nothing without GRAPH_MAPPING_KEYS: nothing is sealed")
	}
}

// tables finds the table service as the Functions host finds its storage: a
// connection string wins over the settings with two underscores.
func (r *reader) tables(required bool, managedIdentity string) Tables {
	t := Tables{ManagedIdentity: managedIdentity, Name: r.get("TABLES_TABLE_NAME")}
	if t.Name == "" {
		t.Name = "identities"
	}
	if err := tables.CheckName(t.Name); err != nil {
		r.fault("TABLES_TABLE_NAME", err.Error())
	}
	connection := func(name string) {
		if !r.has(name) {
			return
		}
		var err error
		if t.Connection, err = tables.ParseConnectionString(r.get(name)); err != nil {
			r.fault(name, "is wrong: "+err.Error())
		}
	}
	endpoint := func(name string) {
		if !r.has(name) {
			return
		}
		var err error
		if t.Endpoint, err = tables.ParseEndpoint(r.get(name)); err != nil {
			r.fault(name, err.Error())
		} else if strings.HasPrefix(t.Endpoint, "http:") {
			r.fault(name, "must be https: tokens of the managed identity are sent to it")
		}
	}
	sound := len(r.faults)
	connection("TABLES_CONNECTION_STRING")
	endpoint("TABLES_ENDPOINT")
	if r.has("TABLES_CONNECTION_STRING") && r.has("TABLES_ENDPOINT") {
		r.fault("TABLES_ENDPOINT", "is set beside TABLES_CONNECTION_STRING: one of them must go")
	}
	given := r.has("TABLES_CONNECTION_STRING") || r.has("TABLES_ENDPOINT")
	if !required || given && len(r.faults) == sound {
		return t
	}
	// The host's own storage is looked at only where it counts, or would.
	const host = "AzureWebJobsStorage"
	switch {
	case r.has(host):
		connection(host)
	case r.has(host + "__tableServiceUri"):
		endpoint(host + "__tableServiceUri")
		t.ManagedIdentity = r.hostIdentity(managedIdentity)
	case r.has(host + "__accountName"):
		name := r.get(host + "__accountName")
		t.ManagedIdentity = r.hostIdentity(managedIdentity)
		var err error
		if t.Endpoint, err = tables.ParseEndpoint("https://" + name + ".table.core.windows.net"); err != nil || strings.ContainsAny(name, "./:@?# ") {
			r.fault(host+"__accountName", "is not the name of a storage account")
		}
	case !given:
		r.fault("TABLES_CONNECTION_STRING", "is missing, and so are TABLES_ENDPOINT and AzureWebJobsStorage: one of them says where the table is")
	}
	return t
}

func (r *reader) hostIdentity(fallback string) string {
	if id := r.guid("AzureWebJobsStorage__clientId"); id != "" {
		return id
	}
	return fallback
}

// credential is for On-Behalf-Of, which not every deployment needs.
func (r *reader) credential(c *Config) {
	var given []string
	for _, name := range []string{"ENTRA_CLIENT_SECRET", "ENTRA_CLIENT_CERTIFICATE_PATH", "ENTRA_CLIENT_CREDENTIAL"} {
		if r.has(name) {
			given = append(given, name)
		}
	}
	c.TeamsOnBehalfOf = r.boolean("TEAMS_ON_BEHALF_OF")
	if c.TeamsOnBehalfOf {
		c.TeamsClientIDs = append(c.TeamsClientIDs, c.ClientID) // whose token it then is
	}
	if len(given) == 0 {
		if c.TeamsOnBehalfOf {
			r.fault("TEAMS_ON_BEHALF_OF", "is true, which takes ENTRA_CLIENT_SECRET, ENTRA_CLIENT_CERTIFICATE_PATH or ENTRA_CLIENT_CREDENTIAL")
		}
		return
	}
	if len(given) > 1 {
		r.fault(given[1], "is set beside "+given[0]+": only one credential can be used")
	}
	if c.Entra.Policy != "" {
		r.fault(given[0], "is set, but an Azure AD B2C tenant has no On-Behalf-Of flow that it could be used in")
	}
	if strings.HasPrefix(c.Entra.AuthorityHost, "http:") {
		r.fault("ENTRA_AUTHORITY_HOST", "is not https, which On-Behalf-Of takes alone")
	}
	if r.has("ENTRA_CLIENT_SECRET") {
		c.Credential.Secret = secret.New(r.get("ENTRA_CLIENT_SECRET"))
	}
	c.Credential.CertificatePath = r.get("ENTRA_CLIENT_CERTIFICATE_PATH")
	c.Credential.ManagedIdentity = r.choice("ENTRA_CLIENT_CREDENTIAL", "", "managed-identity") == "managed-identity"
	if c.Credential.ManagedIdentity && c.ManagedIdentity == "" {
		r.fault("AZURE_CLIENT_ID", "is missing: ENTRA_CLIENT_CREDENTIAL takes a user-assigned managed identity alone")
	}
}

func (r *reader) listen(c *Config) {
	if c.UnderHost {
		c.Port = r.integer("FUNCTIONS_CUSTOMHANDLER_PORT", 0, 1, 65535)
		return // CORS_ALLOWED_ORIGINS is the platform's own there, in its own form
	}
	c.Port = r.integer("PORT", 8080, 0, 65535)
	for _, origin := range r.list("CORS_ALLOWED_ORIGINS") {
		if origin != "*" && !isOrigin(origin) {
			r.fault("CORS_ALLOWED_ORIGINS", "has an entry that is not an origin such as https://app.example.com")
			break
		}
		c.CORSOrigins = append(c.CORSOrigins, origin)
	}
}
