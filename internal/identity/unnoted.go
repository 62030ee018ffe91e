package identity

import (
	"context"
	"log/slog"
	"sync"
)

const (
	// maxUnnoted bounds memory; the log has the rest.
	maxUnnoted = 10_000
	// unnotedAtOnce bounds what one call does for others.
	unnotedAtOnce = 20
)

// unnoted holds identities to delete that neither ACS would delete nor the store
// would note, for as long as this process lives. Its zero value is ready.
type unnoted struct {
	mu    sync.Mutex
	notes []Erasure
}

func (u *unnoted) add(notes ...Erasure) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.notes = append(u.notes, notes[:min(len(notes), maxUnnoted-len(u.notes))]...)
}

func (u *unnoted) take(limit int) []Erasure {
	u.mu.Lock()
	defer u.mu.Unlock()
	n := len(u.notes) - min(limit, len(u.notes))
	taken := u.notes[n:]
	u.notes = u.notes[:n:n]
	return taken
}

// noteUnnoted is called when the store has just answered.
func (s *Service) noteUnnoted(ctx context.Context, limit int) {
	notes := s.unnoted.take(limit)
	for i, note := range notes {
		if err := s.erasures.Record(ctx, note); err != nil {
			s.unnoted.add(notes[i:]...)
			return
		}
		s.log.LogAttrs(ctx, slog.LevelWarn, "an identity that was to be deleted by hand is noted after all", slog.String("acsUserId", note.AcsUserID))
	}
}
