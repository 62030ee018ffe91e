package identity

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"
)

// flightTimeout bounds the work that callers of one user share. It goes on when
// the caller that began it has gone, so that an identity made in ACS gets
// recorded. It outlasts a caller's own deadline: an answer of ACS that comes
// late is still worth having.
const flightTimeout = 20 * time.Second

// settleTimeout bounds each step of the clean-up after a store did not keep a
// mapping, or did not say so.
const settleTimeout = 4 * time.Second

// Service keeps one ACS identity for one user and issues tokens for it. Make one
// with NewService; its methods may be called from many goroutines. Their errors
// are an *Error, or come from a context, or are CodeInternal: a row that can't be
// read, a panic.
type Service struct {
	store    Store
	erasures Erasures
	issuer   Issuer
	log      *slog.Logger
	now      func() time.Time
	cache    *cache
	reuse    *reuse
	flights  singleflight.Group
	working  sync.RWMutex // held for reading by the work of flights
	lost     atomic.Int64 // identities that ACS may have made and did not name
	unnoted  unnoted
}

// NewService returns a Service on the given parts. now is the clock.
func NewService(store Store, erasures Erasures, issuer Issuer, log *slog.Logger, now func() time.Time) *Service {
	return &Service{store: store, erasures: erasures, issuer: issuer, log: log, now: now, cache: newCache(now), reuse: newReuse(0, now)}
}

// ReuseTokens lets Token hand the same token to the same user again for the given
// time, if it asks for the same and the token has ten minutes left or more. It
// ends early with Refresh, Revoke and Erase in this process. Call it before any
// other method; without it each token is new.
func (s *Service) ReuseTokens(lasting time.Duration) { s.reuse = newReuse(lasting, s.now) }

// Ensure returns the user's mapping and makes the identity when there is none.
// created tells whether this very call made it.
func (s *Service) Ensure(ctx context.Context, user User) (m Mapping, created bool, err error) {
	if m, ok := s.cache.get(user); ok {
		return m, false, nil
	}
	made := false // stays so for the callers that wait for another's work
	m, err = s.shareMapping(ctx, "ensure "+user.Key(), func(ctx context.Context) (m Mapping, err error) {
		if m, made, err = s.findOrCreate(ctx, user); err == nil {
			s.noteUnnoted(ctx, unnotedAtOnce)
		}
		return m, err
	})
	if err != nil {
		return Mapping{}, false, err
	}
	return m, made, nil
}

// Find returns the user's mapping: CodeIdentityNotFound when there is none.
func (s *Service) Find(ctx context.Context, user User) (Mapping, error) {
	if m, ok := s.cache.get(user); ok {
		return m, nil
	}
	m, err := s.shareMapping(ctx, "find "+user.Key(), func(ctx context.Context) (Mapping, error) {
		m, err := s.store.Get(ctx, user)
		if err == nil && !m.Erasing {
			s.cache.put(m)
		}
		return m, err
	})
	if errors.Is(err, ErrNotFound) || err == nil && m.Erasing {
		return Mapping{}, noIdentity()
	}
	return m, err
}

// Token issues a token for the user's identity, which it makes when there is
// none. When ACS no longer knows the identity, a new one takes its place.
func (s *Service) Token(ctx context.Context, user User, req TokenRequest) (Token, Mapping, error) {
	for range settleAttempts {
		m, _, err := s.Ensure(ctx, user)
		if err != nil {
			return Token{}, Mapping{}, err
		}
		token, err := s.reuseOrIssue(ctx, m, req)
		if errors.Is(err, ErrUnknownIdentity) {
			s.reuse.drop(m.AcsUserID)
			if m, err = s.replace(ctx, m, req); err != nil {
				return Token{}, Mapping{}, err
			}
			token, err = s.issue(ctx, m, req)
		}
		// ErrUnknownIdentity: another process has erased what was found or made here.
		if !errors.Is(err, ErrUnknownIdentity) && !errors.Is(err, errStartOver) {
			return token, m, err
		}
	}
	return Token{}, Mapping{}, contended()
}

// Refresh issues a token for the identity that the user has: CodeIdentityNotFound
// when there is none.
func (s *Service) Refresh(ctx context.Context, user User, req TokenRequest) (token Token, m Mapping, err error) {
	m, err = s.withIdentity(ctx, user, func(m Mapping) error {
		s.reuse.drop(m.AcsUserID)
		token, err = s.issue(ctx, m, req)
		return err
	})
	return token, m, err
}

// Revoke ends every token of the user's identity: CodeIdentityNotFound when the
// user has none.
func (s *Service) Revoke(ctx context.Context, user User) error {
	_, err := s.withIdentity(ctx, user, func(m Mapping) error {
		// After it too: what was issued meanwhile may have been revoked or not.
		defer s.reuse.drop(m.AcsUserID)
		s.reuse.drop(m.AcsUserID)
		return s.issuer.RevokeTokens(ctx, m.AcsUserID)
	})
	return err
}

