package identity

import (
	"context"
	"errors"
	"log/slog"
)

// settleAttempts bounds how often one call starts over because the user's
// mapping changed under it. Each time another call has got further.
const settleAttempts = 4

// findOrCreate is the whole of "one user, one identity": read; on a miss create
// in ACS and insert if absent; who finds another's mapping there uses that and
// deletes the identity that lost.
func (s *Service) findOrCreate(ctx context.Context, user User) (m Mapping, created bool, err error) {
	for range settleAttempts {
		m, err = s.store.Get(ctx, user)
		switch {
		case err == nil && !m.Erasing:
			s.cache.put(m)
			return m, false, nil
		case err == nil:
			if err := s.finish(ctx, m); err != nil {
				return Mapping{}, false, err
			}
			continue
		case !errors.Is(err, ErrNotFound):
			return Mapping{}, false, err
		}
		m, created, err = s.create(ctx, user, nil)
		if !errors.Is(err, errStartOver) {
			return m, created, err
		}
	}
	return Mapping{}, false, contended()
}

// replace takes the place of a mapping whose identity ACS no longer knows. All
// the callers that notice together share one replacement. The new identity is
// made before the old mapping is dropped: an endpoint that answers 404 to
// everything costs no mapping.
func (s *Service) replace(ctx context.Context, dead Mapping) (Mapping, error) {
	s.cache.drop(dead)
	return share(ctx, s, "replace "+dead.User.Key()+" "+dead.AcsUserID, func(ctx context.Context) (Mapping, error) {
		for range settleAttempts {
			current, err := s.store.Get(ctx, dead.User)
			var old *Mapping
			switch {
			case errors.Is(err, ErrNotFound):
			case err != nil:
				return Mapping{}, err
			case current.Erasing:
				if err := s.finish(ctx, current); err != nil {
					return Mapping{}, err
				}
			case current.AcsUserID != dead.AcsUserID:
				s.cache.put(current)
				return current, nil
			default:
				old = &current
			}
			m, _, err := s.create(ctx, dead.User, old)
			if err == nil && old != nil {
				// Most likely gone; if ACS was wrong about it, it must not be lost.
				s.discard(ctx, dead.User, dead.AcsUserID)
				s.log.LogAttrs(ctx, slog.LevelWarn, "replaced an identity that ACS no longer knows",
					slog.String("acsUserId", dead.AcsUserID), slog.String("replacedBy", m.AcsUserID))
			}
			if !errors.Is(err, errStartOver) {
				return m, err
			}
		}
		return Mapping{}, contended()
	})
}

func contended() *Error {
	return Errorf(CodeUpstreamUnavailable, "Your identity is being changed by other calls. Try again.")
}

// errStartOver: the mapping that won has gone again.
var errStartOver = errors.New("the mapping changed meanwhile")

// create makes an identity and records it, in place of old where given. created
// is false where another call's mapping was found recorded instead.
func (s *Service) create(ctx context.Context, user User, old *Mapping) (m Mapping, created bool, err error) {
	acsUserID, err := s.issuer.CreateIdentity(ctx)
	if err != nil {
		if errors.Is(err, ErrOutcomeUnknown) {
			s.log.LogAttrs(ctx, slog.LevelError, "an identity may have been created and is not recorded", slog.Any("error", err))
		}
		return Mapping{}, false, err
	}
	if old != nil {
		err := s.store.Delete(ctx, *old)
		if err != nil && !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrVersion) {
			s.discard(ctx, user, acsUserID)
			return Mapping{}, false, err
		}
	}
	m, err = s.store.Create(ctx, Mapping{User: user, AcsUserID: acsUserID, CreatedAt: s.timestamp()})
	if err == nil {
		s.cache.put(m)
		return m, true, nil
	}
	return s.settle(ctx, user, acsUserID, err)
}

// settle finds out whose mapping the store holds after an insert failed, and
// deletes acsUserID unless it is that one.
func (s *Service) settle(ctx context.Context, user User, acsUserID string, insertErr error) (Mapping, bool, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()

	m, err := s.store.Get(ctx, user)
	if err == nil && m.AcsUserID == acsUserID {
		// The insert had been done; only its answer was lost.
		s.cache.put(m)
		return m, true, nil
	}
	s.discard(ctx, user, acsUserID)
	switch {
	case err == nil && !m.Erasing:
		s.cache.put(m)
		return m, false, nil
	case err == nil || errors.Is(insertErr, ErrExists) && errors.Is(err, ErrNotFound):
		return Mapping{}, false, errStartOver
	case errors.Is(insertErr, ErrExists):
		return Mapping{}, false, err
	}
	return Mapping{}, false, insertErr
}

// discard deletes an identity that no mapping is to hold, or notes it for later.
// Should the mapping turn out to have been kept after all, it points to an
// identity that ACS does not know, and the next token call mends that.
func (s *Service) discard(ctx context.Context, user User, acsUserID string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()

	err := s.issuer.DeleteIdentity(ctx, acsUserID)
	if err == nil || errors.Is(err, ErrUnknownIdentity) {
		return
	}
	noteErr := s.erasures.Record(ctx, Erasure{AcsUserID: acsUserID, User: user, Reason: ReasonOrphan, RecordedAt: s.timestamp()})
	if noteErr != nil {
		// The log is the last place left to keep it.
		s.log.LogAttrs(ctx, slog.LevelError, "an identity is neither mapped nor deleted nor noted: delete it by hand",
			slog.String("acsUserId", acsUserID), slog.Any("error", errors.Join(err, noteErr)))
		return
	}
	s.log.LogAttrs(ctx, slog.LevelWarn, "an identity that no mapping holds is to be deleted later",
		slog.String("acsUserId", acsUserID), slog.Any("error", err))
}
