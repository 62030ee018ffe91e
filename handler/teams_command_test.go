package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"acsauth/internal/localcloud"
	"acsauth/internal/localcloud/entraid"
)

func TestTheOperatorAssignsTeamsPhone(t *testing.T) {
	const (
		account = "aaaaaaaa-0000-4000-8000-00000000000a"
		another = "cccccccc-0000-4000-8000-00000000000c"
		tenant  = "dddddddd-0000-4000-8000-00000000000d"
	)
	u := newUser(t)
	h := start(t, nil)
	exchange := func() answer {
		return h.do(request{method: "POST", path: "/api/exchangeToken", token: tokenFor(t, u), header: teamsHeader(tokenFor(t, u, teamsPhone))})
	}
	environ := settings(t, nil)
	run := func(line string) (int, string, string) {
		return outcome(environ, append([]string{"teams"}, strings.Fields(line)...)...)
	}
	user := " -user " + u.ObjectID

	code, out, errs := run("show" + user)
	assert.Equal(t, 1, code)
	assert.Empty(t, out)
	assert.Contains(t, errs, "has no assignment at localhost: handler teams assign makes one")
	assert.Equal(t, "teams_token_not_assigned", exchange().code())

	code, out, errs = run("assign" + user + " -client " + localcloud.SPAClientID + "," + another)
	require.Equal(t, 0, code, errs)
	assert.Equal(t, "ok    user "+u.ObjectID+" of tenant "+u.TenantID+" can use Teams Phone with localhost\n", out)
	code, out, _ = run("show" + user)
	assert.Equal(t, 0, code)
	assert.Equal(t, "resource   localhost\ntenant     "+u.TenantID+"\nobject id  "+u.ObjectID+"\nkind       user\nclients    "+localcloud.SPAClientID+", "+another+"\n", out)
	assert.Equal(t, 200, exchange().status)

	code, _, _ = run("assign" + user + " -client " + another)
	assert.Equal(t, 0, code, "it takes the place of the former one")
	assert.Equal(t, "teams_token_not_assigned", exchange().code())

	code, _, _ = run("assign -resource-account " + account + " -tenant " + tenant)
	assert.Equal(t, 0, code)
	code, out, _ = run("show -tenant " + tenant + " -resource-account " + account)
	assert.Equal(t, 0, code)
	assert.Contains(t, out, "kind       resource account\nclients    none named\n")

	for range 2 {
		code, out, _ = run("unassign" + user)
		assert.Equal(t, 0, code, "it may be repeated")
		assert.Contains(t, out, "ok    user "+u.ObjectID)
	}
	code, _, _ = run("show" + user)
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
		"-user " + id:                                       "say assign, unassign or show",
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
		{"a request that ACS does not take", resource(400, `{"error":{"code":"ValidationError","message":"?","target":"clientIds"}}`), "about clientIds\nACS looked at the request"},
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
