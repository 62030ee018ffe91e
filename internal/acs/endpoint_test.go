package acs

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParseConnectionString(t *testing.T) {
	const key = "ZW11bGF0b3Itc2VjcmV0LWtleS0wMTIzNDU2Nzg5MDE=" // ends in padding
	const want = "https://contoso.communication.azure.com"
	for _, row := range []struct{ name, in, err string }{
		{"as the portal gives it", "endpoint=https://contoso.communication.azure.com/;accesskey=" + key, ""},
		{"key first", "accesskey=" + key + ";endpoint=https://contoso.communication.azure.com/", ""},
		{"any case and spaces", " EndPoint = https://Contoso.Communication.azure.com ; AccessKey = " + key + " ; ", ""},
		{"a default port", "endpoint=https://contoso.communication.azure.com:443;accesskey=" + key, ""},
		{"an unknown key", "endpoint=https://contoso.communication.azure.com/;accesskey=" + key + ";foo=bar", ""},
		{"empty", "", "no endpoint"},
		{"no endpoint", "accesskey=" + key, "no endpoint"},
		{"no key", "endpoint=https://contoso.communication.azure.com/", "no accesskey"},
		{"a bare key", key[:20], "not of the form"},
		{"two keys", "endpoint=https://a.example;accesskey=" + key + ";accesskey=" + key, "accesskey twice"},
		{"a key that is not base64", "endpoint=https://a.example;accesskey=%%%%secret", "not base64"},
		{"plain http", "endpoint=http://a.example;accesskey=" + key, "https://"},
		{"a path", "endpoint=https://a.example/x;accesskey=" + key, "end after the host"},
		{"a user", "endpoint=https://secret:pass@a.example;accesskey=" + key, "end after the host"},
		{"not a URL", "endpoint=contoso;accesskey=" + key, "not a URL"},
	} {
		t.Run(row.name, func(t *testing.T) {
			endpoint, accessKey, err := ParseConnectionString(row.in)
			if row.err != "" {
				require.ErrorContains(t, err, row.err)
				assert.NotContains(t, err.Error(), key)
				assert.NotContains(t, err.Error(), "secret")
				return
			}
			require.NoError(t, err)
			assert.Equal(t, want, endpoint)
			assert.Equal(t, key, accessKey.Reveal())
		})
	}
}

func FuzzParseConnectionString(f *testing.F) {
	f.Add("endpoint=https://contoso.communication.azure.com/;accesskey=a2V5")
	f.Add("AccessKey=a2V5; Endpoint=http://localhost:1;x")
	f.Fuzz(func(t *testing.T, s string) {
		endpoint, key, err := ParseConnectionString(s)
		if err != nil {
			assert.Less(t, len(err.Error()), 150, "an error quotes its input")
			return
		}
		again, err := ParseEndpoint(endpoint)
		require.NoError(t, err)
		assert.Equal(t, endpoint, again, "not in normal form")
		assert.True(t, strings.HasPrefix(endpoint, "https://") || strings.HasPrefix(endpoint, "http://"))
		_, err = base64.StdEncoding.DecodeString(key.Reveal())
		assert.NoError(t, err)
	})
}

func TestHTTPIsForLoopbackAlone(t *testing.T) {
	for _, ok := range []string{"http://localhost:8787", "http://127.0.0.1:1", "http://[::1]:1/"} {
		_, err := ParseEndpoint(ok)
		assert.NoError(t, err, ok)
	}
	for _, bad := range []string{"http://localhost.evil.example", "http://10.0.0.1", "http://169.254.169.254", "ftp://localhost", "//localhost", ":", "https://"} {
		_, err := ParseEndpoint(bad)
		assert.Error(t, err, bad)
	}
}
