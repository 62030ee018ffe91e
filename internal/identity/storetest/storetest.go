// Package storetest is the conformance suite of identity.Store,
// identity.Erasures and identity.Claims: what their comments promise, as tests.
// Every store's own tests run it.
//
// Start with Config. Broken is for stores whose service is down, refuses or lies:
// what its answers mean is left to the store's tests.
package storetest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"acsauth/internal/identity"
)

// The ACS resources that the suite opens stores for.
const (
	Resource      = "contoso.unitedstates.communication.azure.com"
	OtherResource = "contoso-eu.europe.communication.azure.com"
)

// MaxAcsUserID is how long an ACS user id may be that every store takes; those of
// ACS have 80 to 120 characters.
const MaxAcsUserID = 127

// callTimeout bounds each call that the suite makes.
const callTimeout = 2 * time.Minute

// Backend is what the suite tests.
type Backend interface {
	identity.Store
	identity.Erasures
}

// Config tells the suite how to get at a store.
type Config struct {
	// Open returns a handle on a new, empty place for the mappings of Resource.
	// It closes it, where needed, when t ends.
	Open func(t *testing.T) Backend
	// Beside returns a second handle on b's place, for the mappings of resource,
	// given in any case, to be used at the same time. Without it the tests of
	// two handles are not part of the suite.
	Beside func(t *testing.T, b Backend, resource string) Backend
	// MarkDeletes: to mark a mapping deletes it, since nobody but the user can ask
	// for that later.
	MarkDeletes bool
	// Place says where b is, to the test named ChildTest in another process: that
	// test calls Child. Without it the test of several processes is not part of
	// the suite.
	Place     func(t *testing.T, b Backend) string
	ChildTest string
	// Unordered: Mappings keeps no order.
	Unordered bool
}

// Run runs the suite.
func (c Config) Run(t *testing.T) {
	marks := markTests
	if c.MarkDeletes {
		marks = markDeletesTests
	}
	for _, group := range [][]test{mappingTests, marks, goneTests, raceTests, refusalTests, erasureTests, claimTests} {
		for _, test := range group {
			t.Run(test.name, func(t *testing.T) { test.run(t, c.Open(t)) })
		}
	}
	for _, test := range listerTests {
		t.Run(test.name, func(t *testing.T) {
			b := c.Open(t)
			if _, ok := b.(identity.Lister); !ok {
				t.Skip("the store can't be listed")
			}
			test.run(t, b, c.Unordered)
		})
	}
	if c.Place != nil {
		t.Run("of creates and of claims in several processes exactly one wins", c.raceProcesses)
	}
	if c.Beside == nil {
		return
	}
	for _, test := range slices.Concat(besideTests, claimBesideTests) {
		t.Run(test.name, func(t *testing.T) {
			b := c.Open(t)
			test.run(t, b, func(resource string) Backend { return c.Beside(t, b, resource) })
		})
	}
}

type test struct {
	name string
	run  func(t *testing.T, b Backend)
}

func call(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), callTimeout)
	t.Cleanup(cancel)
	return ctx
}

func guid(t *testing.T) string {
	t.Helper()
	var b [16]byte
	_, err := rand.Read(b[:])
	require.NoError(t, err)
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

func newUser(t *testing.T) identity.User {
	t.Helper()
	user, err := identity.NewUser(guid(t), guid(t))
	require.NoError(t, err)
	return user
}

func acsUserID(t *testing.T) string {
	t.Helper()
	return "8:acs:" + guid(t) + "_" + guid(t)
}

// newMapping returns one as identity.Service would hand it to Create.
func newMapping(t *testing.T, user identity.User) identity.Mapping {
	t.Helper()
	return identity.Mapping{
		User:      user,
		AcsUserID: acsUserID(t),
		CreatedAt: time.Date(2026, 11, 22, 9, 30, 15, 0, time.UTC),
	}
}

func create(t *testing.T, b Backend, m identity.Mapping) identity.Mapping {
	t.Helper()
	created, err := b.Create(call(t), m)
	require.NoError(t, err, "create a mapping")
	return created
}

func newErasure(t *testing.T) identity.Erasure {
	t.Helper()
	return identity.Erasure{
		AcsUserID:  acsUserID(t),
		User:       newUser(t),
		Reason:     identity.ReasonErase,
		RecordedAt: time.Date(2026, 11, 22, 9, 30, 15, 0, time.UTC),
	}
}

// listed returns all notes.
func listed(t *testing.T, b Backend) (notes []identity.Erasure) {
	t.Helper()
	for note, err := range b.List(call(t)) {
		require.NoError(t, err, "list erasures")
		notes = append(notes, note)
	}
	return notes
}

// isPlain reports an error that is none of those that identity names.
func isPlain(err error) error {
	if err == nil {
		return errors.New("want an error, got none")
	}
	for _, named := range []error{identity.ErrNotFound, identity.ErrExists, identity.ErrVersion, identity.ErrClaimed, identity.ErrUnclaimed, identity.ErrRetired} {
		if errors.Is(err, named) {
			return fmt.Errorf("want an error of its own, got %w", err)
		}
	}
	if code := identity.CodeOf(err); code != identity.CodeInternal {
		return fmt.Errorf("want an error without a code, got %w", err)
	}
	return nil
}
