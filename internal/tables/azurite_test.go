package tables

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"acsauth/internal/azurite"
	"acsauth/internal/identity"
	"acsauth/internal/identity/storetest"
	"acsauth/internal/upstream"
)

// Names of tests make poor table names.
func newTable(t *testing.T) string {
	t.Helper()
	return "t" + strings.ReplaceAll(newGUID(t), "-", "")
}

func someMapping(t *testing.T) identity.Mapping {
	t.Helper()
	user, err := identity.NewUser(newGUID(t), newGUID(t))
	require.NoError(t, err)
	return identity.Mapping{
		User:      user,
		AcsUserID: "8:acs:" + newGUID(t) + "_" + newGUID(t),
		CreatedAt: time.Date(2026, 11, 22, 9, 30, 15, 0, time.UTC),
	}
}

func someErasure(t *testing.T) identity.Erasure {
	t.Helper()
	m := someMapping(t)
	return identity.Erasure{AcsUserID: m.AcsUserID, User: m.User, Reason: identity.ReasonOrphan, RecordedAt: m.CreatedAt}
}

func listed(t *testing.T, s *Store) (notes []identity.Erasure) {
	t.Helper()
	for note, err := range s.List(t.Context()) {
		require.NoError(t, err)
		notes = append(notes, note)
	}
	return notes
}

// listError returns the first error of the list.
func listError(ctx context.Context, s *Store) error {
	for _, err := range s.List(ctx) {
		if err != nil {
			return err
		}
	}
	return nil
}

func mustOpen(t *testing.T, o Options) *Store {
	t.Helper()
	if o.Transport == nil {
		client, err := upstream.NewClient("")
		require.NoError(t, err)
		o.Transport = client
	}
	s, err := Open(o)
	require.NoError(t, err)
	return s
}

// openForSuite opens a store whose tries take their time: the suite asks much at
// once of Azurite, which has one thread.
func openForSuite(t *testing.T, o Options) *Store {
	t.Helper()
	if o.Transport == nil {
		client, err := upstream.NewClient("")
		require.NoError(t, err)
		o.Transport = client
	}
	o.Transport = patient{o.Transport}
	return mustOpen(t, o)
}

// patient sends what has not been given up yet, and waits for the answer.
type patient struct{ next policy.Transporter }

func (p patient) Do(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return p.next.Do(r.WithContext(context.WithoutCancel(r.Context())))
}

// place is where another process finds a table.
type place struct{ Table, Connection, Endpoint, CertFile string }

// TestAnotherProcess is run by the suite.
func TestAnotherProcess(t *testing.T) {
	storetest.Child(t, func(t *testing.T, text string) storetest.Backend {
		var p place
		require.NoError(t, json.Unmarshal([]byte(text), &p))
		o := Options{Table: p.Table, Resource: storetest.Resource}
		if p.Endpoint == "" {
			var err error
			o.Connection, err = ParseConnectionString(p.Connection)
			require.NoError(t, err)
			return openForSuite(t, o)
		}
		pem, err := os.ReadFile(p.CertFile)
		require.NoError(t, err)
		roots := x509.NewCertPool()
		require.True(t, roots.AppendCertsFromPEM(pem))
		o.Endpoint, o.Credential, o.Transport = p.Endpoint, &fakeCredential{}, trusting(t, roots)
		return openForSuite(t, o)
	})
}

// suite is the conformance suite on tables that are missing at first.
type suite struct {
	storetest.Config
	tables map[storetest.Backend]string
}

// inProcesses adds the test of several processes.
func (s suite) inProcesses(p place) suite {
	s.ChildTest = "TestAnotherProcess"
	s.Place = func(t *testing.T, b storetest.Backend) string {
		p.Table = s.tables[b]
		text, err := json.Marshal(p)
		require.NoError(t, err)
		return string(text)
	}
	return s
}

