package graph

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"acsauth/internal/identity"
	"acsauth/internal/identity/storetest"
	"acsauth/internal/localcloud/msgraph"
	"acsauth/internal/secret"
)

func TestConformance(t *testing.T) {
	for name, change := range map[string]func(*Options){
		"unsealed": func(*Options) {},
		"sealed":   func(o *Options) { o.Keys = []secret.String{secret.New("key")} },
	} {
		t.Run(name, func(t *testing.T) {
			storetest.Config{
				Open:        func(t *testing.T) storetest.Backend { return asUser{newService(t).open(change), newPlace(t)} },
				MarkDeletes: true,
			}.Run(t)
		})
	}
}

const (
	heroID  = "8:acs:2dee53b4-368b-45b4-ab52-8493fb117652_00000005-14a2-493b-8a72-5a3a0d000081"
	otherID = "8:acs:2dee53b4-368b-45b4-ab52-8493fb117652_00000005-14a2-493b-8a72-5a3a0d000082"
)

// heroCreates makes the request of the hero samples.
func (s *service) heroCreates(user identity.User, acsUserID string) {
	s.t.Helper()
	status, text := s.do(user, "POST", "/v1.0/me/extensions",
		`{"@odata.type":"microsoft.graph.openTypeExtension","extensionName":"com.contoso.identityMapping","acsUserIdentity":"`+acsUserID+`"}`)
	require.Equal(s.t, 201, status, text)
}

// plants puts what a user may have copied from anywhere into their profile.
func (s *service) plants(user identity.User, extension map[string]any) {
	s.t.Helper()
	planted := maps.Clone(extension)
	planted["extensionName"] = DefaultExtension
	body, err := json.Marshal(planted)
	require.NoError(s.t, err)
	status, text := s.do(user, "POST", "/v1.0/me/extensions", string(body))
	require.Equal(s.t, 201, status, text)
}

// heroReads looks for the mapping as the hero samples do.
func (s *service) heroReads(user identity.User) string {
	s.t.Helper()
	_, text := s.do(user, "GET", "/v1.0/me?$expand=extensions&$select=id", "")
	var me struct {
		Extensions []struct{ ExtensionName, AcsUserIdentity string }
	}
	require.NoError(s.t, json.Unmarshal([]byte(text), &me))
	for _, e := range me.Extensions {
		if e.ExtensionName == "com.contoso.identityMapping" {
			return e.AcsUserIdentity
		}
	}
	return ""
}

func TestAMappingOfTheHeroSampleIsFoundErasedAndItFindsOurs(t *testing.T) {
	s := newService(t)
	s.heroCreates(alice, heroID)
	store, ctx := s.open(), as(t.Context(), alice)
	m, err := store.Get(ctx, alice)
	require.NoError(t, err)
	assert.Equal(t, identity.Mapping{User: alice, AcsUserID: heroID, Version: heroID}, m)
	_, err = store.Create(ctx, newMapping(otherID))
	require.ErrorIs(t, err, identity.ErrExists)
	assert.Equal(t, heroID, s.heroReads(alice))
	_, err = store.MarkErasing(ctx, m)
	require.NoError(t, err)
	assert.Empty(t, s.heroReads(alice))

	_, err = s.open(func(o *Options) { o.Keys = []secret.String{secret.New("key")} }).Create(ctx, newMapping(heroID))
	require.NoError(t, err)
	assert.Equal(t, heroID, s.heroReads(alice))
}

func TestWithoutTheUsersCallNobodyIsAsked(t *testing.T) {
	s := newService(t)
	store := s.open()
	somebody := identity.User{TenantID: alice.TenantID, ObjectID: alice.TenantID}
	for _, ctx := range []context.Context{t.Context(), as(t.Context(), somebody)} {
		_, err := store.Get(ctx, alice)
		assert.ErrorIs(t, err, identity.ErrNeedsCaller)
		m := newMapping(heroID)
		_, err = store.Create(ctx, m)
		assert.ErrorIs(t, err, identity.ErrNeedsCaller)
		_, err = store.MarkErasing(ctx, m)
		assert.ErrorIs(t, err, identity.ErrNeedsCaller)
		assert.ErrorIs(t, store.Delete(ctx, m), identity.ErrNeedsCaller)
	}
	assert.Empty(t, s.Calls())
}

