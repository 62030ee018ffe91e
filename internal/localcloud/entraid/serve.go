package entraid

import (
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"acsauth/internal/localcloud/wire"
)

// endpoint is what is served at one path below a tenant.
type endpoint struct {
	name    string // in Requests
	methods string
	cors    bool // open to scripts of other origins
	serve   func(s *Server, w http.ResponseWriter, r *http.Request, tenant string)
}

// endpoints has the paths in lower case: MSAL.js lower-cases the authority, and
// Entra takes any case.
func endpoints() map[string]endpoint {
	return map[string]endpoint{
		"v2.0/.well-known/openid-configuration": {"openid-configuration", "GET, HEAD, OPTIONS", true, (*Server).discoveryV2},
		".well-known/openid-configuration":      {"openid-configuration-v1", "GET, HEAD, OPTIONS", true, (*Server).discoveryV1},
		"discovery/v2.0/keys":                   {"keys", "GET, HEAD, OPTIONS", true, (*Server).keysV2},
		"discovery/keys":                        {"keys-v1", "GET, HEAD, OPTIONS", true, (*Server).keysV1},
		"discovery/instance":                    {"instance", "GET, HEAD, OPTIONS", true, (*Server).instance},
		"oauth2/v2.0/authorize":                 {"authorize", "GET, HEAD, POST", false, (*Server).authorize},
		"oauth2/v2.0/token":                     {"token", "POST, OPTIONS", true, (*Server).token},
		"oauth2/v2.0/logout":                    {"logout", "GET, HEAD, POST", false, (*Server).logout},
	}
}

// EndpointNames lists the endpoints, by the names that Requests uses, sorted.
func EndpointNames() (names []string) {
	for _, e := range endpoints() {
		names = append(names, e.name)
	}
	slices.Sort(names)
	return names
}

// Endpoint names the endpoint that a request is for; empty when there is none
// such.
func Endpoint(r *http.Request) string {
	_, path, _ := strings.Cut(strings.ToLower(strings.TrimPrefix(r.URL.Path, "/")), "/")
	return endpoints()[path].name
}

// anyTenant are the authorities that stand for whatever tenant the user is in.
var anyTenant = []string{"common", "organizations"}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	tenant, path, _ := strings.Cut(strings.ToLower(strings.TrimPrefix(r.URL.Path, "/")), "/")
	e, ok := endpoints()[path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	if e.cors && wire.CORS(w, r, e.methods) {
		return
	}
	s.requests.Add(e.name)
	if s.fault.Handled(w, r) {
		return
	}
	s.log.LogAttrs(r.Context(), slog.LevelDebug, "entra request",
		slog.String("method", r.Method), slog.String("endpoint", e.name), slog.String("tenant", tenant))
	if !slices.Contains(strings.Split(e.methods, ", "), r.Method) {
		w.Header().Set("Allow", e.methods)
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	if !slices.Contains(s.tenants, tenant) && !slices.Contains(anyTenant, tenant) {
		s.refuse(w, r, &stsError{code: "invalid_tenant", number: 90002, message: "Tenant '" + tenant + "' not found."})
		return
	}
	// Far more than any request of a client, and little enough to hold.
	r.Body = http.MaxBytesReader(w, r.Body, 1<<20)
	e.serve(s, w, r, tenant)
}

// serves reports whether a user or token of the tenant userTenant fits the
// authority that the request went to.
func serves(authority, userTenant string) bool {
	return authority == userTenant || slices.Contains(anyTenant, authority)
}