func conformance(o Options) suite {
	beside := func(t *testing.T, table, resource string) storetest.Backend {
		o := o
		o.Table, o.Resource = table, resource
		return openForSuite(t, o)
	}
	tables := map[storetest.Backend]string{}
	return suite{tables: tables, Config: storetest.Config{
		Open: func(t *testing.T) storetest.Backend {
			table := newTable(t)
			b := beside(t, table, storetest.Resource)
			tables[b] = table
			return b
		},
		Beside: func(t *testing.T, b storetest.Backend, resource string) storetest.Backend {
			return beside(t, tables[b], resource)
		},
	}}
}

func TestOnAzurite(t *testing.T) {
	instance := azurite.Start(t, azurite.Options{})
	connection, err := ParseConnectionString(instance.ConnectionString)
	require.NoError(t, err)
	options := func(t *testing.T) Options {
		return Options{Connection: connection, Table: newTable(t), Resource: storetest.Resource}
	}
	raw := func(t *testing.T, o Options) *aztables.Client {
		service, err := aztables.NewServiceClientFromConnectionString(instance.ConnectionString, nil)
		require.NoError(t, err)
		return service.NewClient(o.Table)
	}

	t.Run("with a shared key", conformance(Options{Connection: connection}).inProcesses(place{Connection: instance.ConnectionString}).Run)

	t.Run("a missing table is an empty one", func(t *testing.T) {
		s := mustOpen(t, options(t))
		m := someMapping(t)
		m.Version = `W/"datetime'2026-11-22T09%3A30%3A15.0000000Z'"`
		_, err := s.Get(t.Context(), m.User)
		require.ErrorIs(t, err, identity.ErrNotFound)
		_, err = s.MarkErasing(t.Context(), m)
		require.ErrorIs(t, err, identity.ErrNotFound)
		require.ErrorIs(t, s.Delete(t.Context(), m), identity.ErrNotFound)
		require.Empty(t, listed(t, s))
		require.NoError(t, s.Clear(t.Context(), someErasure(t)))
		assert.NoError(t, s.Ping(t.Context()))
	})

	t.Run("many stores may make the table at once", func(t *testing.T) {
		for range 5 {
			o, m := options(t), someMapping(t)
			errs := make([]error, 8)
			var done sync.WaitGroup
			for i := range errs {
				s, note := mustOpen(t, o), someErasure(t)
				done.Go(func() {
					if i%2 == 0 {
						_, errs[i] = s.Create(t.Context(), m)
					} else {
						errs[i] = s.Record(t.Context(), note)
					}
				})
			}
			done.Wait()
			exists := 0
			for _, err := range errs {
				if errors.Is(err, identity.ErrExists) {
					exists++
					continue
				}
				require.NoError(t, err)
			}
			assert.Equal(t, 3, exists)
		}
	})

	t.Run("rows hold what is documented and nothing else", func(t *testing.T) {
		o := options(t)
		s, client := mustOpen(t, o), raw(t, o)
		m, err := s.Create(t.Context(), someMapping(t))
		require.NoError(t, err)
		note := someErasure(t)
		require.NoError(t, s.Record(t.Context(), note))
		properties := func(partition, row string) map[string]any {
			resp, err := client.GetEntity(t.Context(), partition, row, nil)
			require.NoError(t, err)
			var p map[string]any
			require.NoError(t, json.Unmarshal(resp.Value, &p))
			for _, system := range []string{"odata.metadata", "odata.etag", "Timestamp", "Timestamp@odata.type"} {
				delete(p, system)
			}
			return p
		}
		row := map[string]any{
			"PartitionKey": m.User.Key(), "RowKey": storetest.Resource,
			"AcsUserId": m.AcsUserID, "Schema": 1.0,
			"CreatedAt": properties(m.User.Key(), storetest.Resource)["CreatedAt"], "CreatedAt@odata.type": "Edm.DateTime",
		}
		assert.Equal(t, row, properties(m.User.Key(), storetest.Resource))
		assert.Regexp(t, `^2026-11-22T09:30:15(\.0+)?Z$`, row["CreatedAt"])

		_, err = s.MarkErasing(t.Context(), m)
		require.NoError(t, err)
		row["Erasing"] = true
		assert.Equal(t, row, properties(m.User.Key(), storetest.Resource))

		noted := properties("erasures", storetest.Resource+"|orphan|"+note.AcsUserID)
		assert.Regexp(t, `^2026-11-22T09:30:15(\.0+)?Z$`, noted["RecordedAt"])
		delete(noted, "RecordedAt")
		assert.Equal(t, map[string]any{
			"PartitionKey": "erasures", "RowKey": storetest.Resource + "|orphan|" + note.AcsUserID,
			"User": note.User.Key(), "Schema": 1.0, "RecordedAt@odata.type": "Edm.DateTime",
		}, noted)

		require.NoError(t, s.Claim(t.Context(), m.AcsUserID, m.User))
		claim := map[string]any{
			"PartitionKey": "claims", "RowKey": storetest.Resource + "|" + identity.ClaimKey(m.AcsUserID),
			"User": m.User.Key(), "AcsUserId": m.AcsUserID, "Schema": 1.0,
		}
		assert.Equal(t, claim, properties("claims", storetest.Resource+"|"+identity.ClaimKey(m.AcsUserID)))

		require.NoError(t, s.Retire(t.Context(), m.AcsUserID))
		delete(claim, "User")
		delete(claim, "AcsUserId")
		claim["Retired"] = true
		assert.Equal(t, claim, properties("claims", storetest.Resource+"|"+identity.ClaimKey(m.AcsUserID)), "neither the user nor the identity")
	})

	t.Run("a row that makes no sense is an error and keeps its place", func(t *testing.T) {
		o := options(t)
		s, client := mustOpen(t, o), raw(t, o)
		_, err := client.CreateTable(t.Context(), nil)
		require.NoError(t, err)
		for name, properties := range map[string]map[string]any{
			"no property":       {},
			"no ACS user id":    {"Schema": 1, "CreatedAt": "2026-11-22T09:30:15Z"},
			"no time":           {"Schema": 1, "AcsUserId": "8:acs:a_b"},
			"no schema":         {"AcsUserId": "8:acs:a_b", "CreatedAt": "2026-11-22T09:30:15Z"},
			"a later schema":    {"Schema": 2, "AcsUserId": "8:acs:a_b", "CreatedAt": "2026-11-22T09:30:15Z"},
			"a number for text": {"Schema": 1, "AcsUserId": 8, "CreatedAt": "2026-11-22T09:30:15Z"},
		} {
			m := someMapping(t)
			properties["PartitionKey"], properties["RowKey"] = m.User.Key(), storetest.Resource
			entity, err := json.Marshal(properties)
			require.NoError(t, err)
			_, err = client.AddEntity(t.Context(), entity, nil)
			require.NoError(t, err)
			_, err = s.Get(t.Context(), m.User)
			require.ErrorContains(t, err, "can't be read", name)
			assert.NotErrorIs(t, err, identity.ErrNotFound, name)
			_, err = s.Create(t.Context(), m)
			assert.ErrorIs(t, err, identity.ErrExists, name)

			properties["PartitionKey"], properties["RowKey"] = erasuresKey, storetest.Resource+"|erase|"+m.AcsUserID
			entity, err = json.Marshal(properties)
			require.NoError(t, err)
			_, err = client.AddEntity(t.Context(), entity, nil)
			require.NoError(t, err)
			require.ErrorContains(t, listError(t.Context(), s), "can't be read", name)
			require.NoError(t, s.Clear(t.Context(), identity.Erasure{AcsUserID: m.AcsUserID, Reason: identity.ReasonErase}))

			properties["PartitionKey"], properties["RowKey"] = claimsKey, storetest.Resource+"|"+identity.ClaimKey(m.AcsUserID)
			entity, err = json.Marshal(properties)
			require.NoError(t, err)
			_, err = client.AddEntity(t.Context(), entity, nil)
			require.NoError(t, err)
			err = s.Claim(t.Context(), m.AcsUserID, m.User)
			require.ErrorContains(t, err, "can't be read", name)
			assert.NotErrorIs(t, err, identity.ErrNotFound, name)
		}
	})

	t.Run("an answer that is lost ends as the interfaces say", func(t *testing.T) {
		o := options(t)
		o.Transport = &losing{next: http.DefaultClient}
		s, clear := mustOpen(t, o), mustOpen(t, Options{Connection: connection, Table: o.Table, Resource: o.Resource})
		require.NoError(t, clear.Record(t.Context(), someErasure(t)), "makes the table")

		want := someMapping(t)
		_, err := s.Create(t.Context(), want)
		require.ErrorIs(t, err, identity.ErrExists)
		m, err := s.Get(t.Context(), want.User)
		require.NoError(t, err)
		require.Equal(t, want.AcsUserID, m.AcsUserID)

		_, err = s.MarkErasing(t.Context(), m)
		require.ErrorIs(t, err, identity.ErrVersion)
		m, err = s.Get(t.Context(), want.User)
		require.NoError(t, err)
		require.True(t, m.Erasing)

		require.ErrorIs(t, s.Delete(t.Context(), m), identity.ErrNotFound)
		note := someErasure(t)
		require.NoError(t, s.Record(t.Context(), note))
		assert.NoError(t, s.Clear(t.Context(), note))
		require.NoError(t, s.Claim(t.Context(), want.AcsUserID, want.User))
		require.ErrorIs(t, s.Claim(t.Context(), want.AcsUserID, someMapping(t).User), identity.ErrClaimed)
		require.NoError(t, s.Retire(t.Context(), want.AcsUserID))
		assert.ErrorIs(t, s.Claim(t.Context(), want.AcsUserID, want.User), identity.ErrRetired)
	})

	t.Run("with a shared access signature", func(t *testing.T) {
		c, err := ParseConnectionString("TableEndpoint=" + instance.Endpoint + ";SharedAccessSignature=?" + sharedAccessSignature(t))
		require.NoError(t, err)
		conformance(Options{Connection: c}).Run(t)
	})

	t.Run("a wrong key is refused", func(t *testing.T) {
		o := options(t)
		var err error
		o.Connection, err = ParseConnectionString("AccountName=" + azurite.Account + ";AccountKey=" + testKey + ";TableEndpoint=" + instance.Endpoint)
		require.NoError(t, err)
		err = mustOpen(t, o).Ping(t.Context())
		assert.Equal(t, identity.CodeUpstreamRejected, identity.CodeOf(err))
		assertHides(t, err.Error())
	})
}

