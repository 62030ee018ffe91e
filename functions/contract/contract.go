// Package contract holds answers against the OpenAPI document. It is for tests: a
// client on its Transport fails the test at the first answer that the document
// does not allow, in status, headers or body.
package contract

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Load reads and checks the document.
func Load(t testing.TB, document []byte) *openapi3.T {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(document)
	require.NoError(t, err)
	require.NoError(t, doc.Validate(t.Context()))
	return doc
}

// Transport validates every answer to a request that the document knows.
type Transport struct {
	t      testing.TB
	router routers.Router
	next   http.RoundTripper
}

// NewTransport makes one in front of next.
func NewTransport(t testing.TB, document []byte, next http.RoundTripper) *Transport {
	t.Helper()
	router, err := gorillamux.NewRouter(Load(t, document))
	require.NoError(t, err)
	return &Transport{t, router, next}
}

// RoundTrip implements http.RoundTripper.
func (v *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := v.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	route, params, err := v.router.FindRoute(asDocumented(r))
	if err != nil {
		return resp, nil // 404 and 405 are for addresses that the document does not know
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	_ = resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(body))
	err = openapi3filter.ValidateResponse(r.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route},
		Status:                 resp.StatusCode,
		Header:                 resp.Header,
		Body:                   io.NopCloser(bytes.NewReader(body)),
		Options:                &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true},
	})
	assert.NoError(v.t, err, "%s %s answered %d, which the contract does not allow", r.Method, r.URL.Path, resp.StatusCode)
	return resp, nil
}

// asDocumented is r with the path as the document spells it.
func asDocumented(r *http.Request) *http.Request {
	c := r.Clone(r.Context())
	for _, name := range []string{"getUser", "getToken", "refreshToken", "exchangeToken", "revokeTokens", "deleteUser", "user", "token", "token/teams"} {
		if len(c.URL.Path) == len("/api/"+name) && strings.EqualFold(c.URL.Path, "/api/"+name) { // of ASCII
			c.URL.Path = "/api/" + name
		}
	}
	return c
}
