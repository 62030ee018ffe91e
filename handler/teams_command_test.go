package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"acsauth/internal/localcloud/entraid"
)

// assignments is an ACS that keeps assignments and does nothing else.
func assignments(t *testing.T) (environ []string) {
	kept := map[string]map[string]any{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ids, found := strings.CutPrefix(r.URL.Path, "/access/teamsExtension/tenants/")
		if !assert.True(t, found, r.URL.Path) {
			return
		}
		tenant, object, _ := strings.Cut(ids, "/assignments/")
		switch a, ok := kept[ids]; {
		case r.Method == http.MethodPut:
			a = map[string]any{}
			b, _ := io.ReadAll(r.Body)
			assert.NoError(t, json.Unmarshal(b, &a))
			a["tenantId"], a["objectId"] = tenant, object
			kept[ids] = a
			w.WriteHeader(http.StatusCreated)
			_ = json.NewEncoder(w).Encode(a)
		case !ok:
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, `{"error":{"code":"NotFound","message":"?"}}`)
		case r.Method == http.MethodDelete:
			delete(kept, ids)
			w.WriteHeader(http.StatusNoContent)
		default:
			_ = json.NewEncoder(w).Encode(a)
		}
	}))
	t.Cleanup(server.Close)
	return settings(t, map[string]string{"ACS_CONNECTION_STRING": "endpoint=" + server.URL + ";accesskey=a2V5"})
}

func TestTheOperatorAssignsTeamsPhone(t *testing.T) {
	const (
		user    = "aaaaaaaa-0000-4000-8000-00000000000a"
		client  = "bbbbbbbb-0000-4000-8000-00000000000b"
		another = "cccccccc-0000-4000-8000-00000000000c"
		tenant  = "dddddddd-0000-4000-8000-00000000000d"
	)
	environ := assignments(t)
	run := func(line string) (int, string, string) {
		return outcome(environ, append([]string{"teams"}, strings.Fields(line)...)...)
	}

	code, out, errs := run("show -user " + user)
	assert.Equal(t, 1, code)
	assert.Empty(t, out)
	assert.Contains(t, errs, "has no assignment at 127.0.0.1: handler teams assign makes one")

	code, out, errs = run("assign -user " + user + " -client " + client + "," + another)
	require.Equal(t, 0, code, errs)
	assert.Equal(t, "ok    user "+user+" of tenant "+entraid.SampleTenantID+" can use Teams Phone with 127.0.0.1\n", out)
	code, out, _ = run("show -user " + user)
	assert.Equal(t, 0, code)
	assert.Equal(t, "resource   127.0.0.1\ntenant     "+entraid.SampleTenantID+"\nobject id  "+user+"\nkind       user\nclients    "+client+", "+another+"\n", out)

	code, _, _ = run("assign -resource-account " + another + " -tenant " + tenant)
	assert.Equal(t, 0, code)
	code, out, _ = run("show -tenant " + tenant + " -resource-account " + another)
	assert.Equal(t, 0, code)
	assert.Contains(t, out, "kind       resource account\nclients    none named\n")

	for range 2 {
		code, out, _ = run("unassign -user " + user)
		assert.Equal(t, 0, code, "it may be repeated")
		assert.Contains(t, out, "ok    user "+user)
	}
	code, _, _ = run("show -user " + user)
	assert.Equal(t, 1, code)
}

func TestWrongTeamsCommands(t *testing.T) {
	const id = "aaaaaaaa-0000-4000-8000-00000000000a"
	for line, says := range map[string]string{
		"":     "say assign, unassign or show",
		"list": `there is no "list"`,
		"show": "-user or -resource-account",
		"show -user " + id + " -resource-account " + id:     "-user or -resource-account",
		"show -user alice@contoso.example":                  "not a GUID",
		"show -user " + id + " -tenant contoso":             "not a GUID",
		"assign -user " + id:                                "-client which applications",
		"assign -user " + id + " -client x":                 "not a GUID",
		"assign -user " + id + " -client " + id + ", x":     "one argument too many",
		"show -user " + id + " -client " + id:               "-client is for",
		"assign -resource-account " + id + " -client " + id: "-client is for",
		"show -everybody":                                   "not defined",
		"-user " + id:                                       "there is no",
	} {
		code, out, errs := outcome(nil, append([]string{"teams"}, strings.Fields(line)...)...)
		assert.Equal(t, 2, code, line)
		assert.Empty(t, out, line)
		assert.Contains(t, errs, says, line)
		assert.Contains(t, errs, "usage:", line)
	}
	for _, line := range []string{"-help", "assign -h"} {
		code, out, _ := outcome(nil, append([]string{"teams"}, strings.Fields(line)...)...)
		assert.Equal(t, 0, code)
		assert.Contains(t, out, "handler teams unassign")
	}
	code, _, errs := outcome(nil, "teams", "show", "-user", id)
	assert.Equal(t, 2, code, "the settings are missing")
	assert.Contains(t, errs, "ACS_CONNECTION_STRING is missing")
}

func TestTeamsCommandsThatFailSayWhatToDo(t *testing.T) {
	show := []string{"teams", "show", "-user", "aaaaaaaa-0000-4000-8000-00000000000a"}
	const key = "d3Jvbmctd3Jvbmctd3Jvbmc="
	resource := func(status int, body string) map[string]string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { answers(status, body)(w) }))
		t.Cleanup(server.Close)
		return map[string]string{"ACS_CONNECTION_STRING": "endpoint=" + server.URL + ";accesskey=" + key}
	}
	for _, row := range []struct {
		name    string
		changes map[string]string
		says    string
	}{
		{"a wrong key", resource(401, `{"error":{"code":"Denied","message":"?"}}`), "Copy ACS_CONNECTION_STRING again"},
		{"too many calls", resource(429, ""), "not available just now"},
		{"several tenants", map[string]string{"ENTRA_TENANT_ID": entraid.SampleTenantID + ",aaaaaaaa-0000-4000-8000-00000000000a"}, "say with -tenant"},
		{"an old version", map[string]string{"ACS_API_VERSION": "2023-10-01"}, "assignments came with 2025-06-30"},
	} {
		code, out, errs := outcome(settings(t, row.changes), show...)
		assert.Equal(t, 1, code, row.name)
		assert.Empty(t, out, row.name)
		assert.Contains(t, errs, row.says, row.name)
		assert.NotContains(t, errs, key)
	}
}
