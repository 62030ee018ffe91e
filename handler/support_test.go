package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"acsauth"
	"acsauth/functions/contract"
	"acsauth/internal/localcloud"
	"acsauth/internal/localcloud/entraid"
)

// cloud is shared by all tests: this process reads SSL_CERT_FILE only once.
var cloud *localcloud.Cloud

// asHandler is a variable that makes this test binary the handler itself, for
// tests that need a process of its own.
const asHandler = "THIS_TEST_BINARY_IS_THE_HANDLER"

func TestMain(m *testing.M) {
	if os.Getenv(asHandler) != "" {
		main()
	}
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "acsauth-handler-test-")
		if err != nil {
			panic(err)
		}
		defer func() { _ = os.RemoveAll(dir) }()
		if cloud, err = localcloud.Start(localcloud.Options{Dir: dir}); err != nil {
			panic(err)
		}
		defer cloud.Close()
		if err := os.Setenv("SSL_CERT_FILE", cloud.CACertFile); err != nil {
			panic(err)
		}
		return m.Run()
	}())
}

// settings are those of the local cloud with changes; an empty value removes
// one.
func settings(t testing.TB, changes map[string]string) []string {
	t.Helper()
	all := map[string]string{"PORT": "0", "IDENTITY_STORE": "local", "LOCAL_STORE_PATH": filepath.Join(t.TempDir(), "identities.db")}
	for _, pair := range cloud.Settings() {
		name, value, _ := strings.Cut(pair, "=")
		all[name] = value
	}
	maps.Copy(all, changes)
	var environ []string
	for name, value := range all {
		environ = append(environ, name+"="+value)
	}
	return environ
}

// gone reports whether path leads to one of the hero samples' functions, and this
// checkout has deleted its folder.
func gone(path string) bool {
	name, _, _ := strings.Cut(strings.TrimPrefix(path, "/api/"), "/")
	_, err := fs.Stat(acsauth.AppFolder, name)
	return err != nil && (name == "user" || name == "token")
}

// needHeroRoutes skips a test of routes that this checkout has not.
func needHeroRoutes(t *testing.T) {
	t.Helper()
	if gone("/api/user") || gone("/api/token") {
		t.Skip("the folder user or token was deleted, and with it what this test is about")
	}
}

// running is a handler that serves, and a client that holds its answers against
// the contract that it serves and its log against every secret that went through.
type running struct {
	t        testing.TB
	URL      string
	contract []byte
	client   *http.Client
	log      *buffer
	stop     func() int // returns the exit code

	mu      sync.Mutex
	secrets map[string]bool
}

type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func start(t testing.TB, changes map[string]string) *running {
	t.Helper()
	return startWith(t, settings(t, changes))
}

func startWith(t testing.TB, environ []string) *running {
	t.Helper()
	r := &running{t: t, log: &buffer{}, secrets: map[string]bool{}}
	for _, s := range cloud.Secrets() {
		r.secrets[s] = true
	}
	ctx, cancel := context.WithCancel(context.Background())
	listening, exited := make(chan net.Addr, 1), make(chan int, 1)
	p := Program{Environ: environ, Stdout: r.log, Stderr: r.log, Listening: func(a net.Addr) { listening <- a }}
	go func() { exited <- p.Run(ctx) }()
	select {
	case a := <-listening:
		r.URL = fmt.Sprintf("http://127.0.0.1:%d", a.(*net.TCPAddr).Port)
	case code := <-exited:
		cancel()
		require.FailNow(t, "the handler did not start", "exit code %d\n%s", code, r.log)
	}
	r.stop = sync.OnceValue(func() int {
		cancel()
		return <-exited
	})
	r.client = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 128}}
	t.Cleanup(func() {
		assert.Equal(t, exitOK, r.stop())
		log := r.log.String()
		for s := range r.secrets {
			assert.NotContains(t, log, s, "a secret stands in the log")
		}
	})
	r.contract = []byte(r.do(request{path: "/api/openapi.yaml"}).text)
	r.client.Transport = contract.NewTransport(t, r.contract, r.client.Transport)
	return r
}

