package main

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"acsauth/internal/identity"
	"acsauth/internal/localcloud"
	"acsauth/internal/localcloud/entraid"
	"acsauth/internal/localcloud/wire"
)

// upstream is the local cloud with an ACS that issues tokens at no cost of its
// own: the stand-in signs each with RSA, which would take more of the machine
// than all that is to be measured. Everything else is the stand-in's.
type upstream struct {
	*localcloud.Cloud
	dir    string
	issued atomic.Int64

	mu      sync.Mutex
	latency time.Duration
	quota   quota
	window  time.Time // when the current one began
	spent   int       // in it
}

// quota is how many tokens ACS grants in a time; the zero value grants all.
type quota struct {
	tokens int
	in     time.Duration
}

func startUpstream(dir string) (*upstream, error) {
	cloud, err := localcloud.Start(localcloud.Options{Dir: dir})
	if err != nil {
		return nil, err
	}
	u := &upstream{Cloud: cloud, dir: dir}
	cloud.ACS.SetFault(u.issue)
	return u, nil
}

// behave sets what ACS is like from now on.
func (u *upstream) behave(latency time.Duration, q quota) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.latency, u.quota, u.window, u.spent = latency, q, time.Time{}, 0
	u.issued.Store(0)
}

// grant counts a token against the quota; wait is how long there are none left.
func (u *upstream) grant() (latency, wait time.Duration) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.quota.tokens == 0 {
		return u.latency, 0
	}
	now := time.Now()
	if now.Sub(u.window) >= u.quota.in {
		u.window, u.spent = now, 0
	}
	if u.spent++; u.spent > u.quota.tokens {
		return u.latency, u.quota.in - now.Sub(u.window)
	}
	return u.latency, 0
}

// token is of the size that ACS's tokens have.
var token = "eyJhbGciOiJSUzI1NiJ9." + strings.Repeat("A", 480) + "." + strings.Repeat("B", 342)

func (u *upstream) issue(w http.ResponseWriter, r *http.Request) bool {
	if !strings.HasSuffix(r.URL.Path, "/:issueAccessToken") {
		return false
	}
	latency, wait := u.grant()
	time.Sleep(latency)
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	if wait > 0 {
		h.Set("Retry-After", strconv.Itoa(int(wait.Seconds())+1))
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = w.Write([]byte(`{"error":{"code":"TooManyRequests","message":"Too many requests."}}`))
		return true
	}
	u.issued.Add(1)
	_, _ = fmt.Fprintf(w, `{"token":%q,"expiresOn":%q}`, token, time.Now().UTC().Add(24*time.Hour).Format("2006-01-02T15:04:05.0000000-07:00"))
	return true
}

// settings point a handler at the upstream, with a store file of its own.
func (u *upstream) settings(store string, more ...string) []string {
	return append(append(u.Settings(), "IDENTITY_STORE=local", "LOCAL_STORE_PATH="+filepath.Join(u.dir, store),
		"RATE_LIMIT_PER_USER=0"), more...)
}

// users are n users of the sample tenant that nobody has seen before.
func users(n int) []identity.User {
	all := make([]identity.User, n)
	for i := range all {
		all[i] = identity.User{TenantID: entraid.SampleTenantID, ObjectID: wire.NewGUID()}
	}
	return all
}

// accessTokens signs one for each user. It takes most of a millisecond for each.
func (u *upstream) accessTokens(users []identity.User) ([]string, error) {
	tokens := make([]string, len(users))
	for i, user := range users {
		var err error
		tokens[i], err = u.Entra.AccessToken(entraid.User{TenantID: user.TenantID, ObjectID: user.ObjectID, Name: "bench"}, localcloud.SPAClientID, localcloud.APIScope)
		if err != nil {
			return nil, err
		}
	}
	return tokens, nil
}
