package entraid

import (
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"acsauth/internal/localcloud/wire"
)

// maxBody is far more than any request of a client, and little enough to hold.
const maxBody = 64 << 10

// endpoint is what is served at one path below a tenant.
type endpoint struct {
	name    string // in Requests
	methods string
	cors    bool // open to scripts of other origins
	serve   func(s *Server, w http.ResponseWriter, r *http.Request, authority string)
}

// endpoints has the paths in lower case: MSAL.js lower-cases the authority, and
// Entra takes any case.
func endpoints() map[string]endpoint {
	const read, form = "GET, HEAD, OPTIONS", "GET, HEAD, POST"
	return map[string]endpoint{
		"v2.0/.well-known/openid-configuration": {"openid-configuration", read, true, (*Server).discoveryV2},
		".well-known/openid-configuration":      {"openid-configuration-v1", read, true, (*Server).discoveryV1},
		"discovery/v2.0/keys":                   {"keys", read, true, (*Server).keysV2},
		"discovery/keys":                        {"keys-v1", read, true, (*Server).keysV1},
		"discovery/instance":                    {"instance", read, true, (*Server).instance},
		"oauth2/v2.0/authorize":                 {"authorize", form, false, (*Server).authorize},
		"oauth2/v2.0/token":                     {"token", "POST, OPTIONS", true, (*Server).token},
		"oauth2/v2.0/logout":                    {"logout", form, false, (*Server).logout},
		"oauth2/v2.0/devicecode":                {"devicecode", "POST", false, (*Server).deviceCode},
		"oauth2/deviceauth":                     {"deviceauth", form, false, (*Server).deviceAuth},
	}
}

// Paths that are below no tenant.
const (
	userInfoPath = "/oidc/userinfo" // at Entra, Microsoft Graph's
	errorPath    = "/error"
)

func rootEndpoints() map[string]endpoint {
	return map[string]endpoint{
		userInfoPath: {"userinfo", "GET, POST, OPTIONS", true, (*Server).userInfo},
		errorPath:    {"error", "GET, HEAD", false, (*Server).explainError},
	}
}

// EndpointNames lists the endpoints, by the names that Requests uses, sorted.
func EndpointNames() (names []string) {
	for _, all := range []map[string]endpoint{endpoints(), rootEndpoints()} {
		for _, e := range all {
			names = append(names, e.name)
		}
	}
	slices.Sort(names)
	return names
}

// Endpoint names the endpoint that a request is for; empty when there is none
// such.
func Endpoint(r *http.Request) string {
	e, _, _ := route(r)
	return e.name
}

func route(r *http.Request) (e endpoint, tenant string, ok bool) {
	path := strings.ToLower(r.URL.Path)
	if e, ok = rootEndpoints()[path]; ok {
		return e, common, true
	}
	tenant, path, _ = strings.Cut(strings.TrimPrefix(path, "/"), "/")
	e, ok = endpoints()[path]
	return e, tenant, ok
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e, tenant, ok := route(r)
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
	authority, refusal := s.authority(tenant)
	if refusal != nil {
		if e.cors {
			s.refuse(w, r, refusal)
		} else {
			s.showError(w, r, refusal)
		}
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	e.serve(s, w, r, authority)
}
