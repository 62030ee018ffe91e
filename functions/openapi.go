package functions

import (
	_ "embed"
	"net/http"
)

//go:embed openapi.yaml
var openapiYAML []byte

// openapi answers with the contract of this API.
func (a *app) openapi(c *call) error {
	c.bytes(http.StatusOK, "application/yaml; charset=utf-8", openapiYAML)
	return nil
}
