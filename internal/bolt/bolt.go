// Package bolt keeps identity mappings, notes of erasures not yet done, and claims
// of identities in one local file: the store that needs no service, for a laptop or
// a single server.
//
// Start with Open. One process at a time has the file; a second one is told so.
// Every change is on the disk before the call returns, so a crash or a loss of
// power loses nothing that was answered. Nothing in the file is encrypted: it
// has no tokens, but it says which Entra user is which ACS user, and only its
// owner may read it. Backup, and to refuse such a store where many instances
// run or disks are short-lived, are left to the caller.
package bolt

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.etcd.io/bbolt"
	bbolterrors "go.etcd.io/bbolt/errors"

	"acsauth/internal/identity"
)

// batchDelay is how long a change waits for others to share its write to the
// disk, which takes some milliseconds.
const batchDelay = 500 * time.Microsecond

// lockTimeout is long enough for a process that is being replaced to end.
const lockTimeout = time.Second

// The buckets: mappings by "<user>|<resource>", erasures by
// "<resource>|<reason>|<ACS user id>", claims by "<resource>|<identity.ClaimKey>".
// Values are JSON.
var (
	mappingsBucket = []byte("mappings")
	erasuresBucket = []byte("erasures")
	claimsBucket   = []byte("claims")
)

// Store implements identity.Store, identity.Erasures and identity.Claims on an
// open file. Its methods may be called from many goroutines. A context that is done
// when a method begins ends it; the work itself takes milliseconds and is not
// interrupted.
type Store struct {
	db       *bbolt.DB
	resource string
}

var (
	_ identity.Lister   = (*Store)(nil)
	_ identity.Erasures = (*Store)(nil)
	_ identity.Claims   = (*Store)(nil)
)

// Open opens the file at path, and makes it, with mode 0600, and its folder,
// with mode 0700, where there is none. resource is the host name of the ACS
// resource, in any case. It waits up to a second for another process to let the
// file go, then returns an error that names it. Call Close in the end.
func Open(path, resource string) (*Store, error) {
	resource = strings.ToLower(resource)
	if resource == "" || strings.Contains(resource, "|") {
		return nil, errors.New("ACS resource is not a host name")
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of the identity store: %w", err)
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockTimeout})
	if errors.Is(err, bbolterrors.ErrTimeout) {
		return nil, fmt.Errorf("identity store %s is in use: another process has it open", path)
	}
	if err != nil {
		return nil, fmt.Errorf("open identity store %s: %w", path, err)
	}
	db.MaxBatchDelay = batchDelay
	err = db.Update(func(tx *bbolt.Tx) error {
		for _, name := range [][]byte{mappingsBucket, erasuresBucket, claimsBucket} {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("prepare identity store %s: %w", path, err), db.Close())
	}
	return &Store{db, resource}, nil
}

// Close lets the file go, after the calls that are under way.
func (s *Store) Close() error {
	if err := s.db.Close(); err != nil {
		return fmt.Errorf("close identity store: %w", err)
	}
	return nil
}

// Ping implements identity.Store: it begins to read.
func (s *Store) Ping(ctx context.Context) error {
	return s.view(ctx, func(*bbolt.Tx) error { return nil })
}

func (s *Store) view(ctx context.Context, work func(*bbolt.Tx) error) error {
	return s.do(ctx, s.db.View, work)
}

// update runs work while nobody else writes, and an error undoes all of it. Those
// that come at once share a transaction, because each costs a write to the disk;
// for that, work may be run again.
func (s *Store) update(ctx context.Context, work func(*bbolt.Tx) error) error {
	return s.do(ctx, s.db.Batch, work)
}

// do tells work's own errors, which pass, from those of the file.
func (s *Store) do(ctx context.Context, transact func(func(*bbolt.Tx) error) error, work func(*bbolt.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return unavailable(err)
	}
	var failed error
	err := transact(func(tx *bbolt.Tx) error {
		failed = work(tx)
		return failed
	})
	switch {
	case failed != nil:
		return failed
	case err != nil:
		return unavailable(fmt.Errorf("identity store %s: %w", s.db.Path(), err))
	}
	return nil
}

func put(tx *bbolt.Tx, bucket, key, value []byte) error {
	if err := tx.Bucket(bucket).Put(key, value); err != nil {
		return unavailable(err)
	}
	return nil
}

func remove(tx *bbolt.Tx, bucket, key []byte) error {
	if err := tx.Bucket(bucket).Delete(key); err != nil {
		return unavailable(err)
	}
	return nil
}

func unavailable(cause error) *identity.Error {
	return identity.Errorf(identity.CodeUpstreamUnavailable, "The mapping store is not available just now.").Because(cause)
}