func TestAnIdentityThatAUserPutThereIsNotTaken(t *testing.T) {
	s := newService(t)
	sealed := func(keys ...string) *Store {
		return s.open(func(o *Options) {
			for _, k := range keys {
				o.Keys = append(o.Keys, secret.New(k))
			}
		})
	}
	victim := bob
	_, err := sealed("old").Create(as(t.Context(), victim), identity.Mapping{User: victim, AcsUserID: heroID, CreatedAt: time.Now()})
	require.NoError(t, err)
	m, err := sealed("new", "old").Get(as(t.Context(), victim), victim)
	require.NoError(t, err, "a key that has been replaced is still good")
	assert.Equal(t, heroID, m.AcsUserID)

	stolen := s.Extension(victim.TenantID, victim.ObjectID, DefaultExtension)
	require.NotEmpty(t, stolen["seal"])
	s.claims = newPlace(t) // the seal is what keeps them out
	for name, change := range map[string]map[string]any{
		"no seal":          {"seal": nil},
		"another's seal":   {},
		"nonsense":         {"seal": "!"},
		"another resource": {"acsResource": nil},
		"no id":            {"acsUserIdentity": "8:../../identities"},
	} {
		planted := maps.Clone(stolen)
		maps.Copy(planted, change)
		s.plants(alice, planted)
		_, err = sealed("old").Get(as(t.Context(), alice), alice)
		assert.Equal(t, identity.CodeAccessBlocked, identity.CodeOf(err), name)
		assert.NotContains(t, err.Error(), heroID)
		status, _ := s.do(alice, "DELETE", "/v1.0/me/extensions/"+DefaultExtension, "")
		require.Equal(t, 204, status)
	}
}

func TestMappingsOfTheHeroSamplesAreSealedAsTheyAreSeen(t *testing.T) {
	s := newService(t)
	s.heroCreates(alice, heroID)
	ctx := as(t.Context(), alice)
	_, err := s.open(withKey).Get(ctx, alice)
	require.Equal(t, identity.CodeAccessBlocked, identity.CodeOf(err))
	m, err := s.open(withKey, accepting).Get(ctx, alice)
	require.NoError(t, err)
	assert.Equal(t, heroID, m.AcsUserID)
	got, err := s.open(withKey).Get(ctx, alice)
	require.NoError(t, err)
	assert.Equal(t, m, got)
	assert.Equal(t, heroID, s.heroReads(alice))
}

func TestAMappingOfAnotherResourceIsLeftAlone(t *testing.T) {
	s := newService(t)
	ctx := as(t.Context(), alice)
	_, err := s.open().Create(ctx, newMapping(heroID))
	require.NoError(t, err)
	other := func(o *Options) { o.Resource = storetest.OtherResource }
	_, err = s.open(other).Get(ctx, alice)
	assert.Equal(t, identity.CodeAccessBlocked, identity.CodeOf(err))
	assert.ErrorContains(t, err, "GRAPH_EXTENSION_NAME")
	_, err = s.open(other, func(o *Options) { o.Extension = "com.contoso.otherMapping" }).Create(ctx, newMapping(otherID))
	assert.NoError(t, err)
}

func TestAMappingThatMakesNoSenseIsAnError(t *testing.T) {
	for name, body := range map[string]string{
		"no identity":      `{"extensionName":"com.contoso.identityMapping"}`,
		"not a string":     `{"extensionName":"com.contoso.identityMapping","acsUserIdentity":7}`,
		"a path":           `{"extensionName":"com.contoso.identityMapping","acsUserIdentity":"8:acs:a/../b"}`,
		"something else":   `{"extensionName":"com.contoso.identityMapping","acsUserIdentity":"alice"}`,
		"a list":           `{"extensionName":"com.contoso.identityMapping","acsUserIdentity":["8:acs:a_b"]}`,
		"a NUL beside it":  `{"extensionName":"com.contoso.identityMapping","acsUserIdentity":"8:acs:a_b","acsResource":"\u0000"}`,
		"longer than fits": `{"extensionName":"com.contoso.identityMapping","acsUserIdentity":"8:acs:` + strings.Repeat("a", 300) + `"}`,
	} {
		s := newService(t)
		status, text := s.do(alice, "POST", "/v1.0/me/extensions", body)
		require.Equal(t, 201, status, text)
		_, err := s.open().Get(as(t.Context(), alice), alice)
		assert.Equal(t, identity.CodeAccessBlocked, identity.CodeOf(err), "%s: the user's doing, not an upstream's", name)
		assert.NotErrorIs(t, err, identity.ErrNotFound, name)
	}
}

func TestAPropertyThatOnlyTellsMoreMayBeOfAnyType(t *testing.T) {
	s := newService(t)
	s.plants(alice, map[string]any{"acsUserIdentity": heroID, "createdAt": 7, "seal": []int{1}, "acsResource": nil})
	found(t, s.open(), alice, heroID)
}

