package backup

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"sync"
	"time"

	"acsauth/internal/identity"
)

const (
	maxLine = 64 << 10
	// batchSize is how many lines are in memory, and what an import that stopped
	// may have to do again.
	batchSize = 256
	workers   = 16
	// patience is how often a line is tried again while the store is not
	// available: after 1, 2, 4, 8 and 16 s.
	patience = 5
)

// ImportOptions say what to import. Resource and the functions are required.
type ImportOptions struct {
	Resource string // host name of the ACS resource that the store was opened for
	After    int    // lines to leave out at the beginning
	DryRun   bool   // read, compare and count, and change nothing
	Report   func(lineNumber int, err error)
	Progress func(Imported) // called now and then
}

// Imported tells how far an import got. Of a dry run, it tells what would be.
type Imported struct {
	Lines    int // that are done with
	Created  int // mappings that were not there
	There    int // mappings that were there
	Erasures int
	Conflict int // users who have another identity here; told to Report
	Refused  int // lines that can't be read or stored; told to Report
}

// ErrConflict: the user has another ACS identity in the store.
var ErrConflict = errors.New("the user has another ACS identity here, which stays")

// Import puts lines into a store. It stops where the store is not available for
// half a minute, or refuses the service.
func Import(ctx context.Context, into Store, in io.Reader, o ImportOptions) (done Imported, err error) {
	i := importer{ImportOptions: o, into: into, in: bufio.NewReaderSize(in, maxLine)}
	for err == nil && ctx.Err() == nil {
		var batch []numbered
		if batch, err = i.read(); len(batch) == 0 {
			break
		}
		if stopErr := i.work(ctx, batch); stopErr != nil {
			return i.done, stopErr
		}
		o.Progress(i.done)
	}
	switch {
	case err == nil:
		return i.done, ctx.Err()
	case errors.Is(err, io.EOF):
		return i.done, nil
	}
	return i.done, fmt.Errorf("read: %w", err)
}

type importer struct {
	ImportOptions
	into   Store
	in     *bufio.Reader
	number int
	done   Imported
}

// numbered is a line and what became of it.
type numbered struct {
	number int
	line   line
	made   bool
	err    error
}

// read returns the next lines, and io.EOF beside the last ones.
func (i *importer) read() (batch []numbered, err error) {
	for len(batch) < batchSize {
		raw, tooLong, err := i.next()
		if len(raw) > 0 || tooLong {
			i.number++
			if i.number > i.After && (tooLong || len(bytes.TrimSpace(raw)) > 0) {
				n := numbered{number: i.number}
				if n.line, n.err = parse(raw); tooLong {
					n.err = fmt.Errorf("has more than %d bytes", maxLine)
				} else if n.err == nil && n.line.Resource != i.Resource {
					n.err = fmt.Errorf("belongs to another ACS resource than %s", i.Resource)
				}
				batch = append(batch, n)
			}
		}
		if err != nil {
			return batch, err
		}
	}
	return batch, nil
}

// next returns a line as long as the buffer, or says that there is more of it,
// which it passes over.
func (i *importer) next() (raw []byte, tooLong bool, err error) {
	raw, err = i.in.ReadSlice('\n')
	for errors.Is(err, bufio.ErrBufferFull) {
		tooLong = true
		_, err = i.in.ReadSlice('\n')
	}
	return raw, tooLong, err
}

// work does a batch, a few lines at once and those of one user one after the
// other, and tells of it in the lines' order. An error means that the batch is
// to be done again.
func (i *importer) work(ctx context.Context, batch []numbered) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var wg sync.WaitGroup
	for worker := range uint32(workers) {
		wg.Go(func() {
			for at := range batch {
				n := &batch[at]
				if hash(n.line)%workers == worker && n.err == nil {
					if n.made, n.err = i.put(ctx, n.line); ends(n.err) {
						stop(fmt.Errorf("line %d: %w", n.number, n.err))
						return
					}
				}
			}
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	for _, n := range batch {
		i.count(n)
	}
	i.done.Lines = i.number
	return nil
}

func hash(l line) uint32 {
	h := fnv.New32a()
	_, _ = io.WriteString(h, l.user().Key())
	return h.Sum32()
}

// ends reports whether err is about the store and not about one line.
func ends(err error) bool {
	return errors.As(err, new(*identity.Error)) || errors.Is(err, context.Canceled) || errors.Is(err, identity.ErrNeedsCaller)
}

func (i *importer) count(n numbered) {
	switch {
	case errors.Is(n.err, ErrConflict):
		i.done.Conflict++
		i.Report(n.number, n.err)
	case n.err != nil:
		i.done.Refused++
		i.Report(n.number, n.err)
	case n.line.Type == typeErasure:
		i.done.Erasures++
	case n.made:
		i.done.Created++
	default:
		i.done.There++
	}
}

// put stores one line, and waits for a store that is not available just then.
func (i *importer) put(ctx context.Context, l line) (made bool, err error) {
	for try := 0; ; try++ {
		if l.Type == typeErasure {
			err = i.note(ctx, l.erasure())
		} else {
			made, err = i.create(ctx, l.mapping())
		}
		var e *identity.Error
		if !errors.As(err, &e) || e.Code != identity.CodeUpstreamUnavailable || try == patience {
			return made, err
		}
		select {
		case <-time.After(min(max(e.RetryAfter, time.Second<<try), time.Minute)):
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

func (i *importer) note(ctx context.Context, e identity.Erasure) error {
	if i.DryRun {
		return nil
	}
	return i.into.Record(ctx, e)
}

func (i *importer) create(ctx context.Context, m identity.Mapping) (made bool, err error) {
	if m.Erasing {
		note := identity.Erasure{AcsUserID: m.AcsUserID, User: m.User, Reason: identity.ReasonErase, RecordedAt: m.CreatedAt}
		if err := i.note(ctx, note); err != nil {
			return false, err
		}
	}
	if !i.DryRun {
		if _, err = i.into.Create(ctx, m); !errors.Is(err, identity.ErrExists) {
			return err == nil, err
		}
	}
	there, err := i.into.Get(ctx, m.User)
	switch {
	case i.DryRun && errors.Is(err, identity.ErrNotFound):
		return true, nil
	case err != nil:
		return false, err
	case there.AcsUserID != m.AcsUserID:
		return false, ErrConflict
	}
	return false, nil
}
