package bolt

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"acsauth/internal/identity"
)

// BenchmarkGet reads mappings of users in turn, in a store with few and one with
// a million.
func BenchmarkGet(b *testing.B) {
	for _, n := range []int{100, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s, err := Open(filepath.Join(b.TempDir(), "identities.db"), resource)
			require.NoError(b, err)
			defer s.Close()
			fill(b, s, n)
			for i := 0; b.Loop(); i++ {
				_, err := s.Get(b.Context(), numbered(i*7919%n))
				require.NoError(b, err)
			}
		})
	}
}

func numbered(n int) identity.User {
	return identity.User{TenantID: "11111111-2222-3333-4444-555555555555", ObjectID: fmt.Sprintf("%08x-bbbb-cccc-dddd-eeeeeeeeeeee", uint32(n)*2654435761)}
}

// fill makes n mappings, many in a transaction.
func fill(b *testing.B, s *Store, n int) {
	b.Helper()
	for begin := 0; begin < n; begin += 20_000 {
		require.NoError(b, s.db.Update(func(tx *bbolt.Tx) error {
			for i := begin; i < min(n, begin+20_000); i++ {
				value, err := json.Marshal(mappingValue{AcsUserID: fmt.Sprintf("8:acs:%032x_%032x", i, i), CreatedAt: someMapping().CreatedAt, Version: uint64(i) + 1})
				if err != nil {
					return err
				}
				if err := tx.Bucket(mappingsBucket).Put(s.mappingKey(numbered(i)), value); err != nil {
					return err
				}
			}
			return nil
		}))
	}
}
