package tables

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"acsauth/internal/secret"
)

// Connection says where a table service is and what opens it: a shared key or a
// shared access signature, one of the two.
type Connection struct {
	Endpoint    string        // absolute, without a query or a trailing slash: https://contoso.table.core.windows.net
	AccountName string        // empty where a signature stands beside an endpoint of its own
	AccountKey  secret.String // base64
	SAS         secret.String // without the leading question mark
}

// What Azurite listens on. The key is printed in its documentation and protects
// nothing: https://learn.microsoft.com/azure/storage/common/storage-connect-azurite
const (
	developmentEndpoint = "http://127.0.0.1:10002/devstoreaccount1"
	developmentAccount  = "devstoreaccount1"
	developmentKey      = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)

const publicSuffix = "core.windows.net"

// connectionKeys are the keys that mean something here. A connection string of
// a whole storage account has others, such as BlobEndpoint.
var connectionKeys = []string{
	"UseDevelopmentStorage", "DevelopmentStorageProxyUri",
	"DefaultEndpointsProtocol", "EndpointSuffix", "TableEndpoint",
	"AccountName", "AccountKey", "SharedAccessSignature",
}

var (
	accountName    = regexp.MustCompile(`^[a-z0-9][a-z0-9-]+$`)
	endpointSuffix = regexp.MustCompile(`^[A-Za-z0-9.-]+$`)
)

// ParseConnectionString reads a connection string of Azure Storage or Azure
// Cosmos DB for Table, as the portal shows it:
//
//	UseDevelopmentStorage=true
//	DefaultEndpointsProtocol=https;AccountName=…;AccountKey=…;EndpointSuffix=core.windows.net
//	AccountName=…;AccountKey=…;TableEndpoint=https://…
//	TableEndpoint=https://…;SharedAccessSignature=sv=…&sig=…
//
// Keys may come in any order and case, with space around them; unknown ones are
// ignored. Plain http is taken for loopback hosts alone. An error names what is
// wrong or missing and holds no part of s.
func ParseConnectionString(s string) (Connection, error) {
	c, err := parseConnection(s)
	if err != nil {
		return Connection{}, fmt.Errorf("connection string: %w", err)
	}
	return c, nil
}

func parseConnection(s string) (Connection, error) {
	values, err := splitConnection(s)
	if err != nil {
		return Connection{}, err
	}
	if _, ok := values["DevelopmentStorageProxyUri"]; ok {
		return Connection{}, errors.New("DevelopmentStorageProxyUri is not supported: give the emulator's TableEndpoint instead")
	}
	if development, ok := values["UseDevelopmentStorage"]; ok {
		if !strings.EqualFold(development, "true") {
			return Connection{}, errors.New("UseDevelopmentStorage can only be true")
		}
		if len(values) > 1 {
			return Connection{}, errors.New("UseDevelopmentStorage=true stands alone")
		}
		return Connection{developmentEndpoint, developmentAccount, secret.New(developmentKey), secret.String{}}, nil
	}
	c := Connection{AccountName: values["AccountName"]}
	if n := len(c.AccountName); n > 0 && (n < 3 || n > 63 || !accountName.MatchString(c.AccountName)) {
		return Connection{}, errors.New("AccountName is not 3 to 63 lower-case letters, digits and hyphens")
	}
	if c.AccountKey, c.SAS, err = credentials(values); err != nil {
		return Connection{}, err
	}
	if c.Endpoint, err = connectionEndpoint(values); err != nil {
		return Connection{}, err
	}
	return c, nil
}

// splitConnection returns the values by the canonical spelling of their key,
// without the empty ones.
func splitConnection(s string) (map[string]string, error) {
	values := make(map[string]string)
	for part := range strings.SplitSeq(s, ";") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		// A key's base64 ends in =, so only the first one divides.
		key, value, ok := strings.Cut(part, "=")
		if !ok {
			return nil, errors.New("a part between semicolons has no =")
		}
		i := slices.IndexFunc(connectionKeys, func(known string) bool {
			return strings.EqualFold(known, strings.TrimSpace(key))
		})
		if value = strings.TrimSpace(value); i < 0 || value == "" {
			continue
		}
		if _, ok := values[connectionKeys[i]]; ok {
			return nil, fmt.Errorf("%s appears twice", connectionKeys[i])
		}
		values[connectionKeys[i]] = value
	}
	return values, nil
}

func credentials(values map[string]string) (key, sas secret.String, err error) {
	accountKey, hasKey := values["AccountKey"]
	signature, hasSAS := values["SharedAccessSignature"]
	switch {
	case hasKey && hasSAS:
		return key, sas, errors.New("AccountKey and SharedAccessSignature exclude each other")
	case hasKey:
		if values["AccountName"] == "" {
			return key, sas, errors.New("AccountName is missing")
		}
		if _, err := base64.StdEncoding.DecodeString(accountKey); err != nil {
			return key, sas, errors.New("AccountKey is not base64")
		}
		return secret.New(accountKey), sas, nil
	case hasSAS:
		signature = strings.TrimPrefix(signature, "?")
		query, err := url.ParseQuery(signature)
		if err != nil || query.Get("sig") == "" {
			return key, sas, errors.New("SharedAccessSignature is not a query with a sig in it")
		}
		return key, secret.New(signature), nil
	}
	return key, sas, errors.New("AccountKey or SharedAccessSignature is missing")
}

func connectionEndpoint(values map[string]string) (string, error) {
	if endpoint, ok := values["TableEndpoint"]; ok {
		endpoint, err := ParseEndpoint(endpoint)
		if err != nil {
			return "", fmt.Errorf("TableEndpoint %w", err)
		}
		return endpoint, nil
	}
	if values["AccountName"] == "" {
		return "", errors.New("TableEndpoint or AccountName is missing")
	}
	protocol, suffix := "https", publicSuffix
	if v, ok := values["DefaultEndpointsProtocol"]; ok {
		protocol = v
	}
	if v, ok := values["EndpointSuffix"]; ok {
		suffix = v
	}
	if !endpointSuffix.MatchString(suffix) {
		return "", errors.New("EndpointSuffix is not a domain name")
	}
	endpoint, err := ParseEndpoint(protocol + "://" + values["AccountName"] + ".table." + suffix)
	if err != nil {
		return "", fmt.Errorf("DefaultEndpointsProtocol with EndpointSuffix gives an address that %w", err)
	}
	return endpoint, nil
}
