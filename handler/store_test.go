package main

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"acsauth/internal/bolt"
	"acsauth/internal/graph"
	"acsauth/internal/identity"
)

// halting is a place whose process ends, for all that it does, at one step.
type halting struct {
	*bolt.Store
	at string
}

var errHalted = errors.New("halted")

func (h halting) Release(ctx context.Context, acsUserID string) error {
	if h.at == "before the release" {
		return errHalted
	}
	return h.Store.Release(ctx, acsUserID)
}

func (h halting) Clear(ctx context.Context, e identity.Erasure) error {
	if h.at == "before the note is cleared" {
		return errHalted
	}
	return h.Store.Clear(ctx, e)
}

// deleting is an ACS that knows how to delete.
type deleting struct{ identity.Issuer }

func (deleting) DeleteIdentity(context.Context, string) error { return nil }

func TestAnErasureThatWasCutShortLeavesNoClaim(t *testing.T) {
	user := identity.User{TenantID: "6f1d7c52-3b0e-4a9c-8d27-51c0a4e9b310", ObjectID: "0a1c5d3e-94b2-4e6f-8a70-3c2d1b0e9f81"}
	other := identity.User{TenantID: user.TenantID, ObjectID: user.TenantID}
	for _, reason := range []identity.Reason{identity.ReasonErase, identity.ReasonOrphan} {
		for _, at := range []string{"before the release", "before the note is cleared"} {
			file, err := bolt.Open(filepath.Join(t.TempDir(), "notes.db"), "contoso.example")
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, file.Close()) })
			note := identity.Erasure{AcsUserID: "8:acs:a_b", User: user, Reason: reason, RecordedAt: time.Now()}
			require.NoError(t, file.Claim(t.Context(), note.AcsUserID, user))
			require.NoError(t, file.Record(t.Context(), note))
			sweep := func(p place) identity.Swept {
				s := split{&graph.Store{}, p} // nobody's call: Graph is not asked
				swept, err := identity.NewService(s, s, deleting{}, slog.New(slog.DiscardHandler), time.Now).Sweep(t.Context())
				require.NoError(t, err)
				return swept
			}
			assert.Equal(t, 1, sweep(halting{file, at}).Pending, at)
			assert.Equal(t, 1, sweep(file).Finished, at)
			for range file.List(t.Context()) {
				assert.Fail(t, "a note is left")
			}
			assert.NoError(t, file.Claim(t.Context(), note.AcsUserID, other), at)
		}
	}
}
