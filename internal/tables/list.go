package tables

import (
	"context"
	"iter"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"
)

// maxPage is the most rows that the service returns at once.
const maxPage = 1000

// list yields what read makes of the rows that filter lets through, a page in
// memory at a time. An error that read returns is yielded like a row; one of the
// service is the last. A table that is missing has no rows.
func list[T any](ctx context.Context, s *Store, op, filter string, read func(row []byte) (T, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		pager := s.table.NewListEntitiesPager(&aztables.ListEntitiesOptions{Filter: &filter, Top: to.Ptr[int32](maxPage)})
		for pager.More() {
			page, err := pager.NextPage(ctx)
			if isMissing(err) {
				return
			}
			if err != nil {
				var none T
				yield(none, s.fail(ctx, op, err))
				return
			}
			for _, row := range page.Entities {
				if !yield(read(row)) {
					return
				}
			}
		}
	}
}
