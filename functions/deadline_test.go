package functions

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"acsauth"
	"acsauth/internal/identity"
)

type anyone struct{}

func (anyone) Authenticate(*http.Request) (identity.Caller, error) {
	return identity.Caller{User: identity.User{TenantID: "11111111-1111-4111-8111-111111111111", ObjectID: "22222222-2222-4222-8222-222222222222"}}, nil
}

// hanging is a store that never answers.
type hanging struct{ identity.Store }

func (hanging) Get(ctx context.Context, _ identity.User) (identity.Mapping, error) {
	<-ctx.Done()
	return identity.Mapping{}, ctx.Err()
}

func TestARequestEndsWithinItsDeadlineWhateverHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table, err := ReadRouteTable(acsauth.AppFolder)
		require.NoError(t, err)
		log := slog.New(slog.DiscardHandler)
		h, err := New(Options{
			Identities:    identity.NewService(hanging{}, nil, nil, log, time.Now),
			Authenticator: anyone{},
			UserHash:      func(identity.User) string { return "" },
			Log:           log,
			Now:           time.Now,
		}, table)
		require.NoError(t, err)
		began := time.Now()
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/api/getUser", nil))
		assert.Equal(t, http.StatusServiceUnavailable, w.Code)
		assert.NotEmpty(t, w.Header().Get("Retry-After"))
		assert.Equal(t, requestTimeout, time.Since(began))
		assert.Less(t, requestTimeout, 30*time.Second, "well under what hosts and people wait")
		<-time.After(time.Minute) // of the bubble's clock: the shared work ends too
	})
}
