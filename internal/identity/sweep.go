package identity

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"
)

const (
	sweepWorkers = 8
	// noteTimeout bounds the work on one note. ACS takes part of a second.
	noteTimeout = 6 * time.Second
	// maxSwept bounds the notes that one sweep keeps in memory, not those that
	// it counts.
	maxSwept = 10_000
	// overdueAfter is when somebody should look why a note is still there.
	overdueAfter = time.Hour
	// maxSweepErrors bounds the failures that one sweep logs one by one.
	maxSweepErrors = 20
)

// Swept is what a sweep did and left.
type Swept struct {
	Finished int // notes whose work is done
	Failed   int // notes that were tried in vain or can't be read
	Pending  int // notes that are left, Failed among them
	Overdue  int // of those, the ones older than an hour or unreadable
}

// Sweep does what is left of noted erasures, several at once, until each has
// been tried or ctx ends. Those that fail hold up nobody: a sweep takes the
// notes in an order of its own, so that where there is not time for all, the
// next one begins elsewhere. It may run in many processes at once. What it did
// is logged; the error is for the list itself.
func (s *Service) Sweep(ctx context.Context) (Swept, error) {
	w := sweep{service: s, now: s.now()}
	s.noteUnnoted(ctx, maxUnnoted)
	notes, err := w.pick(ctx)
	w.work(ctx, notes)
	w.log(ctx, err)
	return w.swept, err
}

// sweep is one run of Sweep.
type sweep struct {
	service *Service
	now     time.Time
	mu      sync.Mutex
	swept   Swept
}

// pick reads the whole list and returns at most maxSwept of its notes, each as
// likely as any other, in random order.
func (w *sweep) pick(ctx context.Context) (notes []Erasure, err error) {
	read := 0
	for note, err := range w.service.erasures.List(ctx) {
		if err != nil {
			if e := (*Error)(nil); errors.As(err, &e) {
				return notes, err
			}
			w.swept.Pending++
			w.swept.Overdue++
			w.fail(ctx, "a noted erasure can't be read", err)
			continue
		}
		w.swept.Pending++
		if w.overdue(note) {
			w.swept.Overdue++
		}
		read++
		if len(notes) < maxSwept {
			notes = append(notes, note)
		} else if i := rand.IntN(read); i < maxSwept {
			notes[i] = note
		}
	}
	rand.Shuffle(len(notes), func(i, j int) { notes[i], notes[j] = notes[j], notes[i] })
	return notes, nil
}

func (w *sweep) overdue(note Erasure) bool { return w.now.Sub(note.RecordedAt) > overdueAfter }

// work goes through notes until ctx ends.
func (w *sweep) work(ctx context.Context, notes []Erasure) {
	queue := make(chan Erasure)
	var workers sync.WaitGroup
	for range min(sweepWorkers, len(notes)) {
		workers.Go(func() {
			for note := range queue {
				w.try(ctx, note)
			}
		})
	}
	for _, note := range notes {
		select {
		case queue <- note:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(queue)
	workers.Wait()
}

func (w *sweep) try(ctx context.Context, note Erasure) {
	err := guard(func() error {
		return within(ctx, noteTimeout, func(ctx context.Context) error { return w.service.settleNote(ctx, note) })
	})
	switch {
	case err != nil && ctx.Err() != nil: // the sweep was cut short: it says nothing of the note
		return
	case err != nil:
		w.fail(ctx, "a noted erasure could not be finished", err,
			slog.String("acsUserId", note.AcsUserID), slog.String("reason", string(note.Reason)))
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.swept.Finished++
	w.swept.Pending--
	if w.overdue(note) {
		w.swept.Overdue--
	}
}

func (w *sweep) fail(ctx context.Context, message string, err error, attrs ...slog.Attr) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.swept.Failed++; w.swept.Failed <= maxSweepErrors {
		w.service.log.LogAttrs(ctx, slog.LevelWarn, message, append(attrs, slog.Any("error", err))...)
	}
}

// log has one line for a sweep that found anything. Operators watch for its
// text and for overdue above zero.
func (w *sweep) log(ctx context.Context, err error) {
	if errors.Is(ctx.Err(), context.Canceled) {
		err = nil // the process stops
	}
	if w.swept == (Swept{}) && err == nil {
		return
	}
	level := slog.LevelInfo
	if w.swept.Overdue > 0 || err != nil {
		level = slog.LevelWarn
	}
	attrs := []slog.Attr{
		slog.Int("finished", w.swept.Finished), slog.Int("failed", w.swept.Failed),
		slog.Int("pending", w.swept.Pending), slog.Int("overdue", w.swept.Overdue),
	}
	if err != nil {
		attrs = append(attrs, slog.Any("error", err))
	}
	w.service.log.LogAttrs(ctx, level, "swept noted erasures", attrs...)
}

// settleNote does what note asks for and clears it.
func (s *Service) settleNote(ctx context.Context, note Erasure) error {
	m, err := s.store.Get(ctx, note.User)
	switch {
	case errors.Is(err, ErrNotFound), errors.Is(err, ErrNeedsCaller):
		// Without a caller the note alone must do. A mapping that is left points
		// to an identity that ACS does not know, and the user's next call mends
		// that.
	case err != nil:
		return err
	case m.AcsUserID != note.AcsUserID:
	case note.Reason == ReasonOrphan:
		// Its insert had been done after all: it is the user's identity.
		return s.erasures.Clear(ctx, note)
	default:
		if !m.Erasing {
			if m, err = s.marking(m, func() (Mapping, error) { return s.store.MarkErasing(ctx, m) }); err != nil {
				return err
			}
		}
		return s.finish(ctx, m)
	}
	if err := s.deleteIdentity(ctx, note.AcsUserID); err != nil {
		return err
	}
	return s.erasures.Clear(ctx, note)
}
