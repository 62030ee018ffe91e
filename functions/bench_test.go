package functions

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"acsauth"
	"acsauth/internal/identity"
	"acsauth/internal/secret"
)

// mapped is a store that knows every user, and ready an ACS that answers at once.
type (
	mapped struct{ identity.Store }
	ready  struct{ identity.Issuer }
)

func (mapped) Get(_ context.Context, user identity.User) (identity.Mapping, error) {
	return identity.Mapping{User: user, AcsUserID: "8:acs:one_two"}, nil
}

func (ready) IssueToken(context.Context, string, identity.TokenRequest) (identity.Token, error) {
	return identity.Token{Value: secret.New(strings.Repeat("t", 800)), ExpiresOn: time.Now().Add(24 * time.Hour)}, nil
}

func benchHandler(b *testing.B) http.Handler {
	b.Helper()
	table, err := ReadRouteTable(acsauth.AppFolder)
	require.NoError(b, err)
	log := slog.New(slog.DiscardHandler)
	h, err := New(Options{
		Identities:    identity.NewService(mapped{}, nil, ready{}, log, time.Now),
		Authenticator: anyone{},
		TokenPolicy:   identity.TokenPolicy{Default: identity.Grant{Scopes: []string{"chat", "voip"}, ExpiresIn: 24 * time.Hour}, ExpiresIn: 24 * time.Hour},
		UserHash:      func(identity.User) string { return "" },
		Log:           log,
		Now:           time.Now,
	}, table)
	require.NoError(b, err)
	return h
}

// BenchmarkGetToken is a request without its network, token check and ACS: router,
// policy, domain, JSON.
func BenchmarkGetToken(b *testing.B) {
	h := benchHandler(b)
	b.ReportAllocs()
	for b.Loop() {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/api/getToken", strings.NewReader("")))
		if w.Code != http.StatusOK {
			b.Fatal(w.Body)
		}
	}
}

// BenchmarkRoute is what the router alone takes.
func BenchmarkRoute(b *testing.B) {
	a := benchHandler(b).(*app)
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := a.paths[routeKey("/api/GetToken/")]; !ok {
			b.Fatal("no such route")
		}
	}
}

// BenchmarkTokenBody reads a request's JSON.
func BenchmarkTokenBody(b *testing.B) {
	body := []byte(`{"scopes":["chat","voip"],"expiresInMinutes":60}`)
	b.ReportAllocs()
	for b.Loop() {
		var in tokenInput
		if err := (&call{body: body}).decodeBody(&in); err != nil || len(in.Scopes) != 2 {
			b.Fatal(err)
		}
	}
}

// BenchmarkTokenAnswer writes the JSON of an answer.
func BenchmarkTokenAnswer(b *testing.B) {
	answer := answerWith(identity.Token{Value: secret.New(strings.Repeat("t", 800)), ExpiresOn: time.Now()}, user{CommunicationUserID: "8:acs:one_two"})
	b.ReportAllocs()
	for b.Loop() {
		c := &call{w: httptest.NewRecorder()}
		if err := c.json(http.StatusOK, answer); err != nil {
			b.Fatal(err)
		}
	}
}
