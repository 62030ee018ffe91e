package backup

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"acsauth/internal/identity"
)

// ExportOptions say what to export. All but After are required.
type ExportOptions struct {
	Resource string         // host name of the ACS resource that the store was opened for
	After    string         // begin behind the user with this Key; empty for all
	Report   func(error)    // of what can't be read
	Progress func(Exported) // called after each line
}

// Exported tells how far an export got.
type Exported struct {
	Mappings   int
	Erasures   int
	Unreadable int    // told to Report
	Last       string // Key of the last user whose mapping was written; empty where the store keeps no order
}

// ErrNoList is for stores that only answer what one user asks about themselves.
var ErrNoList = errors.New("this store can't be listed: it answers for one user at a time, on that user's behalf")

// Export writes all mappings, then all notes of erasures. It stops at the first
// error of the store or of out.
func Export(ctx context.Context, from Store, out io.Writer, o ExportOptions) (done Exported, err error) {
	lister, ok := from.(identity.Lister)
	if !ok {
		return done, ErrNoList
	}
	buffer := bufio.NewWriterSize(out, 64<<10)
	e := exporter{ExportOptions: o, out: buffer}
	if err = write(&e, lister.Mappings(ctx, o.After), mappingLine, e.countMapping); err == nil {
		err = write(&e, from.List(ctx), erasureLine, e.countErasure)
	}
	if flushErr := buffer.Flush(); flushErr != nil {
		return e.done, fmt.Errorf("write: %w", flushErr)
	}
	return e.done, err
}

type exporter struct {
	ExportOptions
	out       *bufio.Writer
	done      Exported
	unordered bool
}

// write writes a line for each entry of list and then counts it.
func write[T any](e *exporter, list iter.Seq2[T, error], toLine func(resource string, entry T) line, count func(T)) error {
	for entry, err := range list {
		if err != nil {
			if err := e.unreadable(err); err != nil {
				return err
			}
			continue
		}
		if err := e.line(toLine(e.Resource, entry)); err != nil {
			return err
		}
		count(entry)
		e.Progress(e.done)
	}
	return nil
}

func (e *exporter) countMapping(m identity.Mapping) {
	e.done.Mappings++
	if m.User.Key() <= e.done.Last {
		e.unordered = true
	}
	if e.done.Last = m.User.Key(); e.unordered {
		e.done.Last = ""
	}
}

func (e *exporter) countErasure(identity.Erasure) { e.done.Erasures++ }

// unreadable reports what concerns one row and returns what ends the list.
func (e *exporter) unreadable(err error) error {
	if errors.As(err, new(*identity.Error)) || errors.Is(err, identity.ErrUnordered) {
		return err
	}
	e.done.Unreadable++
	e.Report(err)
	return nil
}

func (e *exporter) line(l line) error {
	b, err := l.encode()
	if err != nil {
		return err
	}
	if _, err := e.out.Write(b); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}
