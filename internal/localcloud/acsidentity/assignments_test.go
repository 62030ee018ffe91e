package acsidentity

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const assignmentPath = "/access/teamsExtension/tenants/" + tenantID + "/assignments/" + aliceID

func TestAnAssignmentIsMadeReplacedAndTakenAway(t *testing.T) {
	res := newResource(t)
	want := func(principal string, clients ...any) map[string]any {
		if clients == nil {
			clients = []any{}
		}
		return map[string]any{"objectId": aliceID, "tenantId": tenantID, "principalType": principal, "clientIds": clients}
	}
	for _, row := range []struct {
		method, body string
		status       int
		want         map[string]any
	}{
		{"GET", "", 404, nil},
		{"PUT", `{"principalType":"user","clientIds":["` + appID + `"]}`, 201, want("user", appID)},
		{"PUT", `{"principalType":"resourceAccount"}`, 200, want("resourceAccount")},
		{"GET", "", 200, want("resourceAccount")},
		{"DELETE", "", 204, nil},
		{"GET", "", 404, nil},
		{"DELETE", "", 204, nil},
	} {
		w := res.do(row.method, assignmentPath, newest, row.body)
		require.Equal(t, row.status, w.Code, w.Body)
		if row.want != nil {
			assert.Equal(t, row.want, object(t, w))
		}
	}
}

func TestBadAssignmentsAreRefused(t *testing.T) {
	res := newResource(t)
	for name, row := range map[string]struct {
		path, version, body string
		status              int
		target              string
	}{
		"no principal type":      {assignmentPath, newest, `{"clientIds":["` + appID + `"]}`, 400, "PrincipalType"},
		"unknown principal type": {assignmentPath, newest, `{"principalType":"group","clientIds":["` + appID + `"]}`, 400, "principalType"},
		"no client of a user":    {assignmentPath, newest, `{"principalType":"user"}`, 400, "ClientIds"},
		"client no GUID":         {assignmentPath, newest, `{"principalType":"user","clientIds":["x"]}`, 400, "clientIds"},
		"object no GUID":         {"/access/teamsExtension/tenants/" + tenantID + "/assignments/x", newest, `{}`, 400, "objectId"},
		"tenant no GUID":         {"/access/teamsExtension/tenants/contoso/assignments/" + aliceID, newest, `{}`, 400, "tenantId"},
		"wrong types":            {assignmentPath, newest, `{"principalType":1,"clientIds":{}}`, 400, ""},
		"version before":         {assignmentPath, "2023-10-01", `{}`, 400, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := res.do(http.MethodPut, row.path, row.version, row.body)
			assert.Equal(t, row.status, w.Code, w.Body)
			if row.target != "" {
				assert.Equal(t, row.target, member(t, object(t, w), "error", "target"))
			}
		})
	}
	assert.Equal(t, http.StatusNotFound, res.do(http.MethodGet, assignmentPath, newest, "").Code)
	require.Error(t, res.Assign("contoso", aliceID))
}
