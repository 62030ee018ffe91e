package bolt

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"acsauth/internal/identity"
)

// erasureValue is what the file has for a noted erasure.
type erasureValue struct {
	User       string          `json:"user"` // identity.User.Key
	Reason     identity.Reason `json:"reason"`
	RecordedAt time.Time       `json:"recordedAt"`
}

// Record implements identity.Erasures.
func (s *Store) Record(ctx context.Context, e identity.Erasure) error {
	if err := e.User.Check(); err != nil {
		return fmt.Errorf("note an erasure: %w", err)
	}
	if e.AcsUserID == "" {
		return errors.New("note an erasure: no ACS user id")
	}
	data, err := json.Marshal(erasureValue{e.User.Key(), e.Reason, e.RecordedAt.UTC().Truncate(time.Second)})
	if err != nil {
		return fmt.Errorf("note an erasure: %w", err)
	}
	return s.update(ctx, func(tx *bbolt.Tx) error {
		if err := tx.Bucket(erasuresBucket).Put(s.erasureKey(e.AcsUserID), data); err != nil {
			return unavailable(err)
		}
		return nil
	})
}

// List implements identity.Erasures. A note that can't be read fails the whole
// list: nobody would see it skipped.
func (s *Store) List(ctx context.Context, limit int) (notes []identity.Erasure, err error) {
	var unreadable []error
	err = s.view(ctx, func(tx *bbolt.Tx) error {
		prefix := s.erasureKey("")
		cursor := tx.Bucket(erasuresBucket).Cursor()
		for k, v := cursor.Seek(prefix); bytes.HasPrefix(k, prefix) && len(notes) < limit; k, v = cursor.Next() {
			note, err := s.readNote(string(k[len(prefix):]), v)
			if err != nil {
				unreadable = append(unreadable, err)
				continue
			}
			notes = append(notes, note)
		}
		return nil
	})
	return notes, errors.Join(append(unreadable, err)...)
}

// Clear implements identity.Erasures.
func (s *Store) Clear(ctx context.Context, e identity.Erasure) error {
	return s.update(ctx, func(tx *bbolt.Tx) error {
		if err := tx.Bucket(erasuresBucket).Delete(s.erasureKey(e.AcsUserID)); err != nil {
			return unavailable(err)
		}
		return nil
	})
}

func (s *Store) erasureKey(acsUserID string) []byte {
	return []byte(s.resource + "|" + acsUserID)
}

func (s *Store) readNote(acsUserID string, data []byte) (identity.Erasure, error) {
	var v erasureValue
	if err := json.Unmarshal(data, &v); err != nil {
		return identity.Erasure{}, fmt.Errorf("noted erasure %q in %s can't be read: %w", acsUserID, s.db.Path(), err)
	}
	user, err := identity.ParseUser(v.User)
	if err != nil || v.Reason == "" {
		return identity.Erasure{}, fmt.Errorf("noted erasure %q in %s can't be read: want user and reason", acsUserID, s.db.Path())
	}
	return identity.Erasure{AcsUserID: acsUserID, User: user, Reason: v.Reason, RecordedAt: v.RecordedAt.UTC()}, nil
}
