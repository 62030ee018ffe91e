package tables

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"

	"acsauth/internal/identity"
)

// erasuresKey is the partition of all notes. It is no user's key.
const erasuresKey = "erasures"

// maxKey is Cosmos DB's bound for a RowKey, in bytes; Storage takes more.
const maxKey = 255

type erasureRow struct {
	PartitionKey   string
	RowKey         string
	User           string    // identity.User.Key
	RecordedAt     time.Time // whole seconds
	RecordedAtType string    `json:"RecordedAt@odata.type"`
	Schema         int32
}

// Record implements identity.Erasures.
func (s *Store) Record(ctx context.Context, e identity.Erasure) error {
	if err := e.Check(); err != nil {
		return fmt.Errorf("note an erasure: %w", err)
	}
	key, err := s.noteKey(e.Reason, e.AcsUserID)
	if err != nil {
		return fmt.Errorf("note an erasure: %w", err)
	}
	if e.RecordedAt.IsZero() {
		return errors.New("note an erasure: no time of recording")
	}
	row, err := json.Marshal(erasureRow{
		PartitionKey: erasuresKey, RowKey: key,
		User:       e.User.Key(),
		RecordedAt: e.RecordedAt.UTC().Truncate(time.Second), RecordedAtType: edmDateTime,
		Schema: schema,
	})
	if err != nil {
		return fmt.Errorf("note an erasure: %w", err)
	}
	return s.inTable(ctx, "note an erasure", func() error {
		_, err := s.table.UpsertEntity(ctx, row, &aztables.UpsertEntityOptions{UpdateMode: aztables.UpdateModeReplace})
		return err
	})
}

// List implements identity.Erasures. It reads this resource's notes alone.
func (s *Store) List(ctx context.Context) iter.Seq2[identity.Erasure, error] {
	// '}' follows '|' in ASCII; a host name has neither, nor a quote.
	filter := fmt.Sprintf("PartitionKey eq '%s' and RowKey ge '%s|' and RowKey lt '%s}'", erasuresKey, s.resource, s.resource)
	return list(ctx, s, "list erasures", filter, s.readNote)
}

// Clear implements identity.Erasures.
func (s *Store) Clear(ctx context.Context, e identity.Erasure) error {
	key, err := s.noteKey(e.Reason, e.AcsUserID)
	if err != nil {
		return fmt.Errorf("clear an erasure: %w", err)
	}
	_, err = s.table.DeleteEntity(ctx, erasuresKey, key, nil)
	if err != nil && !isMissing(err) {
		return s.fail(ctx, "clear an erasure", err)
	}
	return nil
}

func (s *Store) readNote(value []byte) (identity.Erasure, error) {
	var row erasureRow
	if err := json.Unmarshal(value, &row); err != nil {
		return identity.Erasure{}, errors.New("a noted erasure can't be read: a property has the wrong type")
	}
	reason, acsUserID, _ := strings.Cut(strings.TrimPrefix(row.RowKey, s.resource+"|"), "|")
	e := identity.Erasure{AcsUserID: acsUserID, Reason: identity.Reason(reason), RecordedAt: row.RecordedAt.UTC().Truncate(time.Second)}
	var err error
	if e.User, err = identity.ParseUser(row.User); err == nil {
		err = e.Check()
	}
	if err != nil || row.RecordedAt.IsZero() || row.Schema < 1 || row.Schema > schema {
		return identity.Erasure{}, fmt.Errorf("noted erasure %q can't be read: want reason, ACS user id, User, RecordedAt and Schema %d, got Schema %d",
			row.RowKey, schema, row.Schema)
	}
	return e, nil
}

// noteKey returns the RowKey of a note. The service answers some characters it
// does not allow with 500, so they are found here:
// https://learn.microsoft.com/rest/api/storageservices/understanding-the-table-service-data-model
func (s *Store) noteKey(reason identity.Reason, acsUserID string) (string, error) {
	key := s.resource + "|" + string(reason) + "|" + acsUserID
	switch {
	case acsUserID == "":
		return "", errors.New("no ACS user id")
	case len(key) > maxKey:
		return "", fmt.Errorf("ACS user id is longer than %d bytes", maxKey-len(key)+len(acsUserID))
	case strings.ContainsFunc(acsUserID, func(r rune) bool {
		return r <= ' ' || r > '~' || strings.ContainsRune(`/\#?%`, r)
	}):
		return "", errors.New("ACS user id has a character that no key may have")
	}
	return key, nil
}
