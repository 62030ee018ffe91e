package tables

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"acsauth/internal/identity"
)

// oneRow is a table service without a network, where every user has a mapping.
type oneRow struct{}

func (oneRow) Do(r *http.Request) (*http.Response, error) {
	const row = `{"PartitionKey":"p","RowKey":"` + serverResource + `","AcsUserId":"8:acs:one_two","CreatedAt":"2026-11-22T12:00:00Z","Schema":1}`
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}, "Etag": {`W/"1"`}},
		Body: io.NopCloser(strings.NewReader(row)), ContentLength: int64(len(row)), Request: r,
	}, nil
}

// BenchmarkGet is all that a point read takes but the network.
func BenchmarkGet(b *testing.B) {
	c, err := ParseConnectionString("TableEndpoint=https://contoso.table.core.windows.net;AccountName=contoso;AccountKey=c2VjcmV0LWtleQ==")
	require.NoError(b, err)
	s, err := Open(Options{Connection: c, Table: "identities", Resource: serverResource, Transport: oneRow{}})
	require.NoError(b, err)
	user := identity.User{TenantID: "11111111-1111-4111-8111-111111111111", ObjectID: "22222222-2222-4222-8222-222222222222"}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Get(b.Context(), user); err != nil {
			b.Fatal(err)
		}
	}
}
