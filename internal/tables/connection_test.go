package tables

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"acsauth/internal/upstream"
)

const (
	testKey = "c2VjcmV0LWFjY291bnQta2V5LXRoYXQtbm9ib2R5LXNlZXM="
	testSAS = "sv=2024-11-04&ss=t&srt=sco&sp=rwdlacu&sig=c2VjcmV0LXNpZ25hdHVyZQ%3D%3D"
)

func TestConnectionStrings(t *testing.T) {
	for _, c := range []struct{ name, in, endpoint, account, key, sas string }{
		{"Azurite's short form", "UseDevelopmentStorage=true",
			"http://127.0.0.1:10002/devstoreaccount1", "devstoreaccount1", developmentKey, ""},
		{"Azurite's short form in another case", " usedevelopmentstorage = TRUE ; ",
			"http://127.0.0.1:10002/devstoreaccount1", "devstoreaccount1", developmentKey, ""},
		{"Azurite's long form", "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey=" + developmentKey +
			";BlobEndpoint=http://127.0.0.1:10000/devstoreaccount1;TableEndpoint=http://127.0.0.1:10002/devstoreaccount1;",
			"http://127.0.0.1:10002/devstoreaccount1", "devstoreaccount1", developmentKey, ""},
		{"a storage account", "DefaultEndpointsProtocol=https;AccountName=contoso;AccountKey=" + testKey + ";EndpointSuffix=core.windows.net",
			"https://contoso.table.core.windows.net", "contoso", testKey, ""},
		{"a sovereign cloud", "AccountName=contoso;AccountKey=" + testKey + ";EndpointSuffix=core.usgovcloudapi.net",
			"https://contoso.table.core.usgovcloudapi.net", "contoso", testKey, ""},
		{"a name and a key alone", "AccountName=contoso;AccountKey=" + testKey,
			"https://contoso.table.core.windows.net", "contoso", testKey, ""},
		{"any order, case and space", "\n accountkey = " + testKey + " ;; ENDPOINTSUFFIX= core.windows.net;  accountName =contoso ;",
			"https://contoso.table.core.windows.net", "contoso", testKey, ""},
		{"an endpoint goes before a suffix", "AccountName=contoso;AccountKey=" + testKey + ";EndpointSuffix=other.example;TableEndpoint=https://Tables.Contoso.example/",
			"https://tables.contoso.example", "contoso", testKey, ""},
		{"Cosmos DB", "DefaultEndpointsProtocol=https;AccountName=contoso-db;AccountKey=" + testKey + ";TableEndpoint=https://contoso-db.table.cosmos.azure.com:443/;",
			"https://contoso-db.table.cosmos.azure.com:443", "contoso-db", testKey, ""},
		{"a signature as the portal gives it", "BlobEndpoint=https://contoso.blob.core.windows.net/;TableEndpoint=https://contoso.table.core.windows.net/;SharedAccessSignature=" + testSAS,
			"https://contoso.table.core.windows.net", "", "", testSAS},
		{"a signature with an account name", "AccountName=contoso;SharedAccessSignature=?" + testSAS,
			"https://contoso.table.core.windows.net", "contoso", "", testSAS},
		{"a signature with both keeps its endpoint", "AccountName=contoso;TableEndpoint=https://tables.example;SharedAccessSignature=" + testSAS,
			"https://tables.example", "contoso", "", testSAS},
		{"http on loopback by IPv6", "AccountName=contoso;AccountKey=" + testKey + ";TableEndpoint=http://[::1]:10002/contoso",
			"http://[::1]:10002/contoso", "contoso", testKey, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := ParseConnectionString(c.in)
			require.NoError(t, err)
			assert.Equal(t, c.endpoint, got.Endpoint)
			assert.Equal(t, c.account, got.AccountName)
			assert.Equal(t, c.key, got.AccountKey.Reveal())
			assert.Equal(t, c.sas, got.SAS.Reveal())
			assertHides(t, fmt.Sprintf("%v %+v %#v", got, got, got))
			_, err = Open(Options{Connection: got, Table: "identities", Resource: "contoso.example", Transport: http.DefaultClient})
			assert.NoError(t, err, "what is read can be opened")
		})
	}
}

