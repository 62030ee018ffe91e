package tables

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"acsauth/internal/identity"
)

// claimsKey is the partition of all claims. It is no user's key.
const claimsKey = "claims"

type claimRow struct {
	PartitionKey string
	RowKey       string
	User         string // identity.User.Key
	Schema       int32
}

// Claim implements identity.Claims. Most claims are there: it reads first.
func (s *Store) Claim(ctx context.Context, acsUserID string, user identity.User) error {
	if err := user.Check(); err != nil {
		return fmt.Errorf("claim an identity: %w", err)
	}
	key, err := s.claimKey(acsUserID)
	if err != nil {
		return fmt.Errorf("claim an identity: %w", err)
	}
	err = s.checkClaim(ctx, key, user)
	if !errors.Is(err, identity.ErrNotFound) {
		return err
	}
	row, err := json.Marshal(claimRow{claimsKey, key, user.Key(), schema})
	if err != nil {
		return fmt.Errorf("claim an identity: %w", err)
	}
	err = s.inTable(ctx, "claim an identity", func() error {
		_, err := s.table.AddEntity(ctx, row, nil)
		return err
	})
	if !errors.Is(err, identity.ErrExists) {
		return err
	}
	// Another call's, or this one's own, whose answer was lost.
	if err = s.checkClaim(ctx, key, user); errors.Is(err, identity.ErrNotFound) {
		return unavailable(errors.New("claim an identity: the claim that was there has gone"))
	}
	return err
}

// checkClaim returns ErrNotFound where the identity is nobody's.
func (s *Store) checkClaim(ctx context.Context, key string, user identity.User) error {
	resp, err := s.table.GetEntity(ctx, claimsKey, key, nil)
	if err != nil {
		return s.fail(ctx, "read a claim", err)
	}
	var row claimRow
	if err := json.Unmarshal(resp.Value, &row); err != nil {
		return errors.New("a claim can't be read: a property has the wrong type")
	}
	if row.User == "" || row.Schema < 1 || row.Schema > schema {
		return fmt.Errorf("a claim can't be read: want User and Schema %d, got Schema %d", schema, row.Schema)
	}
	if row.User != user.Key() {
		return identity.ErrClaimed
	}
	return nil
}

// Release implements identity.Claims.
func (s *Store) Release(ctx context.Context, acsUserID string) error {
	key, err := s.claimKey(acsUserID)
	if err != nil {
		return fmt.Errorf("release an identity: %w", err)
	}
	_, err = s.table.DeleteEntity(ctx, claimsKey, key, nil)
	if err != nil && !isMissing(err) {
		return s.fail(ctx, "release an identity", err)
	}
	return nil
}

func (s *Store) claimKey(acsUserID string) (string, error) {
	return s.rowKey("", identity.ClaimKey(acsUserID))
}
