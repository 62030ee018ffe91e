package entraid

import (
	"crypto/rsa"
	"net/http"
	"slices"

	"acsauth/internal/localcloud/wire"
)

// RollKeys puts a new signing key in use: the one that AnnounceKey has published,
// or else one that nobody has seen before. The key before it stays published, so
// that its tokens still verify; older ones go. Two calls make every earlier token
// worthless.
func (s *Server) RollKeys() error {
	key, err := wire.NewKey(s.now())
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.announced != nil {
		key, s.announced = s.announced, nil
	}
	s.keys = append([]*wire.Key{key}, s.keys[:min(len(s.keys), 1)]...)
	return nil
}

// AnnounceKey publishes the key that the next RollKeys puts in use, as Entra does
// well before a planned rollover.
func (s *Server) AnnounceKey() error {
	key, err := wire.NewKey(s.now())
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.announced = key
	return nil
}

// ReplaceKeys puts a new key in use and publishes no other, as Entra does in an
// emergency: every earlier token is worthless at once.
func (s *Server) ReplaceKeys() error {
	key, err := wire.NewKey(s.now())
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys, s.announced = []*wire.Key{key}, nil
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
	keys := slices.Clone(s.keys)
	if s.announced != nil {
		keys = append(keys, s.announced)
	}
	return keys
}

// keyOf is the key that signs a tenant's tokens.
func (s *Server) keyOf(tenant string) *wire.Key {
	if tenant == consumerTenant {
		return s.consumer()
	}
	return s.published()[0]
}

func (s *Server) consumer() *wire.Key {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.consumerKey == nil {
		key, err := wire.NewKey(s.now())
		if err != nil {
			panic(err) // never fails
		}
		s.consumerKey = key
	}
	return s.consumerKey
}

func (s *Server) keysV1(w http.ResponseWriter, _ *http.Request, authority string) {
	s.writeKeys(w, authority, false)
}

func (s *Server) keysV2(w http.ResponseWriter, _ *http.Request, authority string) {
	s.writeKeys(w, authority, true)
}

// writeKeys answers with the key set. Only the version 2.0 document ties each
// key to an issuer; the key of personal accounts is tied to theirs alone.
func (s *Server) writeKeys(w http.ResponseWriter, authority string, tied bool) {
	set := []map[string]any{}
	add := func(k *wire.Key, issuer string) {
		jwk := k.JWK()
		if tied {
			jwk["issuer"] = issuer
			jwk["cloud_instance_name"] = s.host
		}
		set = append(set, jwk)
	}
	if serves(authority, s.tenants[0].ID) || s.hasTenant(authority) {
		for _, k := range s.published() {
			add(k, s.issuerV2(authority))
		}
	}
	if serves(authority, consumerTenant) {
		add(s.consumer(), s.issuerV2(consumerTenant))
	}
	writeDocument(w, map[string]any{"keys": set})
}
