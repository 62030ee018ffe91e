package backup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"acsauth/internal/bolt"
	"acsauth/internal/identity"
)

const resource = "contoso.communication.azure.com"

var created = time.Date(2026, 11, 22, 9, 30, 15, 0, time.UTC)

func newStore(t *testing.T) *bolt.Store {
	t.Helper()
	s, err := bolt.Open(filepath.Join(t.TempDir(), "test.db"), resource)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func user(n int) identity.User {
	return identity.User{TenantID: "11111111-1111-4111-8111-111111111111", ObjectID: fmt.Sprintf("22222222-2222-4222-8222-%012d", n)}
}

func mapping(n int) identity.Mapping {
	return identity.Mapping{User: user(n), AcsUserID: fmt.Sprintf("8:acs:resource_%d", n), CreatedAt: created.Add(time.Duration(n) * time.Second)}
}

func erasure(n int, reason identity.Reason) identity.Erasure {
	return identity.Erasure{User: user(n), AcsUserID: fmt.Sprintf("8:acs:resource_%d", n), Reason: reason, RecordedAt: created.Add(time.Hour)}
}

// filled has n mappings, some of them being erased, and notes.
func filled(t *testing.T, n int) *bolt.Store {
	t.Helper()
	s := newStore(t)
	var wg sync.WaitGroup
	for worker := range 50 { // changes that come at once share a write to the disk
		wg.Go(func() {
			for i := worker; i < n; i += 50 {
				m := mapping(i)
				m.Erasing = i%10 == 3
				if m.Erasing {
					assert.NoError(t, s.Record(t.Context(), erasure(i, identity.ReasonErase)))
				}
				_, err := s.Create(t.Context(), m)
				assert.NoError(t, err)
			}
		})
	}
	wg.Wait()
	require.NoError(t, s.Record(t.Context(), erasure(n, identity.ReasonOrphan)))
	return s
}

func export(t *testing.T, s Store, after string) string {
	t.Helper()
	var b bytes.Buffer
	done, err := Export(t.Context(), s, &b, exportOptions(t, after))
	require.NoError(t, err)
	assert.Equal(t, strings.Count(b.String(), "\n"), done.Mappings+done.Erasures)
	return b.String()
}

func exportOptions(t *testing.T, after string) ExportOptions {
	return ExportOptions{Resource: resource, After: after, Progress: func(Exported) {},
		Report: func(err error) { t.Helper(); assert.NoError(t, err) }}
}

// reports are what Import told of lines.
type reports map[int]string

func importLines(t *testing.T, s Store, lines string, o ImportOptions) (Imported, reports) {
	t.Helper()
	told := reports{}
	o.Resource, o.Progress = resource, func(Imported) {}
	o.Report = func(n int, err error) { told[n] = err.Error() }
	done, err := Import(t.Context(), s, strings.NewReader(lines), o)
	require.NoError(t, err)
	return done, told
}

func TestWhatIsImportedElsewhereExportsTheSame(t *testing.T) {
	const n = 700
	lines := export(t, filled(t, n), "")
	assert.Equal(t, n+n/10+1, strings.Count(lines, "\n"))
	assert.True(t, strings.HasPrefix(lines, `{"type":"mapping","resource":"`+resource+`","tenantId":"11111111-1111-4111-8111-111111111111",`+
		`"objectId":"22222222-2222-4222-8222-000000000000","acsUserId":"8:acs:resource_0","createdAt":"2026-11-22T09:30:15Z"}`+"\n"), lines[:300])
	assert.Contains(t, lines, `"acsUserId":"8:acs:resource_3","createdAt":"2026-11-22T09:30:18Z","erasing":true}`)
	assert.Contains(t, lines, `"acsUserId":"8:acs:resource_700","reason":"orphan","recordedAt":"2026-11-22T10:30:15Z"}`)

	elsewhere := newStore(t)
	dry, told := importLines(t, elsewhere, lines, ImportOptions{DryRun: true})
	assert.Empty(t, told)
	assert.Empty(t, export(t, elsewhere, ""), "a dry run changes nothing")
	done, told := importLines(t, elsewhere, lines, ImportOptions{})
	assert.Empty(t, told)
	assert.Equal(t, Imported{Lines: n + n/10 + 1, Created: n, Erasures: n/10 + 1}, done)
	assert.Equal(t, done, dry)
	assert.Equal(t, lines, export(t, elsewhere, ""))

	again, told := importLines(t, elsewhere, lines, ImportOptions{})
	assert.Empty(t, told)
	assert.Equal(t, Imported{Lines: n + n/10 + 1, There: n, Erasures: n/10 + 1}, again, "it may be repeated")
	assert.Equal(t, lines, export(t, elsewhere, ""))
}

func TestEachLineStandsForItself(t *testing.T) {
	lines := export(t, filled(t, 20), "")
	for line := range strings.Lines(lines) {
		s := newStore(t)
		_, told := importLines(t, s, line, ImportOptions{})
		assert.Empty(t, told)
		assert.True(t, strings.HasPrefix(export(t, s, ""), line), line)
	}
}

func TestAnExportGoesOnWhereOneStopped(t *testing.T) {
	s := filled(t, 50)
	whole := export(t, s, "")
	for _, stop := range []int{1, 20, 49, 50} {
		var first bytes.Buffer
		ctx, cancel := context.WithCancel(t.Context())
		o := exportOptions(t, "")
		o.Progress = func(done Exported) {
			if done.Mappings == stop {
				cancel()
			}
		}
		// The file's pages are read whole, so that the stop is at the next one;
		// a store that is slower stops sooner.
		done, err := Export(ctx, stopping{s, ctx}, &first, o)
		cancel()
		require.ErrorIs(t, err, context.Canceled)
		require.Equal(t, stop, done.Mappings)
		assert.Equal(t, whole, first.String()+export(t, s, done.Last))
	}
}

// stopping looks at its context before each mapping.
type stopping struct {
	*bolt.Store
	ctx context.Context
}

func (s stopping) Mappings(ctx context.Context, after string) iter.Seq2[identity.Mapping, error] {
	return func(yield func(identity.Mapping, error) bool) {
		for m, err := range s.Store.Mappings(ctx, after) {
			if s.ctx.Err() != nil {
				yield(identity.Mapping{}, identity.Errorf(identity.CodeUpstreamUnavailable, "").Because(s.ctx.Err()))
				return
			}
			if !yield(m, err) {
				return
			}
		}
		if s.ctx.Err() != nil {
			yield(identity.Mapping{}, identity.Errorf(identity.CodeUpstreamUnavailable, "").Because(s.ctx.Err()))
		}
	}
}

func TestAnImportGoesOnWhereOneStopped(t *testing.T) {
	lines := export(t, filled(t, 600), "")
	s := newStore(t)
	failing := &failing{Store: s, after: 300}
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		done, err := Import(t.Context(), failing, strings.NewReader(lines), ImportOptions{Resource: resource, Progress: func(Imported) {}, Report: func(int, error) {}})
		assert.Equal(t, identity.CodeUpstreamUnavailable, identity.CodeOf(err))
		assert.Equal(t, 256, done.Lines)
		assert.Equal(t, 31*time.Second, time.Since(began).Truncate(time.Second))
	})
	done, told := importLines(t, s, lines, ImportOptions{After: 256})
	assert.Empty(t, told)
	assert.Equal(t, 661, done.Lines)
	assert.Equal(t, lines, export(t, s, ""))
}

