package tables

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"

	"acsauth/internal/identity"
)

// claimsKey is the partition of all claims. It is no user's key.
const claimsKey = "claims"

// claimRow is a claim, or says that the identity is retired.
type claimRow struct {
	PartitionKey string
	RowKey       string
	User         string `json:",omitempty"` // identity.User.Key
	AcsUserID    string `json:"AcsUserId,omitempty"`
	Retired      bool   `json:",omitempty"`
	Schema       int32
}

// Claim implements identity.Claims. Most claims are there: it reads first.
func (s *Store) Claim(ctx context.Context, acsUserID string, user identity.User) error {
	if err := user.Check(); err != nil {
		return fmt.Errorf("claim an identity: %w", err)
	}
	if acsUserID == "" {
		return errors.New("claim an identity: no ACS user id")
	}
	if err := s.Check(ctx, acsUserID, user); !errors.Is(err, identity.ErrUnclaimed) {
		return err
	}
	row, err := json.Marshal(claimRow{PartitionKey: claimsKey, RowKey: s.claimKey(acsUserID), User: user.Key(), AcsUserID: acsUserID, Schema: schema})
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
	if err = s.Check(ctx, acsUserID, user); errors.Is(err, identity.ErrUnclaimed) {
		return unavailable(errors.New("claim an identity: the claim that was there has gone"))
	}
	return err
}

// Check implements identity.Claims.
func (s *Store) Check(ctx context.Context, acsUserID string, user identity.User) error {
	resp, err := s.table.GetEntity(ctx, claimsKey, s.claimKey(acsUserID), nil)
	if isMissing(err) {
		return identity.ErrUnclaimed
	} else if err != nil {
		return s.fail(ctx, "read a claim", err)
	}
	var row claimRow
	if err := json.Unmarshal(resp.Value, &row); err != nil {
		return errors.New("a claim can't be read: a property has the wrong type")
	}
	switch {
	case row.User == "" && !row.Retired, row.Schema < 1, row.Schema > schema:
		return fmt.Errorf("a claim can't be read: want User or Retired, and Schema %d, got Schema %d", schema, row.Schema)
	case row.Retired:
		return identity.ErrRetired
	case row.User != user.Key():
		return identity.ErrClaimed
	}
	return nil
}

// Retire implements identity.Claims.
func (s *Store) Retire(ctx context.Context, acsUserID string) error {
	if acsUserID == "" {
		return errors.New("retire an identity: no ACS user id")
	}
	row, err := json.Marshal(claimRow{PartitionKey: claimsKey, RowKey: s.claimKey(acsUserID), Retired: true, Schema: schema})
	if err != nil {
		return fmt.Errorf("retire an identity: %w", err)
	}
	return s.inTable(ctx, "retire an identity", func() error {
		_, err := s.table.UpsertEntity(ctx, row, &aztables.UpsertEntityOptions{UpdateMode: aztables.UpdateModeReplace})
		return err
	})
}

func (s *Store) claimKey(acsUserID string) string {
	return s.resource + "|" + identity.ClaimKey(acsUserID)
}
