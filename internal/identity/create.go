package identity

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

const (
	// settleAttempts bounds how often one call starts over because the user's
	// mapping changed under it. Each time another call has got further.
	settleAttempts = 4
	// createTries bounds how often one call has an identity made. Where one
	// answer in eight is lost, all are lost once in 30,000 calls.
	createTries = 5
	createPause = 50 * time.Millisecond
	// createWithin is how long after the first try another may begin. It tells a
	// broken connection from an ACS that does not answer.
	createWithin = 5 * time.Second
)

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
		m, created, err = s.create(ctx, user)
		if !errors.Is(err, errStartOver) {
			return m, created, err
		}
	}
	return Mapping{}, false, contended()
}

// replace takes the place of a mapping whose identity ACS no longer knows. All
// the callers that notice together share one replacement.
func (s *Service) replace(ctx context.Context, dead Mapping, req TokenRequest) (Mapping, error) {
	s.cache.drop(dead)
	return share(ctx, s, "replace "+dead.User.Key()+" "+dead.AcsUserID, func(ctx context.Context) (m Mapping, err error) {
		for range settleAttempts {
			current, err := s.store.Get(ctx, dead.User)
			switch {
			case errors.Is(err, ErrNotFound):
				m, _, err = s.create(ctx, dead.User)
			case err != nil:
				return Mapping{}, err
			case current.Erasing:
				if err := s.finish(ctx, current); err != nil {
					return Mapping{}, err
				}
				continue
			case current.AcsUserID != dead.AcsUserID:
				s.cache.put(current)
				return current, nil
			default:
				m, err = s.swap(ctx, current, req)
			}
			if !errors.Is(err, errStartOver) {
				return m, err
			}
		}
		return Mapping{}, contended()
	})
}

// swap puts a new identity in the place of old's. It is made, and has had a token
// issued, and ACS has denied the old one again, before the old mapping is dropped: an
// endpoint that answers 404 to everything, or to every such request, costs nobody an
// identity.
func (s *Service) swap(ctx context.Context, old Mapping, req TokenRequest) (Mapping, error) {
	acsUserID, err := s.newIdentity(ctx)
	if err != nil {
		return Mapping{}, err
	}
	if _, err := s.issuer.IssueToken(ctx, acsUserID, req); err != nil {
		s.discard(ctx, old.User, acsUserID)
		if errors.Is(err, ErrUnknownIdentity) {
			err = Errorf(CodeUpstreamRejected, "The communication service does not know an identity that it has just made.").Because(err)
		}
		return Mapping{}, err
	}
	// What is dropped is erased too, and ACS has been wrong about identities that it had:
	// https://github.com/Azure/azure-sdk-for-js/issues/19849
	if _, err := s.issuer.IssueToken(ctx, old.AcsUserID, req); !errors.Is(err, ErrUnknownIdentity) {
		s.discard(ctx, old.User, acsUserID)
		return old, err
	}
	err = s.store.Delete(ctx, old)
	switch {
	case err == nil:
		// Most likely gone; if ACS was wrong about it, it must not be lost.
		defer s.discard(ctx, old.User, old.AcsUserID)
		s.log.LogAttrs(ctx, slog.LevelWarn, "replacing an identity that ACS no longer knows",
			slog.String("acsUserId", old.AcsUserID), slog.String("replacedBy", acsUserID))
	case errors.Is(err, ErrNotFound), errors.Is(err, ErrVersion):
		// Another call replaces or erases it, and sees to the old identity.
	default:
		s.discard(ctx, old.User, acsUserID)
		return Mapping{}, err
	}
	m, _, err := s.insert(ctx, old.User, acsUserID)
	return m, err
}

func contended() *Error {
	return Errorf(CodeUpstreamUnavailable, "Your identity is being changed by other calls. Try again.")
}

// errStartOver: the mapping that won has gone again.
var errStartOver = errors.New("the mapping changed meanwhile")

// create makes an identity and records it. created is false where another call's
// mapping was found recorded instead.
func (s *Service) create(ctx context.Context, user User) (m Mapping, created bool, err error) {
	acsUserID, err := s.newIdentity(ctx)
	if err != nil {
		return Mapping{}, false, err
	}
	return s.insert(ctx, user, acsUserID)
}

// newIdentity has ACS make an identity, and makes another where the answer was
// lost at once: the first, if there is one, holds no data and nobody was told of
// it, and the caller would only ask again.
func (s *Service) newIdentity(ctx context.Context) (acsUserID string, err error) {
	began := s.now()
	for try := range createTries {
		if try > 0 && !pause(ctx, time.Duration(try)*createPause) {
			break
		}
		acsUserID, err = s.issuer.CreateIdentity(ctx)
		if err == nil {
			// Should this process be killed before it is recorded, the log alone has it.
			s.log.LogAttrs(ctx, slog.LevelInfo, "an identity has been made", slog.String("acsUserId", acsUserID))
		}
		if !errors.Is(err, ErrOutcomeUnknown) {
			return acsUserID, err
		}
		s.log.LogAttrs(ctx, slog.LevelError, "an identity may have been created and is not recorded",
			slog.Int64("lostSinceStart", s.lost.Add(1)), slog.Any("error", err))
		var e *Error
		if !errors.As(err, &e) || e.Code != CodeUpstreamUnavailable || e.RetryAfter > 0 || s.now().Sub(began) > createWithin {
			break
		}
	}
	return "", err
}

// pause reports whether ctx lasted that long.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

func (s *Service) insert(ctx context.Context, user User, acsUserID string) (m Mapping, created bool, err error) {
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

// discard deletes an identity that no mapping is to hold. It is noted first,
// lest it be forgotten when ACS refuses or this process ends. Should the mapping
// turn out to have been kept after all, it points to an identity that ACS does
// not know, and the next token call mends that.
func (s *Service) discard(ctx context.Context, user User, acsUserID string) {
	ctx = context.WithoutCancel(ctx)
	note := Erasure{AcsUserID: acsUserID, User: user, Reason: ReasonOrphan, RecordedAt: s.timestamp()}
	noteErr := within(ctx, settleTimeout, func(ctx context.Context) error { return s.erasures.Record(ctx, note) })
	err := within(ctx, settleTimeout, func(ctx context.Context) error { return s.deleteIdentity(ctx, acsUserID) })
	switch {
	case err == nil:
		if noteErr == nil { // a note that stays costs Sweep one call
			_ = within(ctx, settleTimeout, func(ctx context.Context) error { return s.erasures.Clear(ctx, note) })
		}
	case noteErr == nil:
		s.log.LogAttrs(ctx, slog.LevelWarn, "an identity that no mapping holds is to be deleted later",
			slog.String("acsUserId", acsUserID), slog.Any("error", err))
	default:
		// Should this process end before the store is back, the log alone has it.
		s.unnoted.add(note)
		s.log.LogAttrs(ctx, slog.LevelError, "an identity is neither mapped nor deleted nor noted: delete it by hand",
			slog.String("acsUserId", acsUserID), slog.Any("error", errors.Join(err, noteErr)))
	}
}
