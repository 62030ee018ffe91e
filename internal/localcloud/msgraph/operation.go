package msgraph

import (
	"net/http"
	"net/url"
	"strings"
)

// The operations, by the names that Calls and Operation use.
const (
	OpGetUser         = "getUser"
	OpListExtensions  = "listExtensions"
	OpCreateExtension = "createExtension"
	OpGetExtension    = "getExtension"
	OpUpdateExtension = "updateExtension"
	OpDeleteExtension = "deleteExtension"
)

// operation is one request that the API has.
type operation struct {
	name   string
	method string
	path   []string // segments after the user; "{name}" takes any
	writes bool
	run    func(s *Server, c call) (answer, *apiError)
}

func operations() []operation {
	return []operation{
		{OpGetUser, http.MethodGet, nil, false, (*Server).getUser},
		{OpListExtensions, http.MethodGet, []string{"extensions"}, false, (*Server).listExtensions},
		{OpCreateExtension, http.MethodPost, []string{"extensions"}, true, (*Server).createExtension},
		{OpGetExtension, http.MethodGet, []string{"extensions", "{name}"}, false, (*Server).getExtension},
		{OpUpdateExtension, http.MethodPatch, []string{"extensions", "{name}"}, true, (*Server).updateExtension},
		{OpDeleteExtension, http.MethodDelete, []string{"extensions", "{name}"}, true, (*Server).deleteExtension},
	}
}

// OperationNames lists the operations, by the names that Operation uses.
func OperationNames() (names []string) {
	for _, op := range operations() {
		names = append(names, op.name)
	}
	return names
}

// Operation names the operation that a request is for; empty when there is none
// such.
func Operation(r *http.Request) string {
	t, _ := route(r.Method, r.URL)
	return t.op.name
}

// target is what a request is about.
type target struct {
	op   operation
	user string // object id or user principal name; empty is the signed-in user
	name string // of the extension
}

// route finds the operation by method and path. The refusal is for a path that
// the API does not have.
func route(method string, u *url.URL) (target, *apiError) {
	segments := strings.Split(strings.Trim(u.EscapedPath(), "/"), "/")
	for i, segment := range segments {
		decoded, err := url.PathUnescape(segment)
		if err != nil {
			return target{}, noSegment(segment)
		}
		segments[i] = decoded
	}
	if !strings.EqualFold(segments[0], "v1.0") {
		return target{}, badRequest("Invalid version: " + segments[0])
	}
	var t target
	rest := segments[1:]
	switch {
	case len(rest) > 0 && strings.EqualFold(rest[0], "me"):
		rest = rest[1:]
	case len(rest) > 1 && strings.EqualFold(rest[0], "users"):
		t.user, rest = rest[1], rest[2:]
	case len(rest) == 0:
		return target{}, noSegment("")
	default:
		return target{}, noSegment(rest[0])
	}
	known := false
	for _, op := range operations() {
		name, ok := match(op.path, rest)
		if !ok {
			continue
		}
		known = true
		if op.method == method {
			t.op, t.name = op, name
			return t, nil
		}
	}
	if known {
		// Assumed.
		return target{}, &apiError{http.StatusMethodNotAllowed, "Request_BadRequest", "Specified HTTP method is not allowed for the request target."}
	}
	return target{}, noSegment(rest[0])
}

func match(pattern, segments []string) (name string, ok bool) {
	if len(pattern) != len(segments) {
		return "", false
	}
	for i, want := range pattern {
		if want == "{name}" {
			name = segments[i]
		} else if !strings.EqualFold(want, segments[i]) {
			return "", false
		}
	}
	return name, true
}
