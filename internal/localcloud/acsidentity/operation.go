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
)

// operation is one call of the API.
type operation struct {
	name    string
	method  string
	path    []string // segments; "{id}" takes any
	since   string   // the first stable version that has it
	byToken bool     // the caller is the user, not an app of the resource
	run     func(s *Server, c call) (answer, *apiError)
}

func operations() []operation {
	return []operation{
		{OpCreate, http.MethodPost, []string{"identities"}, "2021-03-07", false, (*Server).create},
		{OpDelete, http.MethodDelete, []string{"identities", "{id}"}, "2021-03-07", false, (*Server).delete},
		{OpIssue, http.MethodPost, []string{"identities", "{id}", ":issueAccessToken"}, "2021-03-07", false, (*Server).issue},
		{OpRevoke, http.MethodPost, []string{"identities", "{id}", ":revokeAccessTokens"}, "2021-03-07", false, (*Server).revoke},
		{OpExchangeTeamsUser, http.MethodPost, []string{"teamsUser", ":exchangeAccessToken"}, "2022-06-01", false, (*Server).exchangeTeamsUser},
		{OpExchangeTeamsExtension, http.MethodPost, []string{"access", "teamsExtension", ":exchangeAccessToken"}, "2025-06-30", true, (*Server).exchangeTeamsExtension},
	}
}

// OperationNames lists the operations, by the names that Operation uses.
func OperationNames() (names []string) {
	for _, op := range operations() {
		names = append(names, op.name)
	}
	return names
}

// stableVersions lists the values of api-version that are served.
func stableVersions() []string {
	return []string{"2021-03-07", "2022-06-01", "2022-10-01", "2023-10-01", "2025-06-30", "2026-09-23"}
}

// versions are those that have the operation. They compare as text, being dates.
func (op operation) versions() []string {
	return slices.DeleteFunc(stableVersions(), func(v string) bool { return v < op.since })
}

// Operation names the operation that a request is for; empty when there is none
// such.
func Operation(r *http.Request) string {
	op, _, _ := route(r.Method, r.URL)
	return op.name
}

// route finds the operation by method and path, and the id in the path. known
// tells whether the path is right for another method.
func route(method string, u *url.URL) (op operation, id string, known bool) {
	// Cut apart before decoding: clients send the id as it is or escaped.
	segments := strings.Split(strings.Trim(u.EscapedPath(), "/"), "/")
	for _, op := range operations() {
		id, ok := match(op.path, segments)
		if !ok {
			continue
		}
		known = true
		if op.method == method {
			return op, id, true
		}
	}
	return operation{}, "", known
}

func match(pattern, segments []string) (id string, ok bool) {
	if len(pattern) != len(segments) {
		return "", false
	}
	for i, want := range pattern {
		got, err := url.PathUnescape(segments[i])
		if err != nil {
			return "", false
		}
		if want == "{id}" {
			id = got
		} else if !strings.EqualFold(want, got) {
			return "", false
		}
	}
	return id, true
}
