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
// from on. No transaction is open while it yields, so that the consumer may
// write. An error that read returns is yielded like a value; one of the file is
// the last.
func pages[T any](ctx context.Context, s *Store, bucket, prefix, from []byte, read func(k, v []byte) (T, error)) iter.Seq2[T, error] {
	type item struct {
		value T
		err   error
	}
	return func(yield func(T, error) bool) {
		for from != nil {
			var page []item
			err := s.view(ctx, func(tx *bbolt.Tx) error {
				cursor := tx.Bucket(bucket).Cursor()
				k, v := cursor.Seek(from)
				for ; bytes.HasPrefix(k, prefix) && len(page) < pageSize; k, v = cursor.Next() {
					value, err := read(k, v)
					page = append(page, item{value, err})
				}
				from = nil
				if bytes.HasPrefix(k, prefix) {
					from = bytes.Clone(k)
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
