package identity_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"acsauth/internal/identity"
	"acsauth/internal/secret"
)

// witness is an issuer that remembers what happened in which order.
type witness struct {
	*issuer
	now    func() time.Time
	events atomic.Int64

	mu      sync.Mutex
	minted  map[string]minted // by token
	deleted map[string]int64  // by identity
	atLeast map[string]int64  // by identity: what calls that have returned ended before
}

type minted struct {
	began int64
	id    string
	req   identity.TokenRequest
}

func (w *witness) IssueToken(_ context.Context, id string, req identity.TokenRequest) (identity.Token, error) {
	began, now := w.events.Add(1), w.now()
	linger()
	if err := w.known(id); err != nil {
		return identity.Token{}, err
	}
	value := fmt.Sprint("token ", began)
	w.mu.Lock()
	w.minted[value] = minted{began, id, req}
	w.mu.Unlock()
	linger()
	return identity.Token{Value: secret.New(value), ExpiresOn: now.Add(req.ExpiresIn)}, nil
}

// revocation is what a call of Revoke learns of its own work.
type revocation struct {
	id   string
	done int64
}

func (w *witness) RevokeTokens(ctx context.Context, id string) error {
	linger()
	err := w.issuer.RevokeTokens(ctx, id)
	if r, ok := ctx.Value(revocation{}).(*revocation); ok {
		*r = revocation{id, w.events.Add(1)}
	}
	linger()
	return err
}

func (w *witness) DeleteIdentity(ctx context.Context, id string) error {
	err := w.issuer.DeleteIdentity(ctx, id)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.deleted[id] = w.events.Add(1)
	return err
}

// linger lets others run.
func linger() {
	for range rand.IntN(20) {
		runtime.Gosched()
	}
}

// endedBefore holds later calls to handing out no token of id from before event.
func (w *witness) endedBefore(id string, event int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.atLeast[id] = max(w.atLeast[id], event)
}

// request is a call for a token, with what held when it began.
type request struct {
	user    identity.User
	req     identity.TokenRequest
	began   int64
	at      time.Time
	atLeast map[string]int64
}

func (w *witness) begin(u identity.User, req identity.TokenRequest) request {
	w.mu.Lock()
	defer w.mu.Unlock()
	return request{u, req, w.events.Add(1), w.now(), maps.Clone(w.atLeast)}
}

// check reports when the token of an answer was begun.
func (w *witness) check(t *testing.T, r request, token identity.Token, m identity.Mapping) (began int64) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	issued := w.minted[token.Value.Reveal()]
	assert.Equal(t, r.user, m.User)
	assert.Equal(t, m.AcsUserID, issued.id, "another identity's token")
	assert.Equal(t, r.req, issued.req, "a token of another kind")
	assert.Greater(t, issued.began, r.atLeast[issued.id], "a token from before a revocation or a refresh")
	if deleted, ok := w.deleted[issued.id]; ok {
		assert.Greater(t, deleted, r.began, "a token of an identity that had gone")
	}
	assert.GreaterOrEqual(t, token.ExpiresOn.Sub(r.at), 10*time.Minute)
	return issued.began
}

func TestNoTokenIsHandedOutAfterWhatEndedIt(t *testing.T) {
	r := newReusing(t)
	w := &witness{issuer: r.issuer, now: r.mint.now, minted: map[string]minted{}, deleted: map[string]int64{}, atLeast: map[string]int64{}}
	r.Service = identity.NewService(r.store, r.store, w, slog.New(slog.DiscardHandler), w.now)
	r.ReuseTokens(2 * time.Hour) // longer than tokens live
	kinds := []identity.TokenRequest{
		{Scopes: []string{"chat"}, ExpiresIn: time.Hour},
		{Scopes: []string{"voip"}, ExpiresIn: time.Hour},
		{Scopes: []string{"chat"}, ExpiresIn: 2 * time.Hour},
	}
	var issued, again atomic.Int64
	var standing sync.RWMutex // the clock, while calls are under way
	atOnce(8, func(int) {
		for range 1000 {
			u, req := user(rand.IntN(3)), kinds[rand.IntN(len(kinds))]
			n := rand.IntN(1000)
			if n >= 955 {
				standing.Lock()
				r.advance(time.Duration(rand.IntN(1800)) * time.Second)
				standing.Unlock()
				continue
			}
			standing.RLock()
			switch {
			case n < 850:
				call := w.begin(u, req)
				token, m, err := r.Token(t.Context(), u, req)
				switch {
				case err != nil: // another call erases the identity
				case w.check(t, call, token, m) > call.began:
					issued.Add(1)
				default:
					again.Add(1)
				}
			case n < 900:
				call := w.begin(u, req)
				if token, m, err := r.Refresh(t.Context(), u, req); err == nil {
					assert.Greater(t, w.check(t, call, token, m), call.began, "a refresh is new")
					w.endedBefore(m.AcsUserID, call.began)
				}
			case n < 950:
				var mine revocation
				if err := r.Revoke(context.WithValue(t.Context(), revocation{}, &mine), u); err == nil {
					w.endedBefore(mine.id, mine.done)
				}
			default:
				_ = r.Erase(t.Context(), u)
			}
			standing.RUnlock()
		}
	})
	assert.Greater(t, issued.Load(), int64(100))
	assert.Greater(t, again.Load(), int64(100))
}
