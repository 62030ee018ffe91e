package functions

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestMetadataIsWhereItCanBeFound(t *testing.T) {
	r := Resource{URL: "https://api.example", AuthorizationServers: []string{"https://issuer.example"}, Scope: "api://x/y"}
	for _, row := range []struct {
		prefix         string
		underHost      bool
		path, resource string
	}{
		{"api", false, "/.well-known/oauth-protected-resource/api", "https://api.example/api"},
		{"", false, "/.well-known/oauth-protected-resource", "https://api.example"},
		{"", true, "/.well-known/oauth-protected-resource", "https://api.example"},
		{"api", true, "", ""},
	} {
		m := r.metadata(row.prefix, row.underHost)
		assert.Equal(t, row.path, m.path)
		assert.Equal(t, row.resource, m.document.Resource)
	}
	assert.Empty(t, Resource{}.metadata("", false).path)
}