func TestACreateThatGraphDoesNotTake(t *testing.T) {
	s := newService(t)
	for _, name := range []string{"one", "two"} {
		status, _ := s.do(alice, "POST", "/v1.0/me/extensions", `{"extensionName":"`+name+`"}`)
		require.Equal(t, 201, status)
	}
	_, err := s.open().Create(as(t.Context(), alice), newMapping(heroID))
	assert.Equal(t, identity.CodeUpstreamRejected, identity.CodeOf(err))
	assert.ErrorContains(t, err, "two open extensions")
}

// Its user has taken it away between the two requests, or another call has.
func TestACreateIsRepeatedWhereWhatWasInTheWayHasGone(t *testing.T) {
	s := newService(t)
	s.heroCreates(alice, otherID)
	s.SetFault(func(_ http.ResponseWriter, r *http.Request) bool {
		if msgraph.Operation(r) == msgraph.OpGetExtension {
			s.SetFault(nil)
			status, text := s.do(alice, "DELETE", "/v1.0/me/extensions/"+DefaultExtension, "")
			require.Equal(t, 204, status, text)
		}
		return false
	})
	_, err := s.open().Create(as(t.Context(), alice), newMapping(heroID))
	require.NoError(t, err)
	found(t, s.open(), alice, heroID)
}

// Should Graph look first and write later, a second create can go through.
func TestOfTwoCreatesThatWentThroughTheOneReadBackHasWon(t *testing.T) {
	s := newService(t)
	s.SetFaultAfter(func(_ http.ResponseWriter, r *http.Request) bool {
		if msgraph.Operation(r) == msgraph.OpCreateExtension {
			s.SetFaultAfter(nil)
			status, text := s.do(alice, "PATCH", "/v1.0/me/extensions/"+DefaultExtension, `{"extensionName":"`+DefaultExtension+`","acsUserIdentity":"`+otherID+`"}`)
			require.Equal(t, 204, status, text)
		}
		return false
	})
	ctx := as(t.Context(), alice)
	_, err := s.open().Create(ctx, newMapping(heroID))
	require.ErrorIs(t, err, identity.ErrExists)
	m, err := s.open().Get(ctx, alice)
	require.NoError(t, err)
	assert.Equal(t, otherID, m.AcsUserID)
}

func TestAnInsertWhoseAnswerWasLostEndsInErrExists(t *testing.T) {
	s := newService(t)
	s.SetFaultAfter(func(http.ResponseWriter, *http.Request) bool {
		s.SetFaultAfter(nil)
		panic(http.ErrAbortHandler)
	})
	ctx := as(t.Context(), alice)
	_, err := s.open().Create(ctx, newMapping(heroID))
	require.ErrorIs(t, err, identity.ErrExists)
	m, err := s.open().Get(ctx, alice)
	require.NoError(t, err)
	assert.Equal(t, heroID, m.AcsUserID)
}