func (r *running) secret(s string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(s) > 8 {
		r.secrets[s] = true
	}
}

// request says what to ask; zero fields are left out.
type request struct {
	method  string // GET where empty
	path    string // after the host
	token   string
	body    string
	header  map[string]string // an empty value removes one
	chunked bool
}

type answer struct {
	status int
	header http.Header
	text   string
	json   map[string]any
}

func (a answer) code() string { s, _ := a.json["code"].(string); return s }

func (a answer) userID() string {
	user, _ := a.json["user"].(map[string]any)
	id, _ := user["communicationUserId"].(string)
	return id
}

func (r *running) do(q request) answer {
	r.t.Helper()
	a, err := r.try(q)
	require.NoError(r.t, err)
	return a
}

func (r *running) try(q request) (answer, error) {
	if q.method == "" {
		q.method = http.MethodGet
	}
	var body io.Reader
	if q.body != "" {
		body = strings.NewReader(q.body)
		if q.chunked {
			body = io.MultiReader(body) // hides its length
		}
	}
	req, err := http.NewRequest(q.method, r.URL+q.path, body)
	if err != nil {
		return answer{}, err
	}
	if q.body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if q.token != "" {
		req.Header.Set("Authorization", "Bearer "+q.token)
		r.secret(q.token)
	}
	for name, value := range q.header {
		req.Header.Set(name, value)
		if value == "" {
			req.Header.Del(name)
		}
	}
	resp, err := r.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{}, err
	}
	a := answer{status: resp.StatusCode, header: resp.Header, text: string(b)}
	if strings.Contains(resp.Header.Get("Content-Type"), "json") && len(b) > 0 {
		if err := json.Unmarshal(b, &a.json); err != nil {
			return answer{}, err
		}
		if s, ok := a.json["token"].(string); ok {
			r.secret(s)
		}
	}
	return a, nil
}

var userCount struct {
	sync.Mutex
	n int
}

// newUser is somebody whom no test has met.
func newUser(t testing.TB) entraid.User {
	t.Helper()
	userCount.Lock()
	defer userCount.Unlock()
	userCount.n++
	u := entraid.User{TenantID: entraid.SampleTenantID, ObjectID: fmt.Sprintf("d0000000-0000-4000-8000-%012d", userCount.n),
		Name: "Somebody", UPN: fmt.Sprintf("somebody-%d@contoso.example", userCount.n), Teams: true}
	require.NoError(t, cloud.Entra.AddUser(u))
	return u
}

func tokenFor(t testing.TB, u entraid.User, scopes ...string) string {
	t.Helper()
	if scopes == nil {
		scopes = []string{localcloud.APIScope}
	}
	token, err := cloud.Entra.AccessToken(u, localcloud.SPAClientID, scopes...)
	require.NoError(t, err)
	return token
}

// signClaims makes a token of the API with changed claims; nil removes one.
func signClaims(u entraid.User, changes map[string]any) string {
	now := time.Now().Unix()
	claims := map[string]any{
		"iss": cloud.EntraURL + "/" + u.TenantID + "/v2.0", "aud": localcloud.APIClientID, "tid": u.TenantID, "oid": u.ObjectID,
		"ver": "2.0", "scp": "access_as_user", "azp": localcloud.SPAClientID, "iat": now, "nbf": now, "exp": now + 3600,
	}
	maps.Copy(claims, changes)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	return cloud.Entra.Sign(nil, claims)
}

func atOnce(n int, work func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { work(i) })
	}
	wg.Wait()
}

// identitiesSince returns what ACS has now and had not then.
func identitiesSince(before []string) []string {
	return slices.DeleteFunc(cloud.ACS.Identities(), func(id string) bool { return slices.Contains(before, id) })
}
