package entra

import (
	"net/http"
	"strings"

	"acsauth/internal/identity"
)

// bearerToken takes the access token out of a request (RFC 6750 §2.1). Only the
// Authorization header counts: not the query, a form or a cookie.
func bearerToken(r *http.Request) (string, error) {
	values := r.Header["Authorization"] // Header.Get would take the first of two
	if len(values) == 0 {
		return "", noCredentials()
	}
	if len(values) > 1 {
		return "", mangled("Send one Authorization header.")
	}
	token, isBearer := cutBearer(values[0])
	switch {
	case !isBearer:
		return "", noCredentials()
	case inQuery(r):
		return "", mangled("Send the access token in the Authorization header alone.")
	case token == "[object Object]":
		return "", invalid("The client sent a placeholder in place of an access token.")
	case token == "" || strings.ContainsFunc(token, isNotToken68):
		return "", mangled("The Authorization header must be the word Bearer followed by one access token.")
	}
	return token, nil
}

// inQuery reports a token in the query, where it must never be (RFC 9700 §4.3.2).
func inQuery(r *http.Request) bool {
	if r.URL.RawQuery == "" {
		return false
	}
	for name := range r.URL.Query() {
		if strings.EqualFold(name, "access_token") {
			return true
		}
	}
	return false
}

// cutBearer returns what follows the scheme and its spaces.
func cutBearer(value string) (string, bool) {
	const scheme = "bearer"
	if len(value) < len(scheme) || !strings.EqualFold(value[:len(scheme)], scheme) {
		return "", false
	}
	rest := value[len(scheme):]
	if rest != "" && !isNotToken68(rune(rest[0])) {
		return "", false // another scheme, whose name begins alike
	}
	token := strings.TrimLeft(rest, " ")
	if token == rest {
		return "", true
	}
	return token, true
}

// isNotToken68 is the complement of what RFC 9110 §11.2 allows in credentials.
func isNotToken68(r rune) bool {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
		return false
	}
	return !strings.ContainsRune("-._~+/=", r)
}

func noCredentials() error {
	return invalid("Send an access token in the Authorization header.").Because(identity.ErrNoCredentials)
}

func mangled(detail string) error {
	return &identity.Error{Code: identity.CodeInvalidRequest, Detail: detail, Err: identity.ErrBadCredentials}
}
