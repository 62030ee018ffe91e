package tables

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"

	"acsauth/internal/identity"
)

const edmDateTime = "Edm.DateTime"

type mappingRow struct {
	PartitionKey  string
	RowKey        string
	AcsUserID     string    `json:"AcsUserId"`
	CreatedAt     time.Time // whole seconds
	CreatedAtType string    `json:"CreatedAt@odata.type"`
	Schema        int32
	Erasing       bool `json:",omitempty"`
}

// Get implements identity.Store. It makes one point read.
func (s *Store) Get(ctx context.Context, user identity.User) (identity.Mapping, error) {
	if err := user.Check(); err != nil {
		return identity.Mapping{}, fmt.Errorf("read a mapping: %w", err)
	}
	resp, err := s.table.GetEntity(ctx, user.Key(), s.resource, nil)
	if err != nil {
		return identity.Mapping{}, s.fail(ctx, "read a mapping", err)
	}
	return readMapping(user, resp.Value, string(resp.ETag))
}

// Mappings implements identity.Lister. Cosmos DB keeps no order.
func (s *Store) Mappings(ctx context.Context, after string) iter.Seq2[identity.Mapping, error] {
	filter := fmt.Sprintf("RowKey eq '%s'", s.resource)
	if after != "" {
		user, err := identity.ParseUser(after)
		if err == nil && !s.ordered {
			err = identity.ErrUnordered
		}
		if err != nil {
			return func(yield func(identity.Mapping, error) bool) { yield(identity.Mapping{}, err) }
		}
		filter += fmt.Sprintf(" and PartitionKey gt '%s'", user.Key())
	}
	return list(ctx, s, "list mappings", filter, func(value []byte) (identity.Mapping, error) {
		var row struct {
			PartitionKey string
			ETag         string `json:"odata.etag"`
		}
		if err := json.Unmarshal(value, &row); err != nil {
			return identity.Mapping{}, errors.New("a mapping can't be read: a key has the wrong type")
		}
		user, err := identity.ParseUser(row.PartitionKey)
		if err != nil {
			return identity.Mapping{}, fmt.Errorf("a mapping can't be read: its PartitionKey has a %w", err)
		}
		return readMapping(user, value, row.ETag)
	})
}

func readMapping(user identity.User, value []byte, etag string) (identity.Mapping, error) {
	var row mappingRow
	if err := json.Unmarshal(value, &row); err != nil {
		return identity.Mapping{}, errors.New("the user's mapping can't be read: a property has the wrong type")
	}
	if row.AcsUserID == "" || row.CreatedAt.IsZero() || row.Schema < 1 || row.Schema > schema || etag == "" {
		return identity.Mapping{}, fmt.Errorf("the user's mapping can't be read: want AcsUserId, CreatedAt, an ETag and Schema %d, got Schema %d",
			schema, row.Schema)
	}
	return identity.Mapping{
		User:      user,
		AcsUserID: row.AcsUserID,
		CreatedAt: row.CreatedAt.UTC().Truncate(time.Second),
		Erasing:   row.Erasing,
		Version:   etag,
	}, nil
}

// Create implements identity.Store. The row is inserted, never upserted.
func (s *Store) Create(ctx context.Context, m identity.Mapping) (identity.Mapping, error) {
	if err := m.User.Check(); err != nil {
		return identity.Mapping{}, fmt.Errorf("create a mapping: %w", err)
	}
	// Whatever is mapped must have a key to be noted under when it is to go.
	if _, err := s.noteKey(identity.ReasonOrphan, m.AcsUserID); err != nil {
		return identity.Mapping{}, fmt.Errorf("create a mapping: %w", err)
	}
	if m.CreatedAt.IsZero() {
		return identity.Mapping{}, errors.New("create a mapping: no time of creation")
	}
	m.CreatedAt = m.CreatedAt.UTC().Truncate(time.Second)
	row, err := json.Marshal(mappingRow{
		PartitionKey: m.User.Key(), RowKey: s.resource,
		AcsUserID: m.AcsUserID,
		CreatedAt: m.CreatedAt, CreatedAtType: edmDateTime,
		Schema:  schema,
		Erasing: m.Erasing,
	})
	if err != nil {
		return identity.Mapping{}, fmt.Errorf("create a mapping: %w", err)
	}
	err = s.inTable(ctx, "create a mapping", func() error {
		resp, err := s.table.AddEntity(ctx, row, nil)
		m.Version = string(resp.ETag)
		return err
	})
	if err != nil {
		return identity.Mapping{}, err
	}
	return m, nil
}

// MarkErasing implements identity.Store. Its own change, done but repeated after
// a lost answer, ends in ErrVersion: to read again shows the mark.
func (s *Store) MarkErasing(ctx context.Context, m identity.Mapping) (identity.Mapping, error) {
	version, err := s.version(m)
	if err != nil {
		return identity.Mapping{}, fmt.Errorf("mark a mapping: %w", err)
	}
	mark, err := json.Marshal(map[string]any{"PartitionKey": m.User.Key(), "RowKey": s.resource, "Erasing": true})
	if err != nil {
		return identity.Mapping{}, fmt.Errorf("mark a mapping: %w", err)
	}
	resp, err := s.table.UpdateEntity(ctx, mark, &aztables.UpdateEntityOptions{IfMatch: &version, UpdateMode: aztables.UpdateModeMerge})
	if err != nil {
		return identity.Mapping{}, s.fail(ctx, "mark a mapping", err)
	}
	m.Erasing, m.Version = true, string(resp.ETag)
	return m, nil
}

// Delete implements identity.Store.
func (s *Store) Delete(ctx context.Context, m identity.Mapping) error {
	version, err := s.version(m)
	if err != nil {
		return fmt.Errorf("delete a mapping: %w", err)
	}
	_, err = s.table.DeleteEntity(ctx, m.User.Key(), s.resource, &aztables.DeleteEntityOptions{IfMatch: &version})
	if err != nil {
		return s.fail(ctx, "delete a mapping", err)
	}
	return nil
}

// Ping implements identity.Store: it reads a row that nobody writes.
func (s *Store) Ping(ctx context.Context) error {
	_, err := s.table.GetEntity(ctx, "ping", s.resource, nil)
	if err == nil || isMissing(err) {
		return nil
	}
	return s.fail(ctx, "ping", err)
}

// version refuses what the service would take for "any version".
func (s *Store) version(m identity.Mapping) (azcore.ETag, error) {
	if err := m.User.Check(); err != nil {
		return "", err
	}
	if m.Version == "" || m.Version == string(azcore.ETagAny) {
		return "", errors.New("mapping has no version: it was not read from a store")
	}
	return azcore.ETag(m.Version), nil
}

// inTable makes the table when insert finds it missing.
func (s *Store) inTable(ctx context.Context, op string, insert func() error) error {
	err := insert()
	if isMissing(err) {
		if _, err := s.table.CreateTable(ctx, nil); err != nil && !hasCode(err, http.StatusConflict, aztables.TableAlreadyExists) {
			return s.fail(ctx, "create the table", err)
		}
		if err = insert(); isMissing(err) {
			return unavailable(fmt.Errorf("%s: %s does not see the table it has just made", op, s.host))
		}
	}
	if err != nil {
		return s.fail(ctx, op, err)
	}
	return nil
}
