package acsidentity

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// The operations, by the names that Calls and Operation use.
const (
	OpCreate                 = "createIdentity"
	OpDelete                 = "deleteIdentity"
	OpIssue                  = "issueAccessToken"
	OpRevoke                 = "revokeAccessTokens"
	OpExchangeTeamsUser      = "exchangeTeamsUserAccessToken"
	OpExchangeTeamsExtension = "exchangeTeamsExtensionAccessToken"
	OpGet                    = "getIdentity"
	OpPutAssignment          = "putTeamsExtensionAssignment"
	OpGetAssignment          = "getTeamsExtensionAssignment"
	OpDeleteAssignment       = "deleteTeamsExtensionAssignment"
)

// operation is one call of the API.
type operation struct {
	name    string
	method  string
	path    []string // segments; "{id}" takes any
	since   string   // the first version that has it
	until   string   // the last one, unless it is still there
	byToken bool     // the caller is the user, not an app of the resource
	run     func(s *Server, c call) (answer, *apiError)
}

func operations() []operation {
	const first, teams, extension = "2021-03-07", "2022-06-01", customIDVersion
	assignment := []string{"access", "teamsExtension", "tenants", "{id}", "assignments", "{id}"}
	return []operation{
		{name: OpCreate, method: http.MethodPost, path: []string{"identities"}, since: first, run: (*Server).create},
		{name: OpGet, method: http.MethodGet, path: []string{"identities", "{id}"}, since: customIDVersion, until: customIDVersion, run: (*Server).get},
		{name: OpDelete, method: http.MethodDelete, path: []string{"identities", "{id}"}, since: first, run: (*Server).delete},
		{name: OpIssue, method: http.MethodPost, path: []string{"identities", "{id}", ":issueAccessToken"}, since: first, run: (*Server).issue},
		{name: OpRevoke, method: http.MethodPost, path: []string{"identities", "{id}", ":revokeAccessTokens"}, since: first, run: (*Server).revoke},
		{name: OpExchangeTeamsUser, method: http.MethodPost, path: []string{"teamsUser", ":exchangeAccessToken"}, since: teams, run: (*Server).exchangeTeamsUser},
		{name: OpExchangeTeamsExtension, method: http.MethodPost, path: []string{"access", "teamsExtension", ":exchangeAccessToken"}, since: extension, byToken: true, run: (*Server).exchangeTeamsExtension},
		{name: OpPutAssignment, method: http.MethodPut, path: assignment, since: extension, run: (*Server).putAssignment},
		{name: OpGetAssignment, method: http.MethodGet, path: assignment, since: extension, run: (*Server).getAssignment},
		{name: OpDeleteAssignment, method: http.MethodDelete, path: assignment, since: extension, run: (*Server).deleteAssignment},
	}
}

// OperationNames lists the operations, by the names that Operation uses.
func OperationNames() (names []string) {
	for _, op := range operations() {
		names = append(names, op.name)
	}
	return names
}

// customIDVersion is the only version with customId and with a GET of an
// identity. It is a preview; of it, /access/entra is not served.
const customIDVersion = "2025-03-02-preview"

// versions lists the values of api-version that are served: the stable ones, and
// one preview.
func versions() []string {
	return []string{"2021-03-07", "2022-06-01", "2022-10-01", "2023-10-01", customIDVersion, "2025-06-30", "2026-09-23"}
}

// versions are those that have the operation. They compare as text, being dates.
func (op operation) versions() []string {
	return slices.DeleteFunc(versions(), func(v string) bool { return v < op.since || op.until != "" && v > op.until })
}

// Operation names the operation that a request is for; empty when there is none
// such.
func Operation(r *http.Request) string {
	op, _, _ := route(r.Method, r.URL)
	return op.name
}

// route finds the operation by method and path, and the ids in the path. known
// tells whether the path is right for another method.
func route(method string, u *url.URL) (op operation, ids []string, known bool) {
	// Cut apart before decoding: clients send the id as it is or escaped.
	segments := strings.Split(strings.Trim(u.EscapedPath(), "/"), "/")
	for _, op := range operations() {
		ids, ok := match(op.path, segments)
		if !ok {
			continue
		}
		known = true
		if op.method == method {
			return op, ids, true
		}
	}
	return operation{}, nil, known
}

func match(pattern, segments []string) (ids []string, ok bool) {
	if len(pattern) != len(segments) {
		return nil, false
	}
	for i, want := range pattern {
		got, err := url.PathUnescape(segments[i])
		if err != nil {
			return nil, false
		}
		if want == "{id}" && got != "" {
			ids = append(ids, got)
		} else if !strings.EqualFold(want, got) {
			return nil, false
		}
	}
	return ids, true
}
