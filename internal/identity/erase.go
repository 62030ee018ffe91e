package identity

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// finishTimeout bounds how long a caller waits for an erasure that is durable
// already, and revokeTimeout for what is done when that did not end well.
const (
	finishTimeout = 4 * time.Second
	revokeTimeout = 2 * time.Second
)

// Erase deletes the user's identity, with all its data in ACS, and the mapping.
// It returns nil once the intent is durable, also when ACS refuses just then:
// Sweep does the rest. To erase a user without an identity is no error.
//
// The note in Erasures comes first, so that a crash at any later point is found
// by Sweep. Marking the mapping is the moment from which nothing is issued any
// more in this process; another one notices within cacheTTL, or when ACS has
// deleted the identity.
func (s *Service) Erase(ctx context.Context, user User) error {
	// Work that another call began may have looked before the user came back and
	// had a new identity. Who joined it makes sure: the second round began after
	// the first had ended.
	for range 2 {
		mine := false
		_, err := share(ctx, s, "erase "+user.Key(), func(ctx context.Context) (Mapping, error) {
			mine = true
			return Mapping{}, s.erase(ctx, user)
		})
		if err != nil || mine {
			return err
		}
	}
	return nil
}

func (s *Service) erase(ctx context.Context, user User) error {
	for range settleAttempts {
		m, err := s.store.Get(ctx, user)
		if errors.Is(err, ErrNotFound) {
			s.cache.dropUser(user)
			return nil
		}
		if err != nil {
			return err
		}
		if !m.Erasing {
			if m, err = s.markErasing(ctx, m); errors.Is(err, ErrVersion) || errors.Is(err, ErrNotFound) {
				continue
			} else if err != nil {
				return err
			}
		}
		if err := within(ctx, finishTimeout, func(ctx context.Context) error { return s.finish(ctx, m) }); err != nil {
			// Ends what other processes, which have not noticed yet, have issued.
			revokeErr := within(ctx, revokeTimeout, func(ctx context.Context) error { return s.issuer.RevokeTokens(ctx, m.AcsUserID) })
			s.log.LogAttrs(ctx, slog.LevelWarn, "an erasure is recorded and will be finished later",
				slog.String("acsUserId", m.AcsUserID), slog.Bool("tokensRevoked", revokeErr == nil), slog.Any("error", err))
		}
		return nil
	}
	return contended()
}

func within(ctx context.Context, timeout time.Duration, work func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return work(ctx)
}

// markErasing notes the erasure, then marks the mapping.
func (s *Service) markErasing(ctx context.Context, m Mapping) (Mapping, error) {
	return s.marking(m, func() (Mapping, error) {
		note := Erasure{AcsUserID: m.AcsUserID, User: m.User, Reason: ReasonErase, RecordedAt: s.timestamp()}
		if err := s.erasures.Record(ctx, note); err != nil {
			return Mapping{}, err
		}
		return s.store.MarkErasing(ctx, m)
	})
}

// marking runs work, which marks m, while nothing is issued for m here.
func (s *Service) marking(m Mapping, work func() (Mapping, error)) (Mapping, error) {
	s.beginErasing(m)
	marked, err := work()
	// After ErrVersion another call has marked it, or it has gone.
	if err != nil && !errors.Is(err, ErrVersion) && !errors.Is(err, ErrNotFound) {
		s.cache.abandonErasing(m)
	}
	return marked, err
}

func (s *Service) beginErasing(m Mapping) {
	s.cache.beginErasing(m)
	s.reuse.drop(m.AcsUserID)
}

// finish does what is left of the erasure of a marked mapping. Each step may
// have been done before.
func (s *Service) finish(ctx context.Context, m Mapping) error {
	s.beginErasing(m)
	if err := s.deleteIdentity(ctx, m.AcsUserID); err != nil {
		return err
	}
	err := s.store.Delete(ctx, m)
	if errors.Is(err, ErrVersion) { // nobody changes a marked mapping but another call that finishes it
		return contended().Because(err)
	}
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	return s.erasures.Clear(ctx, Erasure{AcsUserID: m.AcsUserID, User: m.User, Reason: ReasonErase})
}

// deleteIdentity takes an identity that ACS does not know for one that has been
// deleted before, which the log is told: ACS might be wrong.
func (s *Service) deleteIdentity(ctx context.Context, acsUserID string) error {
	err := s.issuer.DeleteIdentity(ctx, acsUserID)
	if errors.Is(err, ErrUnknownIdentity) {
		s.log.LogAttrs(ctx, slog.LevelInfo, "ACS does not know an identity that is to be deleted", slog.String("acsUserId", acsUserID))
		return nil
	}
	return err
}
