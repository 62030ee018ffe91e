package entraid

import (
	"net/http"
	"slices"

	"acsauth/internal/localcloud/wire"
)

// issuerV1Prefix is before "<tenant id>/" in the issuer of every version 1.0
// token, in the real service and here.
const issuerV1Prefix = "https://sts.windows.net/"

// tenantTemplate stands in for the tenant id in documents of no one tenant.
const tenantTemplate = "{tenantid}"

// issuerV2 is the issuer at an authority: a template where that is no one
// tenant.
func (s *Server) issuerV2(tenant string) string {
	return s.baseURL + "/" + templated(tenant) + "/v2.0"
}

func issuerV1(tenant string) string { return issuerV1Prefix + templated(tenant) + "/" }

func templated(tenant string) string {
	if slices.Contains(anyTenant, tenant) {
		return tenantTemplate
	}
	return tenant
}

func (s *Server) discoveryV2(w http.ResponseWriter, _ *http.Request, tenant string) {
	doc := s.metadata(tenant)
	doc["issuer"] = s.issuerV2(tenant)
	doc["jwks_uri"] = s.baseURL + "/" + tenant + "/discovery/v2.0/keys"
	writeDocument(w, doc)
}

// discoveryV1 serves what resource servers read of version 1.0 metadata: the
// issuer and the keys. Its other endpoints are those of version 2.0, because
// the old ones have no stand-in.
func (s *Server) discoveryV1(w http.ResponseWriter, _ *http.Request, tenant string) {
	doc := s.metadata(tenant)
	doc["issuer"] = issuerV1(tenant)
	doc["jwks_uri"] = s.baseURL + "/" + tenant + "/discovery/keys"
	writeDocument(w, doc)
}

func (s *Server) metadata(tenant string) map[string]any {
	oauth := s.baseURL + "/" + tenant + "/oauth2/v2.0/"
	return map[string]any{
		"authorization_endpoint":                oauth + "authorize",
		"token_endpoint":                        oauth + "token",
		"end_session_endpoint":                  oauth + "logout",
		"token_endpoint_auth_methods_supported": []string{"client_secret_post", "private_key_jwt", "client_secret_basic"},
		"response_types_supported":              []string{"code"},
		"response_modes_supported":              []string{"query", "fragment"},
		"subject_types_supported":               []string{"pairwise"},
		"id_token_signing_alg_values_supported": []string{"RS256"},
		"code_challenge_methods_supported":      []string{"S256"},
		"scopes_supported":                      oidcScopes(),
		"claims_supported": []string{"sub", "iss", "aud", "exp", "iat", "nonce", "preferred_username",
			"name", "tid", "ver", "uti", "oid"},
		"request_uri_parameter_supported": false,
		"http_logout_supported":           true,
		"frontchannel_logout_supported":   true,
		"tenant_region_scope":             nil,
		"cloud_instance_name":             s.host,
		"cloud_graph_host_name":           "graph.windows.net",
		"msgraph_host":                    "graph.microsoft.com",
	}
}

// instance answers instance discovery, with which MSAL learns the other names
// of an authority's host: it has none.
func (s *Server) instance(w http.ResponseWriter, _ *http.Request, tenant string) {
	writeDocument(w, map[string]any{
		"tenant_discovery_endpoint": s.baseURL + "/" + tenant + "/v2.0/.well-known/openid-configuration",
		"api-version":               "1.1",
		"metadata": []map[string]any{{
			"preferred_network": s.host,
			"preferred_cache":   s.host,
			"aliases":           []string{s.host},
		}},
	})
}

func writeDocument(w http.ResponseWriter, doc any) {
	w.Header().Set("Cache-Control", "max-age=86400, private")
	wire.WriteJSON(w, http.StatusOK, "application/json; charset=utf-8", doc)
}
