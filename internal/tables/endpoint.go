package tables

import (
	"errors"
	"net/netip"
	"net/url"
	"strings"
)

// checkEndpoint returns raw in the form that requests are built on: lower-case
// host, no slash at the end. Its errors continue the name of the setting and
// hold no part of raw, which may have a signature in it.
func checkEndpoint(raw string) (string, error) {
	if strings.ContainsAny(raw, "?#") {
		return "", errors.New("has a query or a fragment")
	}
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" {
		return "", errors.New("is not an absolute URL")
	}
	if u.User != nil {
		return "", errors.New("has a user name in it")
	}
	switch strings.ToLower(u.Scheme) {
	case "https":
	case "http":
		// Mappings, and with a signature the credential too, would travel in
		// clear text.
		if !isLoopback(u.Hostname()) {
			return "", errors.New("must be https: http is for loopback hosts alone")
		}
	default:
		return "", errors.New("must be https")
	}
	return strings.ToLower(u.Scheme+"://"+u.Host) + strings.TrimRight(u.EscapedPath(), "/"), nil
}

func isLoopback(host string) bool {
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.Unmap().IsLoopback()
	}
	return strings.EqualFold(host, "localhost")
}
