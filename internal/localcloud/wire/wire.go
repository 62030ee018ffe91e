// Package wire holds what the stand-ins of the local cloud have in common:
// signed tokens, fault hooks, request counters, notes on requests, CORS, and
// small writers.
//
// For development only, not for production: keys are made at each start and
// kept in memory, and nothing here has been hardened against attackers.
package wire

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// NewGUID returns a random GUID in lower case.
func NewGUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// WriteJSON answers with v. contentType is the caller's, because the services
// differ in it.
func WriteJSON(w http.ResponseWriter, status int, contentType string, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err) // only values of this program get here
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client has gone; nobody is left to tell
}

// CORS lets pages of any origin read the answer, and answers a preflight
// request: then it returns true and there is nothing left to do. methods is a
// list such as "GET, OPTIONS". Credentials are not allowed: what takes cookies is
// not open to scripts.
func CORS(w http.ResponseWriter, r *http.Request, methods string) (preflight bool) {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Expose-Headers", "WWW-Authenticate, Retry-After, x-ms-request-id, client-request-id")
	if r.Method != http.MethodOptions {
		return false
	}
	h.Set("Access-Control-Allow-Methods", methods)
	if wanted := strings.Join(r.Header.Values("Access-Control-Request-Headers"), ", "); wanted != "" {
		h.Set("Access-Control-Allow-Headers", wanted)
	}
	h.Set("Access-Control-Max-Age", "600")
	h.Add("Vary", "Access-Control-Request-Headers")
	w.WriteHeader(http.StatusNoContent)
	return true
}
