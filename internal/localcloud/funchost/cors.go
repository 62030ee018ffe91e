package funchost

import (
	"errors"
	"net/http"
	"slices"
	"strings"
)

// CORS is the platform's own: the handler never sees a preflight and every
// method and header is allowed.
type CORS struct {
	// AllowedOrigins may be "*" alone. Empty turns CORS off.
	AllowedOrigins []string

	// SupportCredentials allows cookies and authentication by the browser. The
	// platform refuses it together with "*".
	SupportCredentials bool
}

func (c CORS) enabled() bool { return len(c.AllowedOrigins) > 0 }

func (c CORS) any() bool { return slices.Contains(c.AllowedOrigins, "*") }

func (c CORS) check() error {
	if c.any() && c.SupportCredentials {
		return errors.New("CORS: credentials can't be combined with the origin *")
	}
	return nil
}

// Handle sets the response headers and answers a preflight. It reports whether
// that was it.
func (c CORS) Handle(w http.ResponseWriter, r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return false
	}
	method := r.Header.Get("Access-Control-Request-Method")
	preflight := r.Method == http.MethodOptions && method != ""

	header := w.Header()
	allowed := c.any() || slices.ContainsFunc(c.AllowedOrigins, func(o string) bool { return strings.EqualFold(o, origin) })
	if allowed {
		if c.any() {
			origin = "*"
		} else {
			header.Add("Vary", "Origin")
		}
		header.Set("Access-Control-Allow-Origin", origin)
		if c.SupportCredentials {
			header.Set("Access-Control-Allow-Credentials", "true")
		}
		if preflight {
			header.Set("Access-Control-Allow-Methods", method)
			if names := r.Header.Get("Access-Control-Request-Headers"); names != "" {
				header.Set("Access-Control-Allow-Headers", names)
			}
		}
	}
	if preflight { // of a foreign origin too, but then it allows nothing
		w.WriteHeader(http.StatusNoContent)
	}
	return preflight
}
