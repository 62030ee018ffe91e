package bolt

import (
	"bytes"
	"context"
	"iter"

	"go.etcd.io/bbolt"
)

// pageSize is how many values are read in one transaction.
const pageSize = 500

// pages yields what read makes of the values whose keys have prefix, from key
// from on, but for those that are not its own. No transaction is open while it
// yields, so that the consumer may write. An error that read returns is yielded
// like a value; one of the file is the last.
func pages[T any](ctx context.Context, s *Store, bucket, prefix, from []byte, read func(k, v []byte) (value T, own bool, err error)) iter.Seq2[T, error] {
	type item struct {
		value T
		err   error
	}
	return func(yield func(T, error) bool) {
		for next := from; next != nil; {
			var page []item
			err := s.view(ctx, func(tx *bbolt.Tx) error {
				cursor := tx.Bucket(bucket).Cursor()
				k, v := cursor.Seek(next)
				next = nil
				for n := 0; k != nil && bytes.HasPrefix(k, prefix); k, v = cursor.Next() {
					if n++; n > pageSize {
						next = bytes.Clone(k)
						break
					}
					if value, own, err := read(k, v); own {
						page = append(page, item{value, err})
					}
				}
				return nil
			})
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, i := range page {
				if !yield(i.value, i.err) {
					return
				}
			}
		}
	}
}
