package funchost

import (
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPoint24ACrashInARequestIs500(t *testing.T) {
	for name, app := range map[string]setup{"forwarding": forwarding(), "proxying": proxying()} {
		t.Run(name, func(t *testing.T) {
			r := app.start(t)
			pid := r.PID()
			// A body that has been read keeps the proxy from trying again.
			assertEmpty(t, http.StatusInternalServerError, r.send(t, http.MethodPost, "/api/do/exit?code=3", "body"))
			r.replaced(t, pid)
			assert.Equal(t, http.StatusOK, r.send(t, http.MethodGet, "/api/do/echo", "").status)
			assert.Equal(t, "Function.do", r.logged(t, "executed (failed)").Category)
		})
	}
}

func TestPoint24ACrashInAnAnswerBreaksOffAProxiedOneAlone(t *testing.T) {
	r := proxying().start(t)
	res, err := r.client.Do(r.request(t, http.MethodGet, "/api/do/half", ""))
	require.NoError(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	assert.ErrorIs(t, err, io.ErrUnexpectedEOF)
	assert.Equal(t, "half", string(body))
	assert.Equal(t, http.StatusOK, res.StatusCode)

	r = forwarding().start(t)
	assertEmpty(t, http.StatusInternalServerError, r.send(t, http.MethodGet, "/api/do/half", ""))
}

func TestPoint25AFunctionThatTakesTooLongCostsTheProcess(t *testing.T) {
	for name, app := range map[string]setup{"forwarding": forwarding(), "proxying": proxying()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app.host = object{"functionTimeout": "00:00:00.4"}
			r := app.start(t)
			for range 3 { // no more failures would be forgiven
				pid := r.PID()
				assertEmpty(t, http.StatusInternalServerError, r.send(t, http.MethodGet, "/api/do/hang", ""))
				r.replaced(t, pid)
			}
			eventually(t, "an answer in time", func() bool { return r.send(t, http.MethodGet, "/api/do/echo", "").status == http.StatusOK })
			assert.NoError(t, r.Err())
		})
	}
}

func TestPoint25AFunctionMayBeAllowedToTakeForEver(t *testing.T) {
	a, err := readApp(setup{host: object{"functionTimeout": "-1"}}.write(t).Root, nil)
	require.NoError(t, err)
	assert.Zero(t, a.functionTimeout)
}

func TestPoint26TheFrontEndGivesUpWith502(t *testing.T) {
	for name, row := range map[string]struct {
		app  setup
		then string
	}{
		"a forwarded request runs on":      {forwarding(), "finished"},
		"a proxied request is called back": {proxying(), "hung up"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			row.app.config = func(c *Config) { c.FrontEndTimeout = 3 * time.Second } // enough for the answer that comes
			r := row.app.start(t)
			gate := filepath.Join(t.TempDir(), "gate")
			assertEmpty(t, http.StatusBadGateway, r.send(t, http.MethodGet, "/api/do/hang?until="+gate, ""))
			if row.then == "finished" {
				touch(t, gate)
			}
			r.logged(t, row.then)
			res := r.send(t, http.MethodGet, "/api/do/headers", "")
			assert.Equal(t, http.StatusTeapot, res.status)
			assert.Equal(t, "as it is", res.body)
		})
	}

	app := proxying()
	app.config = func(c *Config) { c.FrontEndTimeout = time.Minute }
	r := app.start(t)
	res, err := r.client.Do(r.request(t, http.MethodGet, "/api/do/half", ""))
	require.NoError(t, err)
	defer res.Body.Close()
	_, err = io.ReadAll(res.Body)
	assert.ErrorIs(t, err, io.ErrUnexpectedEOF, "a broken answer is passed on as such")
}

func TestPoint26AResponseIsTakenAwayOnlyBeforeItBegins(t *testing.T) {
	real := httptest.NewRecorder()
	w := newCutoffWriter(real)
	_, err := io.WriteString(w, "begun")
	require.NoError(t, err)
	assert.False(t, w.cut())
	_, err = io.WriteString(w, ", and done")
	require.NoError(t, err)
	assert.Equal(t, "begun, and done", real.Body.String())

	real = httptest.NewRecorder()
	w = newCutoffWriter(real)
	w.Header().Set("X-Late", "1")
	assert.True(t, w.cut())
	w.WriteHeader(http.StatusTeapot)
	_, err = io.WriteString(w, "late")
	assert.Error(t, err)
	assert.Error(t, http.NewResponseController(w).Flush())
	assert.Empty(t, real.Header())
	assert.Empty(t, real.Body.String())
	assert.Equal(t, http.StatusOK, real.Code, "nothing written")
}

func TestPoint27PingsDisturbNothing(t *testing.T) {
	for name, app := range map[string]setup{"forwarding": forwarding(), "proxying": proxying()} {
		t.Run(name, func(t *testing.T) {
			app.config = func(c *Config) { c.ProbeEvery = time.Millisecond }
			r := app.start(t)
			req := r.request(t, http.MethodGet, "/api/do/echo", "")
			first := r.echo(t, req).Pings
			eventually(t, "ten more pings", func() bool { return r.echo(t, req).Pings >= first+10 })
		})
	}
}

func TestPoint28AHostileClientCanBePlayed(t *testing.T) {
	for name, app := range map[string]setup{"forwarding": forwarding(), "proxying": proxying()} {
		t.Run(name, func(t *testing.T) {
			app.config = func(c *Config) { c.Hostile = true }
			r := app.start(t)
			header := r.echo(t, r.request(t, http.MethodGet, "/api/do/echo", "")).Header
			assert.NotEmpty(t, header.Get("X-Ms-Client-Principal"))
			ids := header[headerInvocationID]
			if name == "forwarding" {
				require.Len(t, ids, 2, "the client's comes first")
				assert.Equal(t, "forged.example", header.Get("X-Forwarded-Host"))
				return
			}
			require.Len(t, ids, 1)
			assert.NotContains(t, ids[0], "f00d")
			assert.NotEqual(t, "forged.example", header.Get("X-Forwarded-Host"))
		})
	}
}
