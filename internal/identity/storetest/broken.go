package storetest

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"acsauth/internal/identity"
)

// brokenTimeout is less than a caller waits, and time for any answer that comes.
const brokenTimeout = 5 * time.Second

// Broken is a store that can't work.
type Broken struct {
	Open func(t *testing.T) Backend
	Code identity.Code // of each error: CodeUpstreamUnavailable or CodeUpstreamRejected
}

// Check calls every method and wants its error, in time.
func (x Broken) Check(t *testing.T) {
	b := x.Open(t)
	m := newMapping(t, newUser(t))
	m.Version = "1"
	var done sync.WaitGroup
	for _, method := range methods(b, newMapping(t, newUser(t)), m, newErasure(t)) {
		done.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), brokenTimeout)
			defer cancel()
			began := time.Now()
			err := method.call(ctx)
			assert.Equal(t, x.Code, identity.CodeOf(err), "%s: %v", method.name, err)
			assert.Less(t, time.Since(began), 2*brokenTimeout, method.name)
		})
	}
	done.Wait()
}

type method struct {
	name string
	call func(context.Context) error
}

// methods lists every method of b as a call: Create with a new mapping, those
// that change one with m, those of erasures with e.
func methods(b Backend, created, m identity.Mapping, e identity.Erasure) []method {
	all := []method{
		{"Get", func(ctx context.Context) error { _, err := b.Get(ctx, m.User); return err }},
		{"Create", func(ctx context.Context) error { _, err := b.Create(ctx, created); return err }},
		{"MarkErasing", func(ctx context.Context) error { _, err := b.MarkErasing(ctx, m); return err }},
		{"Delete", func(ctx context.Context) error { return b.Delete(ctx, m) }},
		{"Ping", b.Ping},
		{"Record", func(ctx context.Context) error { return b.Record(ctx, e) }},
		{"List", func(ctx context.Context) (err error) {
			for _, err = range b.List(ctx) {
			}
			return err
		}},
		{"Clear", func(ctx context.Context) error { return b.Clear(ctx, e) }},
	}
	if lister, ok := b.(identity.Lister); ok {
		all = append(all, method{"Mappings", func(ctx context.Context) (err error) {
			for _, err = range lister.Mappings(ctx, "") {
			}
			return err
		}})
	}
	if claims, ok := b.(identity.Claims); ok {
		all = append(all,
			method{"Check", func(ctx context.Context) error { return claims.Check(ctx, m.AcsUserID, m.User) }},
			method{"Claim", func(ctx context.Context) error { return claims.Claim(ctx, created.AcsUserID, created.User) }},
			method{"Retire", func(ctx context.Context) error { return claims.Retire(ctx, m.AcsUserID) }})
	}
	return all
}
