package acs

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"acsauth/internal/secret"
	"acsauth/internal/upstream"
)

// ParseEndpoint checks the address of an ACS resource,
// https://<name>.communication.azure.com, and returns it without a trailing
// slash or a default port. http is for loopback addresses alone.
func ParseEndpoint(s string) (string, error) {
	u, err := url.Parse(strings.TrimSpace(s))
	switch {
	case err != nil || u.Hostname() == "":
		return "", errors.New("endpoint is not a URL like https://<name>.communication.azure.com")
	case u.Scheme != "https" && (u.Scheme != "http" || !upstream.IsLoopback(u.Hostname())):
		return "", errors.New("endpoint must begin with https://")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "":
		return "", errors.New("endpoint must end after the host name")
	}
	host := strings.ToLower(u.Host)
	if u.Scheme == "https" {
		host = strings.TrimSuffix(host, ":443")
	}
	return u.Scheme + "://" + host, nil
}

// ParseConnectionString takes "endpoint=https://<name>.communication.azure.com/;accesskey=<base64>",
// the keys in any order and case. Other keys are passed over. An error never
// holds any of the values.
func ParseConnectionString(s string) (endpoint string, accessKey secret.String, err error) {
	values := map[string]string{}
	for part := range strings.SplitSeq(s, ";") {
		key, value, found := strings.Cut(part, "=")
		key = strings.ToLower(strings.TrimSpace(key))
		if !found {
			if key == "" {
				continue
			}
			return "", secret.String{}, errors.New("connection string is not of the form endpoint=…;accesskey=…")
		}
		if _, twice := values[key]; twice && (key == "endpoint" || key == "accesskey") {
			return "", secret.String{}, fmt.Errorf("connection string has %s twice", key)
		}
		values[key] = strings.TrimSpace(value)
	}
	for _, key := range []string{"endpoint", "accesskey"} {
		if values[key] == "" {
			return "", secret.String{}, fmt.Errorf("connection string has no %s", key)
		}
	}
	if endpoint, err = ParseEndpoint(values["endpoint"]); err != nil {
		return "", secret.String{}, fmt.Errorf("connection string: %w", err)
	}
	if _, err := base64.StdEncoding.DecodeString(values["accesskey"]); err != nil {
		return "", secret.String{}, errors.New("connection string: accesskey is not base64")
	}
	return endpoint, secret.New(values["accesskey"]), nil
}
