package functions

import (
	_ "embed"
	"net/http"
	"slices"
	"strings"
)

//go:embed openapi.yaml
var openapiYAML string

// document is openapi.yaml as far as the folders go. What stands there between
// "# if user or token" and "# end" is left out where neither has a folder.
func (t RouteTable) document() []byte {
	document := make([]byte, 0, len(openapiYAML))
	keep := true
	for line := range strings.Lines(openapiYAML) {
		mark := strings.TrimSpace(line)
		if names, ok := strings.CutPrefix(mark, "# if "); ok {
			keep = slices.ContainsFunc(strings.Split(names, " or "), t.has)
		} else if mark == "# end" {
			keep = true
		} else if keep {
			document = append(document, line...)
		}
	}
	return document
}

// openapi answers with the contract of this API.
func (a *app) openapi(c *call) error {
	c.bytes(http.StatusOK, "application/yaml; charset=utf-8", a.document)
	return nil
}