func TestWhatGraphRefuses(t *testing.T) {
	graphError := func(status int, code string, header ...string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			for i := 0; i+1 < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.Header().Set("request-id", alice.TenantID)
			w.WriteHeader(status)
			_, _ = w.Write([]byte(`{"error":{"code":"` + code + `","message":"s3cr3t"}}`))
		}
	}
	raw := func(status int, body string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) { w.WriteHeader(status); _, _ = w.Write([]byte(body)) }
	}
	const challenge = `Bearer realm="", authorization_uri="https://login.example/common/oauth2/authorize", client_id="x", error="insufficient_claims", claims="eyJhIjogMX0="`
	for _, row := range []struct {
		name   string
		answer func(http.ResponseWriter)
		code   identity.Code
		retry  time.Duration
		tries  int32
	}{
		{"throttled for long", graphError(429, "TooManyRequests", "Retry-After", "17"), identity.CodeUpstreamUnavailable, 17 * time.Second, 1},
		{"down", graphError(503, "serviceNotAvailable"), identity.CodeUpstreamUnavailable, 0, 4},
		{"bandwidth", raw(509, ""), identity.CodeUpstreamUnavailable, 0, 1},
		{"a reset", func(http.ResponseWriter) { panic(http.ErrAbortHandler) }, identity.CodeUpstreamUnavailable, 0, 4},
		{"a token that is no good", graphError(401, "InvalidAuthenticationToken"), identity.CodeUpstreamRejected, 0, 1},
		{"a claims challenge", graphError(401, "InvalidAuthenticationToken", "WWW-Authenticate", challenge), identity.CodeInteractionRequired, 0, 1},
		{"a claims challenge with 403", graphError(403, "AccessDenied", "WWW-Authenticate", challenge), identity.CodeInteractionRequired, 0, 1},
		{"a user without the right", graphError(403, "Authorization_RequestDenied"), identity.CodeAccessBlocked, 0, 1},
		{"a proxy's 403", raw(403, "<html>s3cr3t"), identity.CodeUpstreamRejected, 0, 1},
		{"a user who has gone", graphError(404, "Request_ResourceNotFound"), identity.CodeUpstreamRejected, 0, 1},
		{"a gateway's 404", raw(404, ""), identity.CodeUpstreamRejected, 0, 1},
		{"nonsense", raw(200, "<html>s3cr3t"), identity.CodeUpstreamRejected, 0, 1},
		{"a list", raw(200, "[]"), identity.CodeUpstreamRejected, 0, 1},
		{"a redirect", func(w http.ResponseWriter) { w.Header().Set("Location", "https://example.com"); w.WriteHeader(302) }, identity.CodeUpstreamRejected, 0, 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newService(t)
			s.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
			var tries atomic.Int32
			s.SetFault(func(w http.ResponseWriter, _ *http.Request) bool {
				tries.Add(1)
				row.answer(w)
				return true
			})
			_, err := s.open().Get(as(t.Context(), alice), alice)
			var e *identity.Error
			require.ErrorAs(t, err, &e)
			assert.Equal(t, row.code, e.Code)
			assert.Equal(t, row.retry, e.RetryAfter)
			assert.Equal(t, row.tries, tries.Load())
			assert.NotContains(t, err.Error(), "s3cr3t")
			assert.NotErrorIs(t, err, identity.ErrNotFound)
			want := identity.Challenge{}
			if row.code == identity.CodeInteractionRequired {
				want = identity.Challenge{AuthorizationURI: "https://login.example/common/oauth2/authorize", Claims: `{"a":1}`}
			}
			assert.Equal(t, want, e.Challenge)
		})
	}
}

func TestAPassingFaultIsNotSeen(t *testing.T) {
	s := newService(t)
	for _, status := range []int{429, 500, 503, 504} {
		var tries atomic.Int32
		s.SetFault(func(w http.ResponseWriter, _ *http.Request) bool {
			if tries.Add(1) > 2 {
				return false
			}
			w.WriteHeader(status)
			return true
		})
		_, err := s.open().Get(as(t.Context(), alice), alice)
		assert.ErrorIs(t, err, identity.ErrNotFound, status)
	}
}

func TestAPingNeedsNoUser(t *testing.T) {
	s := newService(t)
	require.NoError(t, s.open().Ping(t.Context()))
	s.SetFault(func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(http.StatusUnauthorized); return true })
	assert.Error(t, s.open().Ping(t.Context()), "a 401 that is not Graph's")
	s.SetFault(func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	})
	assert.Equal(t, identity.CodeUpstreamUnavailable, identity.CodeOf(s.open().Ping(t.Context())))
}

func TestNames(t *testing.T) {
	for _, good := range []string{DefaultExtension, "com.contoso.x_1"} {
		assert.NoError(t, CheckName(good), good)
	}
	for _, bad := range []string{"", "contoso", "com.contoso/../x", "com.microsoft.x", "Com.OnMicrosoft.contoso.x", "com.contoso.x?y", ".com", "com.", "com." + strings.Repeat("x", 100)} {
		assert.Error(t, CheckName(bad), bad)
	}
	for name, change := range map[string]func(*Options){
		"http":           func(o *Options) { o.Endpoint = "http://graph.example" },
		"a path":         func(o *Options) { o.Endpoint += "/v1.0" },
		"no resource":    func(o *Options) { o.Resource = "" },
		"no tokens":      func(o *Options) { o.Tokens = nil },
		"no claims":      func(o *Options) { o.Claims = nil },
		"no transport":   func(o *Options) { o.Transport = nil },
		"Microsoft's":    func(o *Options) { o.Extension = "com.microsoft.teams" },
		"no scheme":      func(o *Options) { o.Endpoint = "graph.example" },
		"no host at all": func(o *Options) { o.Endpoint = "https://" },
	} {
		o := Options{Endpoint: DefaultEndpoint, Resource: "r", Tokens: tokens{}, Claims: newPlace(t), Transport: http.DefaultClient}
		_, err := Open(o)
		require.NoError(t, err)
		change(&o)
		_, err = Open(o)
		assert.Error(t, err, name)
	}
}
