package identity_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"acsauth/internal/identity"
	"acsauth/internal/secret"
)

// mint is an issuer that counts its tokens and gives each a value of its own.
type mint struct {
	*issuer
	issued atomic.Int64
	now    func() time.Time
	wait   chan struct{} // nil: does not wait
}

func (m *mint) IssueToken(_ context.Context, id string, req identity.TokenRequest) (identity.Token, error) {
	if err := m.known(id); err != nil {
		return identity.Token{}, err
	}
	value := fmt.Sprintf("token %d of %s", m.issued.Add(1), id)
	if m.wait != nil {
		<-m.wait
	}
	return identity.Token{Value: secret.New(value), ExpiresOn: m.now().Add(req.ExpiresIn)}, nil
}

// reusing is a service with a clock that hands tokens out again for a minute.
type reusing struct {
	*world
	mint *mint
	time atomic.Pointer[time.Time]
}

func newReusing(t *testing.T) *reusing {
	t.Helper()
	r := &reusing{world: newWorld(t)}
	r.set(time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC))
	now := func() time.Time { return *r.time.Load() }
	r.mint = &mint{issuer: r.issuer, now: now}
	r.Service = identity.NewService(r.store, r.store, r.mint, slog.New(slog.DiscardHandler), now)
	r.ReuseTokens(time.Minute)
	return r
}

func (r *reusing) set(t time.Time)          { r.time.Store(&t) }
func (r *reusing) advance(by time.Duration) { r.set(r.time.Load().Add(by)) }
func (r *reusing) token(n int) string       { return r.tokenFor(n, chat) }
func (r *reusing) refreshed(n int) string   { return r.value(r.Refresh(r.Context(), user(n), chat)) }
func (r *reusing) tokenFor(n int, req identity.TokenRequest) string {
	return r.value(r.Token(r.Context(), user(n), req))
}

func (r *reusing) value(token identity.Token, _ identity.Mapping, err error) string {
	r.Helper()
	require.NoError(r, err)
	return token.Value.Reveal()
}

func TestTheSameTokenIsHandedOutForAMinute(t *testing.T) {
	r := newReusing(t)
	first := r.token(1)
	r.advance(59 * time.Second)
	assert.Equal(t, first, r.token(1))
	assert.NotEqual(t, first, r.token(2), "another user")
	r.advance(2 * time.Second)
	assert.NotEqual(t, first, r.token(1))
}

func TestATokenStandsInForNoOther(t *testing.T) {
	r := newReusing(t)
	requests := []identity.TokenRequest{
		{Scopes: []string{"chat"}, ExpiresIn: time.Hour},
		{Scopes: []string{"voip"}, ExpiresIn: time.Hour},
		{Scopes: []string{"chat", "voip"}, ExpiresIn: time.Hour},
		{Scopes: []string{"chat"}, ExpiresIn: 2 * time.Hour},
	}
	seen := map[string]bool{}
	for _, req := range requests {
		seen[r.tokenFor(1, req)] = true
	}
	assert.Len(t, seen, len(requests))
	for _, req := range requests {
		assert.True(t, seen[r.tokenFor(1, req)], "%v", req)
	}
	assert.Equal(t, r.tokenFor(1, requests[2]), r.tokenFor(1, identity.TokenRequest{Scopes: []string{"voip", "chat"}, ExpiresIn: time.Hour}))
	assert.EqualValues(t, len(requests), r.mint.issued.Load())
}

func TestATokenWithLessThanTenMinutesLeftIsNotHandedOutAgain(t *testing.T) {
	r := newReusing(t)
	r.ReuseTokens(2 * time.Hour)
	first := r.token(1)
	r.advance(49 * time.Minute)
	assert.Equal(t, first, r.token(1))
	r.advance(time.Minute)
	assert.NotEqual(t, first, r.token(1))
}

func TestRefreshRevokeAndEraseEndTheReuse(t *testing.T) {
	r := newReusing(t)
	first := r.token(1)
	refreshed := r.refreshed(1)
	assert.NotEqual(t, first, refreshed)
	assert.NotEqual(t, refreshed, r.refreshed(1), "each refresh is new")
	second := r.token(1)
	assert.NotEqual(t, first, second)
	require.NoError(t, r.Revoke(t.Context(), user(1)))
	third := r.token(1)
	assert.NotEqual(t, second, third)
	require.NoError(t, r.Erase(t.Context(), user(1)))
	_, m, err := r.Token(t.Context(), user(1), chat)
	require.NoError(t, err)
	assert.NotContains(t, third, m.AcsUserID, "another identity")
}

// What was being issued while the user revoked may be revoked or not.
func TestATokenUnderWayDuringARevocationIsNotKept(t *testing.T) {
	r := newReusing(t)
	r.token(2) // so that it is not the store that the calls wait for
	r.advance(2 * time.Minute)
	r.mint.wait = make(chan struct{})
	var during string
	done := make(chan struct{})
	go func() { defer close(done); during = r.token(2) }()
	require.Eventually(t, func() bool { return r.mint.issued.Load() == 2 }, time.Minute, time.Millisecond)
	require.NoError(t, r.Revoke(t.Context(), user(2)))
	close(r.mint.wait)
	after := r.token(2)
	<-done
	assert.NotEqual(t, during, after, "a call after the revocation")
	assert.Equal(t, after, r.token(2))
}

func TestAStormOfOneUserCostsOneToken(t *testing.T) {
	r := newReusing(t)
	atOnce(200, func(int) { assert.Contains(t, r.token(1), "token 1 ") })
	assert.EqualValues(t, 1, r.mint.issued.Load())
}

func TestWithoutReuseEachTokenIsNew(t *testing.T) {
	r := newReusing(t)
	r.ReuseTokens(0)
	assert.NotEqual(t, r.token(1), r.token(1))
}

func TestAFailureIsNotKept(t *testing.T) {
	r := newReusing(t)
	m, _, err := r.Ensure(t.Context(), user(1))
	require.NoError(t, err)
	r.token(1)
	r.issuer.forget(m.AcsUserID)
	r.advance(2 * time.Minute)
	_, replaced, err := r.Token(t.Context(), user(1), chat)
	require.NoError(t, err)
	assert.NotEqual(t, m.AcsUserID, replaced.AcsUserID)
	assert.Contains(t, r.token(1), replaced.AcsUserID)
}
