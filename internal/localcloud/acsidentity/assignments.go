package acsidentity

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"acsauth/internal/identity"
)

// principal is whom an assignment is for.
type principal struct{ tenantID, objectID string }

// assignment is what lets a Teams user, or a resource account, use Teams Phone
// Extensibility with this resource.
type assignment struct {
	PrincipalType string   `json:"principalType"`
	ClientIDs     []string `json:"clientIds"`
}

type assignmentBody struct {
	ObjectID string `json:"objectId"`
	TenantID string `json:"tenantId"`
	assignment
}

// Assign lets a Teams user in through the given apps, as a PUT of an assignment
// does.
func (s *Server) Assign(tenantID, objectID string, clientIDs ...string) error {
	if !identity.IsGUID(tenantID) || !identity.IsGUID(objectID) {
		return errors.New("assignment: tenant id and object id are GUIDs")
	}
	p := principal{strings.ToLower(tenantID), strings.ToLower(objectID)}
	if _, ok := s.state.assign(p, assignment{"user", clientIDs}); !ok {
		return errors.New("assignment: too many of them")
	}
	return nil
}

func (st *state) assign(p principal, a assignment) (created, ok bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	_, there := st.assignments[p]
	if !there && len(st.assignments) >= maxAssignments {
		return false, false
	}
	st.assignments[p] = a
	return !there, true
}

func (st *state) assignment(p principal) (assignment, bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	a, ok := st.assignments[p]
	return a, ok
}

func (st *state) unassign(p principal) {
	st.mu.Lock()
	defer st.mu.Unlock()
	delete(st.assignments, p)
}

// principalOf reads the two ids in the path.
//
// Assumed: a tenant or object id in the path of an assignment that is no GUID is a
// ValidationError, with a text after that for the app id.
func principalOf(c call) (principal, *apiError) {
	tenantID, objectID := c.ids[0], c.ids[1]
	switch {
	case !identity.IsGUID(tenantID):
		return principal{}, refused("tenantId", "Provided TenantId has invalid format.")
	case !identity.IsGUID(objectID):
		return principal{}, refused("objectId", "Provided ObjectId has invalid format.")
	}
	return principal{strings.ToLower(tenantID), strings.ToLower(objectID)}, nil
}

// principalTypes are those of the API's description and, the last, of its
// documentation, which differ.
func principalTypes() []string { return []string{"user", "resourceAccount", "teamsResourceAccount"} }

// putAssignment makes an assignment or replaces it.
//
// Assumed: the texts of the errors of PUT for an assignment; and that one for a
// user needs at least one client id, each of them a GUID, and one for a resource
// account none.
func (s *Server) putAssignment(c call) (answer, *apiError) {
	p, e := principalOf(c)
	if e != nil {
		return answer{}, e
	}
	var in assignment
	if e := decode(c.body, &in); e != nil {
		return answer{}, e
	}
	switch {
	case in.PrincipalType == "":
		return answer{}, required("PrincipalType")
	case !slices.Contains(principalTypes(), in.PrincipalType):
		return answer{}, refused("principalType", "Provided PrincipalType is invalid.")
	case in.PrincipalType == "user" && len(in.ClientIDs) == 0:
		return answer{}, required("ClientIds")
	case slices.ContainsFunc(in.ClientIDs, func(id string) bool { return !identity.IsGUID(id) }):
		return answer{}, refused("clientIds", "Provided ClientIds has invalid format.")
	}
	if in.ClientIDs == nil {
		in.ClientIDs = []string{}
	}
	created, ok := s.state.assign(p, in)
	if !ok {
		return answer{}, full()
	}
	status := http.StatusOK
	if created {
		status = http.StatusCreated
	}
	return answer{status, assignmentBody{p.objectID, p.tenantID, in}}, nil
}

// getAssignment returns an assignment.
//
// Assumed: GET of an assignment that does not exist is 404 AssignmentNotFound.
func (s *Server) getAssignment(c call) (answer, *apiError) {
	p, e := principalOf(c)
	if e != nil {
		return answer{}, e
	}
	a, ok := s.state.assignment(p)
	if !ok {
		return answer{}, &apiError{status: http.StatusNotFound, code: "AssignmentNotFound", message: "Assignment not found.", versioned: true}
	}
	return answer{http.StatusOK, assignmentBody{p.objectID, p.tenantID, a}}, nil
}

// deleteAssignment takes an assignment away.
//
// Assumed: DELETE of an assignment that does not exist is 204.
func (s *Server) deleteAssignment(c call) (answer, *apiError) {
	p, e := principalOf(c)
	if e != nil {
		return answer{}, e
	}
	s.state.unassign(p)
	return answer{status: http.StatusNoContent}, nil
}
