package faulttest

import (
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"acsauth/functions/contract"
	"acsauth/internal/azurite"
	"acsauth/internal/localcloud"
	"acsauth/internal/localcloud/entraid"
)

// world is one set-up: a store, the wires to the upstreams, the handlers that
// use them, and all that their clients were told.
type world struct {
	*testing.T
	acs, table *wire // table is nil for the file store, which one process at a time has
	store      storeReader
	client     *http.Client // of the handlers
	authority  string       // file with what the handlers have to trust
	environ    []string

	mu        sync.Mutex
	processes []*process
	calls     []call
	kills     []kill
}

// worlds and tables count what has been made.
var worlds, tables atomic.Int32

// newTableWorld keeps its mappings in a table of its own.
func newTableWorld(t *testing.T, a azurite.Instance) *world {
	t.Helper()
	u, err := url.Parse(a.Endpoint)
	require.NoError(t, err)
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: u.Scheme, Host: u.Host})
	proxy.Transport = &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true}
	name := fmt.Sprintf("faults%d", tables.Add(1))
	w := newWorld(t, tableReader{a.ConnectionString, name})
	w.table = newWire(t, proxy, false)
	w.trust(w.table.certificate())
	w.environ = append(w.environ, "IDENTITY_STORE=tables", "TABLES_TABLE_NAME="+name,
		"TABLES_CONNECTION_STRING="+strings.Replace(a.ConnectionString, u.Scheme+"://"+u.Host, w.table.server.URL, 1))
	return w
}

// newFileWorld keeps its mappings in a file, which one handler at a time can
// open.
func newFileWorld(t *testing.T) *world {
	t.Helper()
	path := filepath.Join(t.TempDir(), "identities.db")
	w := newWorld(t, fileReader{path})
	w.environ = append(w.environ, "IDENTITY_STORE=local", "LOCAL_STORE_PATH="+path)
	return w
}

func newWorld(t *testing.T, store storeReader) *world {
	t.Helper()
	document, err := os.ReadFile("../../functions/openapi.yaml")
	require.NoError(t, err)
	w := &world{T: t, store: store, authority: filepath.Join(t.TempDir(), "authorities.pem"),
		client: &http.Client{Timeout: answerTimeout, Transport: contract.NewTransport(t, document, &http.Transport{MaxIdleConnsPerHost: 256})}}
	ca, err := os.ReadFile(cloud.CACertFile)
	require.NoError(t, err)
	w.trust(ca)
	// Half of the worlds share connections to ACS, as HTTP/2 does.
	w.acs = newWire(t, cloud.ACS, worlds.Add(1)%2 == 1)
	w.trust(w.acs.certificate())
	w.environ = append(cloud.Settings(), "SSL_CERT_FILE="+w.authority, "PORT=0", "RATE_LIMIT_PER_USER=0", "ACS_TOKEN_REUSE_SECONDS=0",
		"ACS_CONNECTION_STRING="+cloud.ACS.ConnectionString(w.acs.server.URL).Reveal())
	return w
}

func (w *world) trust(certificate []byte) {
	w.Helper()
	f, err := os.OpenFile(w.authority, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	require.NoError(w, err)
	_, err = f.Write(certificate)
	require.NoError(w, err)
	require.NoError(w, f.Close())
}

func (w *world) start() *process {
	w.Helper()
	p := startProcess(w, w.client, w.environ)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.processes = append(w.processes, p)
	return p
}

// stop ends all processes in good order.
func (w *world) stop() {
	var wg sync.WaitGroup
	for _, p := range w.processes {
		if !p.killed.Load() {
			wg.Go(p.stop)
		}
	}
	wg.Wait()
}

// logs is what all processes have printed.
func (w *world) logs() string {
	var all strings.Builder
	for _, p := range w.processes {
		text, _ := p.log.read()
		all.WriteString(text)
	}
	return all.String()
}

// byUser returns the calls of each user.
func (w *world) byUser() map[*person][]call {
	calls := map[*person][]call{}
	for _, c := range w.calls {
		calls[c.user] = append(calls[c.user], c)
	}
	return calls
}

func (w *world) heal() {
	w.acs.heal()
	if w.table != nil {
		w.table.heal()
	}
}

// person is a user of this service, signed in.
type person struct {
	key   string        // "<tenant id>:<object id>"
	token string        // access token of the API
	teams func() string // Entra token for Teams
}

var persons atomic.Int32

func (w *world) newPerson() *person {
	w.Helper()
	u := entraid.User{TenantID: entraid.SampleTenantID, ObjectID: fmt.Sprintf("fa000000-0000-4000-8000-%012d", persons.Add(1)), Name: "Somebody", Teams: true}
	require.NoError(w, cloud.Entra.AddUser(u))
	token, err := cloud.Entra.AccessToken(u, localcloud.SPAClientID, localcloud.APIScope)
	require.NoError(w, err)
	teams := sync.OnceValue(func() string {
		token, err := cloud.Entra.AccessToken(u, localcloud.SPAClientID, entraid.TeamsURI+"/Teams.ManageCalls")
		assert.NoError(w, err)
		return token
	})
	return &person{u.TenantID + ":" + u.ObjectID, token, teams}
}

func (w *world) newPersons(n int) []*person {
	w.Helper()
	people := make([]*person, n)
	for i := range people {
		people[i] = w.newPerson()
	}
	return people
}

// mapped returns n users who have an identity.
func (w *world) mapped(p *process, n int) []*person {
	w.Helper()
	people := w.newPersons(n)
	each(people, 16, func(_ int, u *person) {
		assert.Equal(w, http.StatusCreated, w.do(p, getUser, u).status)
	})
	return people
}

// each runs work for all items, n at a time.
func each[T any](items []T, n int, work func(int, T)) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, n)
	for i, item := range items {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			work(i, item)
		})
	}
	wg.Wait()
}

func atOnce(n int, work func(i int)) {
	each(make([]struct{}, n), n, func(i int, _ struct{}) { work(i) })
}