// failing is down from the nth create on.
type failing struct {
	*bolt.Store
	after   int
	creates atomic.Int64
}

func (f *failing) Create(ctx context.Context, m identity.Mapping) (identity.Mapping, error) {
	if int(f.creates.Add(1)) > f.after {
		return identity.Mapping{}, identity.Errorf(identity.CodeUpstreamUnavailable, "down")
	}
	return f.Store.Create(ctx, m)
}

func TestAnotherIdentityIsAConflictAndStays(t *testing.T) {
	s := newStore(t)
	theirs := mapping(1)
	theirs.AcsUserID = "8:acs:resource_other"
	_, err := s.Create(t.Context(), theirs)
	require.NoError(t, err)
	for _, dry := range []bool{true, false} {
		done, told := importLines(t, s, export(t, filled(t, 3), ""), ImportOptions{DryRun: dry})
		assert.Equal(t, 1, done.Conflict)
		assert.Equal(t, 2, done.Created)
		assert.Equal(t, reports{2: ErrConflict.Error()}, told)
		kept, err := s.Get(t.Context(), user(1))
		require.NoError(t, err)
		assert.Equal(t, theirs.AcsUserID, kept.AcsUserID)
	}

	one := export(t, filled(t, 1), "")
	one = one[:strings.Index(one, "\n")+1]
	for range 20 {
		_, told := importLines(t, newStore(t), one+strings.ReplaceAll(one, "resource_0", "resource_x"), ImportOptions{})
		assert.Equal(t, reports{2: ErrConflict.Error()}, told, "the first of two lines counts")
	}
}

