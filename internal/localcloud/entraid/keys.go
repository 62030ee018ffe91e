package entraid

import (
	"crypto/rsa"
	"net/http"
	"slices"

	"acsauth/internal/localcloud/wire"
)

// RollKeys puts a new signing key in use. The one before it stays published, so
// that its tokens still verify; older ones go. Two calls make every earlier
// token worthless.
func (s *Server) RollKeys() error {
	key, err := wire.NewKey(s.now())
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys = append([]*wire.Key{key}, s.keys[:min(len(s.keys), 1)]...)
	return nil
}

// Keys returns the published keys by key id.
func (s *Server) Keys() map[string]*rsa.PublicKey {
	keys := map[string]*rsa.PublicKey{}
	for _, k := range s.published() {
		keys[k.ID] = k.Public()
	}
	return keys
}

// PublicKey returns the public half of the key in use.
func (s *Server) PublicKey() *rsa.PublicKey { return s.published()[0].Public() }

// KeyID returns the id of the key in use.
func (s *Server) KeyID() string { return s.published()[0].ID }

// Sign returns any JWT at all, signed with the key in use: header members alg,
// typ and kid are filled in only where absent, and left out where nil. The
// signature is RS256 whatever the header says. It panics on a value that JSON
// can't hold.
func (s *Server) Sign(header, claims map[string]any) string {
	return s.published()[0].Sign(header, claims)
}

func (s *Server) published() []*wire.Key {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.keys)
}

func (s *Server) keysV1(w http.ResponseWriter, _ *http.Request, _ string) {
	s.writeKeys(w, "")
}

func (s *Server) keysV2(w http.ResponseWriter, _ *http.Request, tenant string) {
	s.writeKeys(w, s.issuerV2(tenant))
}

// writeKeys answers with the key set. Only the version 2.0 document ties each
// key to an issuer.
func (s *Server) writeKeys(w http.ResponseWriter, issuer string) {
	set := []map[string]any{}
	for _, k := range s.published() {
		jwk := k.JWK()
		if issuer != "" {
			jwk["issuer"] = issuer
		}
		set = append(set, jwk)
	}
	writeDocument(w, map[string]any{"keys": set})
}