func sharedAccessSignature(t *testing.T) string {
	t.Helper()
	key, err := aztables.NewSharedKeyCredential(azurite.Account, azurite.Key)
	require.NoError(t, err)
	sas, err := aztables.AccountSASSignatureValues{
		Protocol:      aztables.SASProtocolHTTPSandHTTP,
		ExpiryTime:    time.Now().UTC().Add(time.Hour),
		Permissions:   (&aztables.AccountSASPermissions{Read: true, Write: true, Delete: true, List: true, Add: true, Create: true, Update: true}).String(),
		Services:      "t",
		ResourceTypes: (&aztables.AccountSASResourceTypes{Service: true, Container: true, Object: true}).String(),
	}.Sign(key)
	require.NoError(t, err)
	return sas.Encode()
}

// losing forwards each change and loses its first answer.
type losing struct {
	next policy.Transporter
	mu   sync.Mutex
	lost map[string]bool
}

func (l *losing) Do(req *http.Request) (*http.Response, error) {
	resp, err := l.next.Do(req)
	if err != nil || req.Method == http.MethodGet {
		return resp, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	change := req.Method + req.URL.Path
	if l.lost == nil {
		l.lost = map[string]bool{}
	}
	if l.lost[change] {
		return resp, nil
	}
	l.lost[change] = true
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return nil, context.DeadlineExceeded
}
