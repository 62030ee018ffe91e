package tables

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"acsauth/internal/azurite"
	"acsauth/internal/identity"
)

// cosmosLike makes Azurite look like Azure Cosmos DB for Table, as far as its
// documentation tells how it differs: no PATCH, keys of at most 255 bytes, lists
// in no order, 429 where Table Storage answers 503, another code beside 412. It
// is no proof of how the real service behaves.
// https://learn.microsoft.com/azure/cosmos-db/table/faq
type cosmosLike struct {
	t        *testing.T
	azurite  *url.URL
	requests atomic.Int64
}

func (c *cosmosLike) Do(r *http.Request) (*http.Response, error) {
	assert.Equal(c.t, "contoso.table.cosmos.azure.com:443", r.URL.Host)
	assert.NotEqual(c.t, http.MethodPatch, r.Method)
	assert.Empty(c.t, r.Header.Get("Authorization"), "a signature is in the query")
	if c.requests.Add(1)%20 == 0 {
		return c.answer(r, http.StatusTooManyRequests, http.Header{"X-Ms-Retry-After-Ms": {"3"}}, problem("TooManyRequests")), nil
	}
	if r.Body != nil && r.Body != http.NoBody {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		var keys struct{ PartitionKey, RowKey string }
		if json.Unmarshal(body, &keys) == nil {
			assert.LessOrEqual(c.t, max(len(keys.PartitionKey), len(keys.RowKey)), 255)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	r = r.Clone(r.Context())
	r.URL.Scheme, r.URL.Host, r.Host = c.azurite.Scheme, c.azurite.Host, ""
	r.URL.Path = c.azurite.Path + r.URL.Path
	r.URL.RawPath = ""
	if r.Header.Get("X-HTTP-Method") == "MERGE" {
		assert.Equal(c.t, http.MethodPost, r.Method)
		r.Method = http.MethodPatch
		r.Header.Del("X-HTTP-Method")
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	switch {
	case resp.StatusCode == http.StatusPreconditionFailed:
		_ = resp.Body.Close()
		return c.answer(r, resp.StatusCode, nil, problem("PreconditionFailed")), nil
	case resp.StatusCode == http.StatusOK && strings.HasSuffix(r.URL.Path, "()"):
		return shuffled(resp)
	}
	return resp, nil
}

func (c *cosmosLike) answer(r *http.Request, status int, h http.Header, body string) *http.Response {
	if h == nil {
		h = http.Header{}
	}
	h.Set("Content-Type", "application/json")
	return &http.Response{StatusCode: status, Header: h, Request: r, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))}
}

// shuffled turns a page round.
func shuffled(resp *http.Response) (*http.Response, error) {
	defer func() { _ = resp.Body.Close() }()
	var page map[string]json.RawMessage
	var rows []json.RawMessage
	if err := json.NewDecoder(resp.Body).Decode(&page); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(page["value"], &rows); err != nil {
		return nil, err
	}
	slices.Reverse(rows)
	var err error
	if page["value"], err = json.Marshal(rows); err != nil {
		return nil, err
	}
	b, err := json.Marshal(page)
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(b)), int64(len(b))
	resp.Header.Del("Content-Length")
	return resp, err
}

func TestOnWhatLooksLikeCosmosDB(t *testing.T) {
	instance := azurite.Start(t, azurite.Options{})
	endpoint, err := url.Parse(instance.Endpoint)
	require.NoError(t, err)
	c, err := ParseConnectionString("TableEndpoint=https://contoso.table.cosmos.azure.com:443/;SharedAccessSignature=" + sharedAccessSignature(t))
	require.NoError(t, err)
	config := conformance(Options{Connection: c, Transport: &cosmosLike{t: t, azurite: endpoint}})
	config.Unordered = true
	config.Run(t)
}

func TestCosmosDBIsNotAskedForTheMiddleOfAList(t *testing.T) {
	c, err := ParseConnectionString("AccountName=contoso;AccountKey=" + testKey + ";TableEndpoint=https://contoso.table.cosmos.azure.com:443/")
	require.NoError(t, err)
	s := mustOpen(t, Options{Connection: c, Table: "identities", Resource: serverResource, Transport: noCalls{t}})
	for _, err := range s.Mappings(t.Context(), someMapping(t).User.Key()) {
		assert.ErrorIs(t, err, identity.ErrUnordered)
	}
}
