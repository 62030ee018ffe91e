package entraid

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"acsauth/internal/localcloud/wire"
)

// issuerV1Prefix is before "<tenant id>/" in the issuer of every version 1.0
// token, in the real service and here.
const issuerV1Prefix = "https://sts.windows.net/"

// issuerV2 is the issuer at an authority: a template where that is no one
// tenant.
func (s *Server) issuerV2(authority string) string {
	return s.baseURL + "/" + issuingTenant(authority) + "/v2.0"
}

func issuerV1(authority string) string { return issuerV1Prefix + issuingTenant(authority) + "/" }

func issuingTenant(authority string) string {
	switch authority {
	case common, organizations:
		return "{tenantid}"
	case consumers:
		return consumerTenant
	}
	return authority
}

func (s *Server) discoveryV2(w http.ResponseWriter, _ *http.Request, authority string) {
	doc := s.metadata(authority)
	doc["issuer"] = s.issuerV2(authority)
	doc["jwks_uri"] = s.baseURL + "/" + authority + "/discovery/v2.0/keys"
	writeDocument(w, doc)
}

// discoveryV1 serves what resource servers read of version 1.0 metadata: the
// issuer and the keys. Its other endpoints are those of version 2.0, because
// the old ones have no stand-in.
func (s *Server) discoveryV1(w http.ResponseWriter, _ *http.Request, authority string) {
	doc := s.metadata(authority)
	doc["issuer"] = issuerV1(authority)
	doc["jwks_uri"] = s.baseURL + "/" + authority + "/discovery/keys"
	writeDocument(w, doc)
}

func (s *Server) metadata(authority string) map[string]any {
	oauth := s.baseURL + "/" + authority + "/oauth2/v2.0/"
	return map[string]any{
		"authorization_endpoint":                oauth + "authorize",
		"token_endpoint":                        oauth + "token",
		"device_authorization_endpoint":         oauth + "devicecode",
		"end_session_endpoint":                  oauth + "logout",
		"userinfo_endpoint":                     s.baseURL + userInfoPath,
		"token_endpoint_auth_methods_supported": []string{"client_secret_post", "private_key_jwt", "client_secret_basic"},
		"response_types_supported":              []string{"code"},
		"response_modes_supported":              responseModes(),
		"subject_types_supported":               []string{"pairwise"},
		"id_token_signing_alg_values_supported": []string{"RS256"},
		"scopes_supported":                      oidcScopes(),
		"claims_supported": []string{"sub", "iss", "cloud_instance_name", "cloud_instance_host_name", "cloud_graph_host_name",
			"msgraph_host", "aud", "exp", "iat", "auth_time", "acr", "nonce", "preferred_username", "name", "tid", "ver", "at_hash", "c_hash", "email"},
		"request_uri_parameter_supported": false,
		"http_logout_supported":           true,
		"frontchannel_logout_supported":   true,
		"tenant_region_scope":             nil,
		"cloud_instance_name":             s.host,
		"cloud_graph_host_name":           "graph.windows.net",
		"msgraph_host":                    "graph.microsoft.com",
		"rbac_url":                        "https://pas.windows.net",
	}
}

// publicHosts are the names of the real service. Where they are mapped onto this
// one, MSAL asks for them.
func publicHosts() []string {
	return []string{"login.microsoftonline.com", "login.windows.net", "login.microsoft.com", "sts.windows.net"}
}

// instance answers instance discovery, with which MSAL learns the other names
// of an authority's host: this one has none.
func (s *Server) instance(w http.ResponseWriter, r *http.Request, authority string) {
	endpoint := r.FormValue("authorization_endpoint")
	if endpoint == "" {
		s.refuse(w, r, missing("authorization_endpoint"))
		return
	}
	u, err := url.Parse(endpoint)
	if err != nil || !slices.Contains(append(publicHosts(), s.host), strings.ToLower(u.Host)) {
		s.refuse(w, r, &stsError{code: "invalid_instance", number: 50049, message: "Unknown or invalid instance."})
		return
	}
	if tenant, _, _ := strings.Cut(strings.TrimPrefix(u.Path, "/"), "/"); tenant != "" {
		authority = tenant
	}
	writeDocument(w, map[string]any{
		"tenant_discovery_endpoint": s.baseURL + "/" + authority + "/v2.0/.well-known/openid-configuration",
		"api-version":               "1.1",
		"metadata": []map[string]any{{
			"preferred_network": s.host,
			"preferred_cache":   s.host,
			"aliases":           []string{s.host},
		}, {
			"preferred_network": "login.microsoftonline.com",
			"preferred_cache":   "login.windows.net",
			"aliases":           publicHosts(),
		}},
	})
}

func writeDocument(w http.ResponseWriter, doc any) {
	w.Header().Set("Cache-Control", "max-age=86400, private")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("x-ms-request-id", wire.NewGUID())
	wire.WriteJSON(w, http.StatusOK, "application/json; charset=utf-8", doc)
}
