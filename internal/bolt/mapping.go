package bolt

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"

	"go.etcd.io/bbolt"

	"acsauth/internal/identity"
)

// mappingValue is what the file has for a mapping.
type mappingValue struct {
	AcsUserID string    `json:"acsUserId"`
	CreatedAt time.Time `json:"createdAt"`
	Erasing   bool      `json:"erasing,omitempty"`
	// Version is a number that the bucket has given to no other change, so that
	// one of a deleted mapping never comes back.
	Version uint64 `json:"version"`
}

// Get implements identity.Store.
func (s *Store) Get(ctx context.Context, user identity.User) (m identity.Mapping, err error) {
	if err := user.Check(); err != nil {
		return identity.Mapping{}, fmt.Errorf("read a mapping: %w", err)
	}
	err = s.view(ctx, func(tx *bbolt.Tx) (err error) {
		m, err = s.read(tx, user)
		return err
	})
	return m, err
}

// Create implements identity.Store.
func (s *Store) Create(ctx context.Context, m identity.Mapping) (created identity.Mapping, err error) {
	if err := m.User.Check(); err != nil {
		return identity.Mapping{}, fmt.Errorf("create a mapping: %w", err)
	}
	if m.AcsUserID == "" {
		return identity.Mapping{}, errors.New("create a mapping: no ACS user id")
	}
	if m.CreatedAt.IsZero() {
		return identity.Mapping{}, errors.New("create a mapping: no time of creation")
	}
	m.CreatedAt = m.CreatedAt.UTC().Truncate(time.Second)
	err = s.update(ctx, func(tx *bbolt.Tx) (err error) {
		if tx.Bucket(mappingsBucket).Get(s.mappingKey(m.User)) != nil {
			return identity.ErrExists
		}
		created, err = s.write(tx, m)
		return err
	})
	return created, err
}

// Mappings implements identity.Lister.
func (s *Store) Mappings(ctx context.Context, after string) iter.Seq2[identity.Mapping, error] {
	from := []byte{}
	if after != "" {
		user, err := identity.ParseUser(after)
		if err != nil {
			return func(yield func(identity.Mapping, error) bool) { yield(identity.Mapping{}, err) }
		}
		// Mappings of one user follow each other, and '}' follows '|' in ASCII.
		from = []byte(user.Key() + "}")
	}
	suffix := "|" + s.resource
	return pages(ctx, s, mappingsBucket, nil, from, func(k, v []byte) (m identity.Mapping, mine bool, err error) {
		key, mine := strings.CutSuffix(string(k), suffix)
		if !mine {
			return m, false, nil
		}
		user, err := identity.ParseUser(key)
		if err != nil {
			return m, true, fmt.Errorf("a mapping in %s can't be read: its key has %w", s.db.Path(), err)
		}
		m, err = s.readMapping(user, v)
		return m, true, err
	})
}

// MarkErasing implements identity.Store.
func (s *Store) MarkErasing(ctx context.Context, m identity.Mapping) (marked identity.Mapping, err error) {
	err = s.change(ctx, m, func(tx *bbolt.Tx, current identity.Mapping) (err error) {
		current.Erasing = true
		marked, err = s.write(tx, current)
		return err
	})
	return marked, err
}

// Delete implements identity.Store.
func (s *Store) Delete(ctx context.Context, m identity.Mapping) error {
	return s.change(ctx, m, func(tx *bbolt.Tx, current identity.Mapping) error {
		return remove(tx, mappingsBucket, s.mappingKey(current.User))
	})
}

// change hands work the mapping in the file when it still is the one read as m.
func (s *Store) change(ctx context.Context, m identity.Mapping, work func(*bbolt.Tx, identity.Mapping) error) error {
	if err := m.User.Check(); err != nil {
		return fmt.Errorf("change a mapping: %w", err)
	}
	if m.Version == "" {
		return errors.New("change a mapping: it has no version: it was not read from a store")
	}
	return s.update(ctx, func(tx *bbolt.Tx) error {
		current, err := s.read(tx, m.User)
		if err != nil {
			return err
		}
		if current.Version != m.Version {
			return identity.ErrVersion
		}
		return work(tx, current)
	})
}

func (s *Store) mappingKey(user identity.User) []byte {
	return []byte(user.Key() + "|" + s.resource)
}

func (s *Store) read(tx *bbolt.Tx, user identity.User) (identity.Mapping, error) {
	data := tx.Bucket(mappingsBucket).Get(s.mappingKey(user))
	if data == nil {
		return identity.Mapping{}, identity.ErrNotFound
	}
	return s.readMapping(user, data)
}

func (s *Store) readMapping(user identity.User, data []byte) (identity.Mapping, error) {
	var v mappingValue
	if err := json.Unmarshal(data, &v); err != nil {
		return identity.Mapping{}, fmt.Errorf("the user's mapping in %s can't be read: %w", s.db.Path(), err)
	}
	if v.AcsUserID == "" || v.Version == 0 {
		return identity.Mapping{}, fmt.Errorf("the user's mapping in %s can't be read: want acsUserId and version", s.db.Path())
	}
	return identity.Mapping{
		User:      user,
		AcsUserID: v.AcsUserID,
		CreatedAt: v.CreatedAt.UTC(),
		Erasing:   v.Erasing,
		Version:   strconv.FormatUint(v.Version, 10),
	}, nil
}

// write puts m with a version of its own and returns it so.
func (s *Store) write(tx *bbolt.Tx, m identity.Mapping) (identity.Mapping, error) {
	version, err := tx.Bucket(mappingsBucket).NextSequence()
	if err != nil {
		return identity.Mapping{}, unavailable(err)
	}
	data, err := json.Marshal(mappingValue{m.AcsUserID, m.CreatedAt, m.Erasing, version})
	if err != nil {
		return identity.Mapping{}, fmt.Errorf("write a mapping: %w", err)
	}
	if err := put(tx, mappingsBucket, s.mappingKey(m.User), data); err != nil {
		return identity.Mapping{}, err
	}
	m.Version = strconv.FormatUint(version, 10)
	return m, nil
}
