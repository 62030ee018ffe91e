package entraid

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
)

// What can be sealed. One kind does not open as another.
const (
	sealedCode    = "code"
	sealedRefresh = "refresh_token"
	sealedSession = "session"
	sealedDevice  = "device_code"
)

// sealedPrefix begins each code and refresh token, as at Entra.
const sealedPrefix = "1."

var errNotSealed = errors.New("not sealed here")

func (s *Server) newSealKey() error {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	return s.useSealKey(key)
}

func (s *Server) useSealKey(key []byte) error {
	block, err := aes.NewCipher(key)
	if err != nil {
		return err
	}
	sealer, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sealKey, s.sealer = key, sealer
	return nil
}

func (s *Server) sealing() cipher.AEAD {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sealer
}

// seal turns v into a text that only this server can read or make.
func (s *Server) seal(kind string, v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // only values of this package get here
	}
	return sealedPrefix + base64.RawURLEncoding.EncodeToString(s.sealing().Seal(nil, nil, text, []byte(kind)))
}

// unseal reads a text that seal made into v.
func (s *Server) unseal(kind, sealed string, v any) error {
	text, ok := strings.CutPrefix(sealed, sealedPrefix)
	if !ok {
		return errNotSealed
	}
	box, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return errNotSealed
	}
	plain, err := s.sealing().Open(nil, nil, box, []byte(kind))
	if err != nil {
		return errNotSealed
	}
	return json.Unmarshal(plain, v)
}