func TestAnErasureUnderWayIsNotForgottenWhateverIsImported(t *testing.T) {
	lines := strings.SplitAfter(export(t, filled(t, 4), ""), "\n")
	s := newStore(t)
	done, _ := importLines(t, s, lines[3], ImportOptions{})
	require.Equal(t, 1, done.Created)
	for note, err := range s.List(t.Context()) {
		require.NoError(t, err)
		assert.Equal(t, mapping(3).AcsUserID, note.AcsUserID)
	}
	m, err := s.Get(t.Context(), user(3))
	require.NoError(t, err)
	assert.True(t, m.Erasing)
}

func TestLinesThatCannotBeReadAreNamedAndNothingIsGuessed(t *testing.T) {
	good := export(t, filled(t, 1), "")
	good = good[:strings.Index(good, "\n")]
	note := strings.Split(export(t, filled(t, 0), ""), "\n")[0]
	for name, line := range map[string]string{
		"no JSON":                   "hello",
		"an array":                  "[]",
		"cut short":                 good[:len(good)-20],
		"two objects":               good + good,
		"space in it":               strings.ReplaceAll(good, ":", ": "),
		"another order":             `{"resource":"` + resource + `","type":"mapping"` + good[strings.Index(good, `,"tenantId"`):],
		"something unknown":         strings.Replace(good, `"type"`, `"note":"x","type"`, 1),
		"a member twice":            strings.Replace(good, `"type"`, `"acsUserId":"8:acs:x","type"`, 1),
		"another case":              strings.Replace(good, `"acsUserId"`, `"AcsUserID"`, 1),
		"another type":              strings.Replace(good, `"mapping"`, `"token"`, 1),
		"the other type":            strings.Replace(good, `"mapping"`, `"erasure"`, 1),
		"a mapping with a reason":   strings.Replace(good, `"}`, `","reason":"erase"}`, 1),
		"an erasure called mapping": strings.Replace(note, `"erasure"`, `"mapping"`, 1),
		"an unknown reason":         strings.Replace(note, `"orphan"`, `"because"`, 1),
		"a user in upper case":      strings.Replace(good, "22222222-2222-4222-8222-000000000000", "AAAAAAAA-2222-4222-8222-000000000000", 1),
		"no user":                   strings.Replace(good, "22222222-2222-4222-8222-000000000000", "", 1),
		"no identity":               strings.Replace(good, "8:acs:resource_0", "", 1),
		"an identity with a space":  strings.Replace(good, "8:acs:resource_0", "8:acs: 0", 1),
		"an identity with a slash":  strings.Replace(good, "8:acs:resource_0", "8:acs:a/b", 1),
		"an identity of no user":    strings.Replace(good, "8:acs:resource_0", "4:+15550100", 1),
		"a very long identity":      strings.Replace(good, "8:acs:resource_0", "8:acs:"+strings.Repeat("0", 250), 1),
		"no time":                   good[:strings.Index(good, `,"createdAt"`)] + "}",
		"a time with a zone":        strings.Replace(good, `15Z"`, `15+01:00"`, 1),
		"a time with a fraction":    strings.Replace(good, `15Z"`, `15.5Z"`, 1),
		"not erasing, in words":     strings.Replace(good, `Z"}`, `Z","erasing":false}`, 1),
		"bytes that are no UTF-8":   strings.Replace(good, "resource_0", "resource_\xff", 1),
		"an escape that needs none": strings.Replace(good, "mapping", `m\u0061pping`, 1),
		"another ACS resource":      strings.Replace(good, resource, "fabrikam.communication.azure.com", 1),
		"longer than anything":      `{"type":"` + strings.Repeat("x", 200_000) + `"}`,
		"UTF-16, as PowerShell's >": "\xff\xfe" + strings.Join(strings.Split(good, ""), "\x00") + "\x00",
	} {
		s := newStore(t)
		done, told := importLines(t, s, note+"\n"+line+"\n\r\n\n"+good+"\r\n", ImportOptions{})
		assert.Equal(t, Imported{Lines: 5, Created: 1, Erasures: 1, Refused: 1}, done, name)
		assert.Len(t, told, 1, name)
		assert.NotEmpty(t, told[2], name)
	}
	done, told := importLines(t, newStore(t), good, ImportOptions{})
	assert.Equal(t, 1, done.Created, "without the last line feed")
	assert.Empty(t, told)
	done, told = importLines(t, newStore(t), "", ImportOptions{})
	assert.Zero(t, done)
	assert.Empty(t, told)
}

