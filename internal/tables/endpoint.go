package tables

import (
	"errors"
	"net/url"
	"strings"

	"acsauth/internal/upstream"
)

// ParseEndpoint checks the address of a table service, such as
// https://contoso.table.core.windows.net, and returns it in the form that
// requests are built on: lower-case host, no slash at the end. Its errors
// continue the name of a setting and hold no part of raw, which may have a
// signature in it.
func ParseEndpoint(raw string) (string, error) {
	if strings.ContainsAny(raw, "?#") {
		return "", errors.New("has a query or a fragment")
	}
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" {
		return "", errors.New("is not an absolute URL")
	}
	if u.User != nil || strings.Contains(u.EscapedPath(), "@") {
		return "", errors.New("has a user name in it, or an @ where none belongs")
	}
	switch strings.ToLower(u.Scheme) {
	case "https":
	case "http":
		// Mappings, and with a signature the credential too, would travel in
		// clear text.
		if !upstream.IsLoopback(u.Hostname()) {
			return "", errors.New("must be https: http is for loopback hosts alone")
		}
	default:
		return "", errors.New("must be https")
	}
	return strings.ToLower(u.Scheme+"://"+u.Host) + strings.TrimRight(u.EscapedPath(), "/"), nil
}