func TestFaultyConnectionStrings(t *testing.T) {
	withKey := "AccountName=contoso;AccountKey=" + testKey
	for _, c := range []struct{ name, in, wantErr string }{
		{"nothing", "", "AccountKey or SharedAccessSignature is missing"},
		{"semicolons alone", " ;; ", "AccountKey or SharedAccessSignature is missing"},
		{"a bare key", testKey[:20], "a part between semicolons has no ="},
		{"no account name", "AccountKey=" + testKey, "AccountName is missing"},
		{"no key", "AccountName=contoso", "AccountKey or SharedAccessSignature is missing"},
		{"an empty key", "AccountName=contoso;AccountKey=", "AccountKey or SharedAccessSignature is missing"},
		{"an endpoint alone", "TableEndpoint=https://contoso.example", "AccountKey or SharedAccessSignature is missing"},
		{"a signature alone", "SharedAccessSignature=" + testSAS, "TableEndpoint or AccountName is missing"},
		{"key and signature", withKey + ";SharedAccessSignature=" + testSAS, "exclude each other"},
		{"a key twice", withKey + ";accountkey=" + testKey, "AccountKey appears twice"},
		{"a key that is cut short", withKey[:len(withKey)-2], "AccountKey is not base64"},
		{"a key in the signature's place", "AccountName=contoso;SharedAccessSignature=" + testKey, "not a query with a sig"},
		{"a signature that no query can be", "AccountName=contoso;SharedAccessSignature=sig=%zz" + testKey, "not a query with a sig"},
		{"an account name with a host in it", "AccountName=evil.example/;AccountKey=" + testKey, "AccountName is not 3 to 63"},
		{"a suffix with a path in it", withKey + ";EndpointSuffix=evil.example/" + testKey, "EndpointSuffix is not a domain name"},
		{"http for the whole account", withKey + ";DefaultEndpointsProtocol=http", "must be https"},
		{"http to another host", withKey + ";TableEndpoint=http://azurite:10002/contoso", "TableEndpoint must be https: http is for loopback hosts alone"},
		{"http to a host that begins like loopback", withKey + ";TableEndpoint=http://127.0.0.1.evil.example", "must be https"},
		{"http to localhost's namesake", withKey + ";TableEndpoint=http://localhost.evil.example", "must be https"},
		{"another scheme", withKey + ";TableEndpoint=ftp://127.0.0.1/contoso", "TableEndpoint must be https"},
		{"an endpoint without a scheme", withKey + ";TableEndpoint=contoso.example", "TableEndpoint is not an absolute URL"},
		{"an endpoint without a host", withKey + ";TableEndpoint=https://:443/", "TableEndpoint is not an absolute URL"},
		{"an endpoint with a signature", withKey + ";TableEndpoint=https://contoso.example/?" + testSAS, "TableEndpoint has a query"},
		{"an endpoint with a password", withKey + ";TableEndpoint=https://a:" + testKey[:8] + "@contoso.example", "TableEndpoint has a user name"},
		{"an endpoint that is no URL", withKey + ";TableEndpoint=https://[" + testKey[:8], "TableEndpoint is not an absolute URL"},
		{"development storage by proxy", "UseDevelopmentStorage=true;DevelopmentStorageProxyUri=http://azurite", "DevelopmentStorageProxyUri is not supported"},
		{"development storage that is not", "UseDevelopmentStorage=false", "can only be true"},
		{"development storage and more", "UseDevelopmentStorage=true;" + withKey, "stands alone"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := ParseConnectionString(c.in)
			require.ErrorContains(t, err, c.wantErr)
			assert.Zero(t, got)
			assertHides(t, err.Error())
		})
	}
}

// assertHides holds that text has nothing of the secrets.
func assertHides(t *testing.T, text string, more ...string) {
	t.Helper()
	for _, s := range append(more, testKey, testKey[:8], developmentKey, testSAS, "c2VjcmV0LXNpZ25hdHVyZQ", "sig=") {
		assert.NotContains(t, text, s)
	}
}

// Whatever is around them, secrets don't get into an error, and what is accepted
// can be used.
func FuzzParseConnectionString(f *testing.F) {
	f.Add("UseDevelopmentStorage=true", "", []byte("seed"))
	f.Add("AccountName=contoso;", ";EndpointSuffix=core.windows.net", []byte("seed"))
	f.Add("TableEndpoint=https://contoso.example/;", ";BlobEndpoint=x", []byte{})
	f.Add("AccountName=contoso;TableEndpoint=http://127.0.0.1:10002/a;", "=", []byte{0})
	f.Add("TableEndpoint=https://contoso.example/?", "", []byte{1})
	f.Add("TABleEndpoint=https://0/@;", "0", []byte{})
	f.Fuzz(func(t *testing.T, before, after string, seed []byte) {
		sum := sha256.Sum256(seed)
		key, sig := base64.StdEncoding.EncodeToString(sum[:]), hex.EncodeToString(sum[:])
		for _, s := range []string{
			before + after,
			before + key + after,
			before + "AccountKey=" + key + after,
			before + "AccountName=contoso;AccountKey=" + key + after,
			before + "SharedAccessSignature=sv=1&sig=" + sig + after,
		} {
			c, err := ParseConnectionString(s)
			if err != nil {
				assert.NotContains(t, err.Error(), key)
				assert.NotContains(t, err.Error(), sig)
				assert.NotContains(t, err.Error(), sig[:8])
				continue
			}
			u, err := url.Parse(c.Endpoint)
			require.NoError(t, err)
			assert.NotEmpty(t, u.Hostname())
			assert.True(t, u.Scheme == "https" || u.Scheme == "http" && upstream.IsLoopback(u.Hostname()), "endpoint %q", c.Endpoint)
			assert.False(t, strings.ContainsAny(c.Endpoint, "?#@") || strings.HasSuffix(c.Endpoint, "/"), "endpoint %q", c.Endpoint)
			assert.NotEqual(t, c.AccountKey.Empty(), c.SAS.Empty(), "a key or a signature")
			if !strings.Contains(before, key) {
				assert.NotContains(t, fmt.Sprintf("%+v %#v", c.AccountKey, c.SAS), key)
			}
			_, err = Open(Options{Connection: c, Table: "identities", Resource: "contoso.example", Transport: http.DefaultClient})
			assert.NoError(t, err)
		}
	})
}
