package bolt

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"go.etcd.io/bbolt"

	"acsauth/internal/identity"
)

// erasureValue is what the file has for a noted erasure.
type erasureValue struct {
	User       string    `json:"user"` // identity.User.Key
	RecordedAt time.Time `json:"recordedAt"`
}

// Record implements identity.Erasures.
func (s *Store) Record(ctx context.Context, e identity.Erasure) error {
	if err := e.Check(); err != nil {
		return fmt.Errorf("note an erasure: %w", err)
	}
	if e.RecordedAt.IsZero() {
		return errors.New("note an erasure: no time of recording")
	}
	data, err := json.Marshal(erasureValue{e.User.Key(), e.RecordedAt.UTC().Truncate(time.Second)})
	if err != nil {
		return fmt.Errorf("note an erasure: %w", err)
	}
	return s.update(ctx, func(tx *bbolt.Tx) error { return put(tx, erasuresBucket, s.erasureKey(e), data) })
}

// List implements identity.Erasures.
func (s *Store) List(ctx context.Context) iter.Seq2[identity.Erasure, error] {
	prefix := []byte(s.resource + "|")
	return pages(ctx, s, erasuresBucket, prefix, prefix, func(k, v []byte) (identity.Erasure, bool, error) {
		note, err := s.readNote(string(k[len(prefix):]), v)
		return note, true, err
	})
}

// Clear implements identity.Erasures.
func (s *Store) Clear(ctx context.Context, e identity.Erasure) error {
	return s.update(ctx, func(tx *bbolt.Tx) error { return remove(tx, erasuresBucket, s.erasureKey(e)) })
}

func (s *Store) erasureKey(e identity.Erasure) []byte {
	return []byte(s.resource + "|" + string(e.Reason) + "|" + e.AcsUserID)
}

func (s *Store) readNote(key string, data []byte) (identity.Erasure, error) {
	var v erasureValue
	if err := json.Unmarshal(data, &v); err != nil {
		return identity.Erasure{}, fmt.Errorf("noted erasure %q in %s can't be read: %w", key, s.db.Path(), err)
	}
	reason, acsUserID, _ := strings.Cut(key, "|")
	e := identity.Erasure{AcsUserID: acsUserID, Reason: identity.Reason(reason), RecordedAt: v.RecordedAt.UTC()}
	var err error
	if e.User, err = identity.ParseUser(v.User); err == nil {
		err = e.Check()
	}
	if err != nil {
		return identity.Erasure{}, fmt.Errorf("noted erasure %q in %s can't be read: %w", key, s.db.Path(), err)
	}
	return e, nil
}
