package bolt

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"go.etcd.io/bbolt"

	"acsauth/internal/identity"
)

// claimValue is what the file has for a claim, or that the identity is retired.
type claimValue struct {
	User      string `json:"user,omitempty"` // identity.User.Key
	AcsUserID string `json:"acsUserId,omitempty"`
	Retired   bool   `json:"retired,omitempty"`
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
	data, err := json.Marshal(claimValue{User: user.Key(), AcsUserID: acsUserID})
	if err != nil {
		return fmt.Errorf("claim an identity: %w", err)
	}
	if err := s.Check(ctx, acsUserID, user); !errors.Is(err, identity.ErrUnclaimed) {
		return err
	}
	return s.update(ctx, func(tx *bbolt.Tx) error {
		if err := s.checkClaim(tx, acsUserID, user); !errors.Is(err, identity.ErrUnclaimed) {
			return err
		}
		return put(tx, claimsBucket, s.claimKey(acsUserID), data)
	})
}

// Check implements identity.Claims.
func (s *Store) Check(ctx context.Context, acsUserID string, user identity.User) error {
	return s.view(ctx, func(tx *bbolt.Tx) error { return s.checkClaim(tx, acsUserID, user) })
}

func (s *Store) checkClaim(tx *bbolt.Tx, acsUserID string, user identity.User) error {
	data := tx.Bucket(claimsBucket).Get(s.claimKey(acsUserID))
	if data == nil {
		return identity.ErrUnclaimed
	}
	var v claimValue
	switch err := json.Unmarshal(data, &v); {
	case err != nil, v.User == "" && !v.Retired:
		return fmt.Errorf("a claim in %s can't be read: want user or retired", s.db.Path())
	case v.Retired:
		return identity.ErrRetired
	case v.User != user.Key():
		return identity.ErrClaimed
	}
	return nil
}

// Retire implements identity.Claims.
func (s *Store) Retire(ctx context.Context, acsUserID string) error {
	if acsUserID == "" {
		return errors.New("retire an identity: no ACS user id")
	}
	data, err := json.Marshal(claimValue{Retired: true})
	if err != nil {
		return fmt.Errorf("retire an identity: %w", err)
	}
	return s.update(ctx, func(tx *bbolt.Tx) error { return put(tx, claimsBucket, s.claimKey(acsUserID), data) })
}

func (s *Store) claimKey(acsUserID string) []byte {
	return []byte(s.resource + "|" + identity.ClaimKey(acsUserID))
}
