package trace

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	traceID = "4bf92f3577b34da6a3ce929d0e0e4736"
	spanID  = "00f067aa0ba902b7"
)

func TestAValidTraceIsContinuedAndABadOneReplaced(t *testing.T) {
	for _, row := range []struct {
		name      string
		values    []string
		continued bool
	}{
		{"none", nil, false},
		{"valid", []string{"00-" + traceID + "-" + spanID + "-01"}, true},
		{"a later version with more", []string{"01-" + traceID + "-" + spanID + "-01-more"}, true},
		{"version 00 with more", []string{"00-" + traceID + "-" + spanID + "-01-more"}, false},
		{"a later version", []string{"01-" + traceID + "-" + spanID + "-01"}, true},
		{"a later version that goes on at once", []string{"01-" + traceID + "-" + spanID + "-01more"}, false},
		{"a hyphen within", []string{"00-" + traceID + "-" + spanID[:7] + "-" + spanID[8:] + "-01"}, false},
		{"cut short", []string{"00-" + traceID + "-" + spanID + "-0"}, false},
		{"version ff", []string{"ff-" + traceID + "-" + spanID + "-01"}, false},
		{"upper case", []string{"00-4BF92F3577B34DA6A3CE929D0E0E4736-" + spanID + "-01"}, false},
		{"all zero trace", []string{"00-" + noTrace + "-" + spanID + "-01"}, false},
		{"all zero span", []string{"00-" + traceID + "-" + noSpan + "-01"}, false},
		{"two headers", []string{"00-" + traceID + "-" + spanID + "-01", "00-" + traceID + "-" + spanID + "-01"}, false},
		{"garbage", []string{"\r\nx"}, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/", nil)
			r.Header["Traceparent"] = row.values
			c := FromRequest(r)
			assert.Equal(t, row.continued, c.TraceID == traceID)
			assert.Regexp(t, `^[0-9a-f]{32}$`, c.TraceID)
			assert.Regexp(t, `^[0-9a-f]{16}$`, c.spanID)
			assert.NotEqual(t, spanID, c.spanID)
		})
	}
}

func TestTransportHandsTheTraceOn(t *testing.T) {
	var got http.Header
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Header }))
	defer srv.Close()
	client := &http.Client{Transport: Transport{http.DefaultTransport}}

	in := httptest.NewRequest("GET", "/", nil)
	in.Header.Set("Traceparent", "00-"+traceID+"-"+spanID+"-01")
	in.Header.Set("Tracestate", "a=b")
	c := FromRequest(in)
	out, err := http.NewRequestWithContext(With(t.Context(), c), "GET", srv.URL, nil)
	require.NoError(t, err)
	_, err = client.Do(out)
	require.NoError(t, err)
	assert.Equal(t, "00-"+traceID+"-"+c.spanID+"-01", got.Get("Traceparent"))
	assert.Empty(t, got.Get("Tracestate"))
	assert.Empty(t, out.Header, "the caller's request was changed")

	_, err = client.Get(srv.URL)
	require.NoError(t, err)
	assert.Empty(t, got.Get("Traceparent"))
}
