package graph

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"

	"acsauth/internal/identity"
	"acsauth/internal/secret"
)

// seals are what tells a mapping that this service wrote from one that its user
// did: a MAC over whose identity it is. A seal is good for one user alone.
type seals struct{ keys []secret.String }

func (s seals) wanted() bool { return len(s.keys) > 0 }

func (s seals) seal(user identity.User, e extension) string {
	return encode(mac(s.keys[0], user, e))
}

func (s seals) good(user identity.User, e extension) bool {
	given, err := base64.RawURLEncoding.DecodeString(e.Seal)
	if err != nil {
		return false
	}
	for _, key := range s.keys {
		if hmac.Equal(given, mac(key, user, e)) {
			return true
		}
	}
	return false
}

// mac leaves out createdAt, which Graph might spell in another way. No part can
// hold the byte between them: extension.check sees to that.
func mac(key secret.String, user identity.User, e extension) []byte {
	h := hmac.New(sha256.New, []byte(key.Reveal()))
	for _, part := range []string{"acsauth mapping", user.Key(), e.AcsUserID, e.Resource} {
		_, _ = h.Write([]byte(part))
		_, _ = h.Write([]byte{0})
	}
	return h.Sum(nil)
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