func TestARowThatCannotBeReadIsToldAndTheOthersAreWritten(t *testing.T) {
	s := unreadable{filled(t, 3)}
	var told []error
	o := exportOptions(t, "")
	o.Report = func(err error) { told = append(told, err) }
	var b bytes.Buffer
	done, err := Export(t.Context(), s, &b, o)
	require.NoError(t, err)
	assert.Len(t, told, 1)
	assert.Equal(t, Exported{Mappings: 3, Erasures: 1, Unreadable: 1, Last: user(2).Key()}, done)
}

type unreadable struct{ *bolt.Store }

func (s unreadable) Mappings(ctx context.Context, after string) iter.Seq2[identity.Mapping, error] {
	return func(yield func(identity.Mapping, error) bool) {
		if yield(identity.Mapping{}, errors.New("can't be read")) {
			s.Store.Mappings(ctx, after)(yield)
		}
	}
}

func TestAStoreWithoutOrderGivesNoPlaceToGoOnFrom(t *testing.T) {
	s := reversed{filled(t, 3)}
	var b bytes.Buffer
	done, err := Export(t.Context(), s, &b, exportOptions(t, ""))
	require.NoError(t, err)
	assert.Equal(t, 3, done.Mappings)
	assert.Empty(t, done.Last)
}

type reversed struct{ *bolt.Store }

func (s reversed) Mappings(ctx context.Context, after string) iter.Seq2[identity.Mapping, error] {
	return func(yield func(identity.Mapping, error) bool) {
		var all []identity.Mapping
		for m := range s.Store.Mappings(ctx, after) {
			all = append([]identity.Mapping{m}, all...)
		}
		for _, m := range all {
			if !yield(m, nil) {
				return
			}
		}
	}
}

func TestAStoreThatCannotBeListedSaysSo(t *testing.T) {
	_, err := Export(t.Context(), struct {
		identity.Store
		identity.Erasures
	}{newStore(t), newStore(t)}, io.Discard, exportOptions(t, ""))
	assert.ErrorIs(t, err, ErrNoList)
}

func TestAnOutputThatIsFullEndsTheExport(t *testing.T) {
	_, err := Export(t.Context(), filled(t, 2000), full{}, exportOptions(t, ""))
	assert.ErrorContains(t, err, "write: no space")
	_, err = Export(t.Context(), filled(t, 2), full{}, exportOptions(t, ""))
	assert.ErrorContains(t, err, "write: no space", "also at the very end")
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

func FuzzWhatIsReadIsWrittenTheSame(f *testing.F) {
	for _, l := range []line{mappingLine(resource, mapping(1)), erasureLine(resource, erasure(1, identity.ReasonErase))} {
		b, err := l.encode()
		require.NoError(f, err)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		l, err := parse(raw)
		if err != nil {
			return
		}
		again := mappingLine(l.Resource, l.mapping())
		if l.Type == typeErasure {
			again = erasureLine(l.Resource, l.erasure())
		}
		b, err := again.encode()
		require.NoError(t, err)
		assert.Equal(t, strings.TrimRight(string(raw), "\r\n"), strings.TrimRight(string(b), "\n"))
	})
}