// withIdentity does work with the identity that the user has. Where ACS no
// longer knows it, another process may have put a new one in its place, so the
// store is asked once more.
func (s *Service) withIdentity(ctx context.Context, user User, work func(Mapping) error) (Mapping, error) {
	var dead string
	for {
		m, err := s.Find(ctx, user)
		if err != nil {
			return Mapping{}, err
		}
		err = work(m)
		if !errors.Is(err, ErrUnknownIdentity) && !errors.Is(err, errStartOver) {
			return m, err
		}
		s.cache.drop(m)
		if m.AcsUserID == dead {
			return Mapping{}, noIdentity().Because(err)
		}
		dead = m.AcsUserID
	}
}

// Exchange trades a Teams user's Entra token for an ACS token, as the Issuer
// does. It concerns no mapping: ACS knows Teams users by their object id.
func (s *Service) Exchange(ctx context.Context, x TeamsExchange) (token Token, acsUserID string, err error) {
	return s.issuer.ExchangeTeamsToken(ctx, x)
}

// Ready reports whether the store answers.
func (s *Service) Ready(ctx context.Context) error { return s.store.Ping(ctx) }

// reuseOrIssue is issue for calls that need no new token. Those that ask for the
// same at the same time share one.
func (s *Service) reuseOrIssue(ctx context.Context, m Mapping, req TokenRequest) (Token, error) {
	if s.reuse.lasting == 0 {
		return s.issue(ctx, m, req)
	}
	if s.cache.isErasing(m) {
		return Token{}, errStartOver
	}
	kind := kindOf(req)
	if token, ok := s.reuse.get(m.AcsUserID, kind); ok {
		return token, nil
	}
	// The count keeps callers that come after a drop apart from those before it.
	count := s.reuse.count(m.AcsUserID)
	return share(ctx, s, fmt.Sprintf("token %s %d %s", m.AcsUserID, count, kind), func(ctx context.Context) (Token, error) {
		if token, ok := s.reuse.get(m.AcsUserID, kind); ok { // since the look above
			return token, nil
		}
		token, err := s.issue(ctx, m, req)
		if err == nil {
			s.reuse.keep(m.AcsUserID, count, kind, token)
		}
		return token, err
	})
}

// issue never hands out a token for an identity whose erasure has begun in this
// process: then the error is errStartOver.
func (s *Service) issue(ctx context.Context, m Mapping, req TokenRequest) (Token, error) {
	if s.cache.isErasing(m) {
		return Token{}, errStartOver
	}
	token, err := s.issuer.IssueToken(ctx, m.AcsUserID, req)
	if s.cache.isErasing(m) {
		return Token{}, errStartOver
	}
	return token, err
}

func noIdentity() *Error {
	return Errorf(CodeIdentityNotFound, "You have no communication identity. Call getUser or getToken to get one.")
}

// share runs work once for all the callers that ask for key at the same time.
// The work has its own deadline; each caller waits for its own.
func share[T any](ctx context.Context, s *Service, key string, work func(context.Context) (T, error)) (T, error) {
	done := s.flights.DoChan(key, func() (any, error) {
		s.working.RLock()
		defer s.working.RUnlock()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flightTimeout)
		defer cancel()
		var v T
		err := guard(func() (err error) {
			v, err = work(ctx)
			return err
		})
		return v, err
	})
	select {
	case r := <-done:
		v, _ := r.Val.(T)
		return v, r.Err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}

// shareMapping is share for work that reads a user's mapping. Another's may have
// read it before an erasure that this call's user has had the answer to; a second
// round has begun after that.
func (s *Service) shareMapping(ctx context.Context, key string, work func(context.Context) (Mapping, error)) (Mapping, error) {
	for round := 0; ; round++ {
		mine := false
		m, err := share(ctx, s, key, func(ctx context.Context) (Mapping, error) {
			mine = true
			return work(ctx)
		})
		if err != nil || mine || round > 0 || !s.cache.isErasing(m) {
			return m, err
		}
	}
}

// guard makes an error of a panic, which would end the process where it happens
// on a goroutine of this package's own.
func guard(work func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return work()
}

// Wait returns when the work that callers shared and left has ended, or with ctx's
// error. It is for a clean stop, after the last call.
func (s *Service) Wait(ctx context.Context) error {
	idle := make(chan struct{})
	go func() {
		s.working.Lock()
		defer s.working.Unlock()
		close(idle)
	}()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Service) timestamp() time.Time { return s.now().UTC().Truncate(time.Second) }
