package page

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
)

// maxObserved is more than any answer of the service that names an identity.
const maxObserved = 64 << 10

// Observe watches which user the service says has which identity: the file that
// it keeps them in is open in another process and can't be read.
func (p *Page) Observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who := bearerOf(r)
		if who == "" {
			next.ServeHTTP(w, r)
			return
		}
		watched := &bodyWriter{ResponseWriter: w}
		next.ServeHTTP(watched, r)
		var answer struct {
			User struct {
				CommunicationUserID string `json:"communicationUserId"`
			} `json:"user"`
		}
		if json.Unmarshal(watched.body.Bytes(), &answer) != nil || answer.User.CommunicationUserID == "" {
			return
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.owners[answer.User.CommunicationUserID] = who
	})
}

// bearerOf is the user that a bearer token names, as userID has them. The
// service has yet to check the token: only what it answers counts.
func bearerOf(r *http.Request) string {
	_, raw, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		return ""
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	var claims struct{ TID, OID string }
	if err != nil || json.Unmarshal(text, &claims) != nil {
		return ""
	}
	return claims.TID + "." + claims.OID
}

// bodyWriter keeps the beginning of what it passes on.
type bodyWriter struct {
	http.ResponseWriter
	body bytes.Buffer
}

func (w *bodyWriter) Write(b []byte) (int, error) {
	w.body.Write(b[:min(len(b), maxObserved-w.body.Len())])
	return w.ResponseWriter.Write(b)
}

// Unwrap is what http.ResponseController looks for.
func (w *bodyWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
