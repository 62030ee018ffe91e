package bolt

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"go.etcd.io/bbolt"

	"acsauth/internal/identity"
)

// claimValue is what the file has for a claim.
type claimValue struct {
	User string `json:"user"` // identity.User.Key
}

// Claim implements identity.Claims. Most claims are there: it reads first, which
// waits for no disk.
func (s *Store) Claim(ctx context.Context, acsUserID string, user identity.User) error {
	if err := user.Check(); err != nil {
		return fmt.Errorf("claim an identity: %w", err)
	}
	if acsUserID == "" {
		return errors.New("claim an identity: no ACS user id")
	}
	data, err := json.Marshal(claimValue{user.Key()})
	if err != nil {
		return fmt.Errorf("claim an identity: %w", err)
	}
	check := func(tx *bbolt.Tx) error { return s.checkClaim(tx, acsUserID, user) }
	if err := s.view(ctx, check); !errors.Is(err, identity.ErrNotFound) {
		return err
	}
	return s.update(ctx, func(tx *bbolt.Tx) error {
		if err := check(tx); !errors.Is(err, identity.ErrNotFound) {
			return err
		}
		return put(tx, claimsBucket, s.claimKey(acsUserID), data)
	})
}

// checkClaim returns ErrNotFound where the identity is nobody's.
func (s *Store) checkClaim(tx *bbolt.Tx, acsUserID string, user identity.User) error {
	data := tx.Bucket(claimsBucket).Get(s.claimKey(acsUserID))
	if data == nil {
		return identity.ErrNotFound
	}
	var v claimValue
	if err := json.Unmarshal(data, &v); err != nil || v.User == "" {
		return fmt.Errorf("a claim in %s can't be read: want user", s.db.Path())
	}
	if v.User != user.Key() {
		return identity.ErrClaimed
	}
	return nil
}

// Release implements identity.Claims.
func (s *Store) Release(ctx context.Context, acsUserID string) error {
	return s.update(ctx, func(tx *bbolt.Tx) error { return remove(tx, claimsBucket, s.claimKey(acsUserID)) })
}

func (s *Store) claimKey(acsUserID string) []byte {
	return []byte(s.resource + "|" + identity.ClaimKey(acsUserID))
}
