package functions

import (
	"net/http"
	"path"

	"acsauth/internal/identity"
)

// Resource is what this API is to an OAuth client that has never heard of it:
// RFC 9728.
type Resource struct {
	URL                  string // https://host; empty: nothing is published
	AuthorizationServers []string
	Scope                string // as a client asks for it
}

// metadata is the document, and where it is; the path is empty where the Functions
// host would not let a request through to it.
type metadata struct {
	path, url string
	document  metadataDocument
}

type metadataDocument struct {
	Resource             string   `json:"resource"`
	AuthorizationServers []string `json:"authorization_servers"`
	Scopes               []string `json:"scopes_supported"`
	BearerMethods        []string `json:"bearer_methods_supported"`
}

const wellKnown = "/.well-known/oauth-protected-resource"

// metadata puts the well-known path in front of the resource's own, as RFC 9728
// §3.1 has it. The Functions host serves no path outside its route prefix.
func (r Resource) metadata(prefix string, underHost bool) metadata {
	if r.URL == "" || underHost && prefix != "" {
		return metadata{}
	}
	suffix := ""
	if prefix != "" {
		suffix = path.Join("/", prefix)
	}
	return metadata{wellKnown + suffix, r.URL + wellKnown + suffix,
		metadataDocument{r.URL + suffix, r.AuthorizationServers, []string{r.Scope}, []string{"header"}}}
}

// resourceMetadata answers with the protected resource metadata.
func (a *app) resourceMetadata(c *call) error {
	if a.metadata.path == "" || routeKey(c.r.URL.Path) != routeKey(a.metadata.path) {
		return identity.Errorf(identity.CodeNotFound, "There is no protected resource metadata at this address.")
	}
	return c.json(http.StatusOK, a.metadata.document)
}
