package graph

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"acsauth/internal/bolt"
	"acsauth/internal/identity"
	"acsauth/internal/identity/storetest"
	"acsauth/internal/localcloud/msgraph"
	"acsauth/internal/secret"
)

const appID = "5f0d8c1a-7e42-4b6d-9a35-2c81e0b7d946"

// service is the stand-in for Graph, over TLS. It knows every user.
type service struct {
	*msgraph.Server
	t      testing.TB
	url    string
	client *http.Client
	claims identity.Claims
}

func newService(t testing.TB) *service {
	t.Helper()
	s := &service{t: t, claims: newPlace(t)}
	listener := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.ServeHTTP(w, r) }))
	t.Cleanup(listener.Close)
	s.url, s.client = listener.URL, listener.Client()
	s.client.Transport.(*http.Transport).MaxIdleConnsPerHost = 64
	s.Server = msgraph.New(msgraph.Config{
		BaseURL: s.url,
		Verify: func(raw string) (msgraph.Claims, error) {
			user, err := identity.ParseUser(raw)
			return msgraph.Claims{TenantID: user.TenantID, ObjectID: user.ObjectID, ClientID: appID, Scopes: []string{"User.ReadWrite"}}, err
		},
		User: func(string, string) (msgraph.User, bool) { return msgraph.User{}, true },
	})
	return s
}

// tokens are the keys of users, which the stand-in takes.
type tokens struct{}

func (tokens) Token(ctx context.Context, caller identity.Caller, scopes []string) (secret.String, error) {
	if len(scopes) != 1 || !strings.HasSuffix(scopes[0], "/User.ReadWrite") {
		return secret.String{}, errors.New("other scopes than expected")
	}
	return secret.New(caller.Key()), ctx.Err()
}

func (s *service) open(change ...func(*Options)) *Store {
	s.t.Helper()
	o := Options{Endpoint: s.url, Resource: storetest.Resource, Tokens: tokens{}, Claims: s.claims, Transport: s.client}
	for _, c := range change {
		c(&o)
	}
	store, err := Open(o)
	require.NoError(s.t, err)
	return store
}

// do makes a request as a user, and none of this package's.
func (s *service) do(user identity.User, method, path, body string) (status int, text string) {
	s.t.Helper()
	req, err := http.NewRequest(method, s.url+path, strings.NewReader(body))
	require.NoError(s.t, err)
	req.Header.Set("Authorization", "Bearer "+user.Key())
	req.Header.Set("Content-Type", "application/json")
	resp, err := s.client.Do(req)
	require.NoError(s.t, err)
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	require.NoError(s.t, err)
	return resp.StatusCode, string(b)
}

var alice = identity.User{TenantID: "6f1d7c52-3b0e-4a9c-8d27-51c0a4e9b310", ObjectID: "0a1c5d3e-94b2-4e6f-8a70-3c2d1b0e9f81"}

func newMapping(acsUserID string) identity.Mapping {
	return identity.Mapping{User: alice, AcsUserID: acsUserID, Version: acsUserID, CreatedAt: time.Date(2026, 11, 22, 9, 30, 15, 0, time.UTC)}
}

func as(ctx context.Context, user identity.User) context.Context {
	return identity.WithCaller(ctx, identity.Caller{User: user})
}

// asUser is a Store whose every call comes from the user whom it is about, with
// notes of erasures in a file.
type asUser struct {
	*Store
	identity.Erasures
}

func (a asUser) Get(ctx context.Context, user identity.User) (identity.Mapping, error) {
	return a.Store.Get(as(ctx, user), user)
}

func (a asUser) Create(ctx context.Context, m identity.Mapping) (identity.Mapping, error) {
	return a.Store.Create(as(ctx, m.User), m)
}

func (a asUser) MarkErasing(ctx context.Context, m identity.Mapping) (identity.Mapping, error) {
	return a.Store.MarkErasing(as(ctx, m.User), m)
}

func (a asUser) Delete(ctx context.Context, m identity.Mapping) error {
	return a.Store.Delete(as(ctx, m.User), m)
}

// newPlace is for claims and notes of erasures.
func newPlace(t testing.TB) *bolt.Store {
	t.Helper()
	b, err := bolt.Open(filepath.Join(t.TempDir(), "notes.db"), storetest.Resource)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	return b
}
