package tables

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"

	"acsauth/internal/identity"
)

// erasuresKey is the partition of all notes. It is no user's key.
const erasuresKey = "erasures"

// maxPage is the most rows that the service returns at once.
const maxPage = 1000

// maxKey is Cosmos DB's bound for a RowKey, in bytes; Storage takes more.
const maxKey = 255

type erasureRow struct {
	PartitionKey   string
	RowKey         string
	User           string // identity.User.Key
	Reason         identity.Reason
	RecordedAt     time.Time // whole seconds
	RecordedAtType string    `json:"RecordedAt@odata.type"`
	Schema         int32
}

// Record implements identity.Erasures.
func (s *Store) Record(ctx context.Context, e identity.Erasure) error {
	if err := e.User.Check(); err != nil {
		return fmt.Errorf("note an erasure: %w", err)
	}
	key, err := s.noteKey(e.AcsUserID)
	if err != nil {
		return fmt.Errorf("note an erasure: %w", err)
	}
	if e.RecordedAt.IsZero() {
		return errors.New("note an erasure: no time of recording")
	}
	row, err := json.Marshal(erasureRow{
		PartitionKey: erasuresKey, RowKey: key,
		User:       e.User.Key(),
		Reason:     e.Reason,
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

// List implements identity.Erasures. It reads this resource's notes alone. A
// note that can't be read fails the whole list: nobody would see it skipped.
func (s *Store) List(ctx context.Context, limit int) ([]identity.Erasure, error) {
	if limit <= 0 {
		return nil, nil
	}
	// '}' follows '|' in ASCII; a host name has neither, nor a quote.
	filter := fmt.Sprintf("PartitionKey eq '%s' and RowKey ge '%s|' and RowKey lt '%s}'", erasuresKey, s.resource, s.resource)
	top := int32(min(limit, maxPage))
	pager := s.table.NewListEntitiesPager(&aztables.ListEntitiesOptions{Filter: &filter, Top: &top})
	var notes []identity.Erasure
	var unreadable []error
	for pager.More() && len(notes) < limit {
		page, err := pager.NextPage(ctx)
		if isMissing(err) {
			return nil, nil
		}
		if err != nil {
			return nil, s.fail(ctx, "list erasures", err)
		}
		for _, row := range page.Entities[:min(len(page.Entities), limit-len(notes))] {
			note, err := s.readNote(row)
			if err != nil {
				unreadable = append(unreadable, err)
				continue
			}
			notes = append(notes, note)
		}
	}
	return notes, errors.Join(unreadable...)
}

// Clear implements identity.Erasures.
func (s *Store) Clear(ctx context.Context, e identity.Erasure) error {
	key, err := s.noteKey(e.AcsUserID)
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
	user, err := identity.ParseUser(row.User)
	acsUserID, mine := strings.CutPrefix(row.RowKey, s.resource+"|")
	if err != nil || !mine || acsUserID == "" || row.Reason == "" || row.Schema < 1 || row.Schema > schema {
		return identity.Erasure{}, fmt.Errorf("noted erasure %q can't be read: want User, Reason and Schema %d, got Schema %d",
			row.RowKey, schema, row.Schema)
	}
	return identity.Erasure{
		AcsUserID:  acsUserID,
		User:       user,
		Reason:     row.Reason,
		RecordedAt: row.RecordedAt.UTC().Truncate(time.Second),
	}, nil
}

// noteKey returns the RowKey of the note for an ACS identity. The service
// answers some characters it does not allow with 500, so they are found here:
// https://learn.microsoft.com/rest/api/storageservices/understanding-the-table-service-data-model
func (s *Store) noteKey(acsUserID string) (string, error) {
	key := s.resource + "|" + acsUserID
	switch {
	case acsUserID == "":
		return "", errors.New("no ACS user id")
	case len(key) > maxKey:
		return "", fmt.Errorf("ACS user id is longer than %d bytes", maxKey-len(s.resource)-1)
	case strings.ContainsFunc(acsUserID, func(r rune) bool {
		return r <= ' ' || r > '~' || strings.ContainsRune(`/\#?%`, r)
	}):
		return "", errors.New("ACS user id has a character that no key may have")
	}
	return key, nil
}
