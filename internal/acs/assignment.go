package acs

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"acsauth/internal/identity"
)

// MinAssignmentVersion is the first version of the API that has assignments and
// the exchange of Teams Phone tokens. Versions compare as text.
const MinAssignmentVersion = "2025-06-30"

// Assignment lets somebody use Teams Phone Extensibility with the ACS resource:
// https://learn.microsoft.com/azure/communication-services/quickstarts/tpe/teams-phone-extensiblity-rest-api
type Assignment struct {
	TenantID, ObjectID string   // GUIDs: of a user, or of a Teams resource account
	ResourceAccount    bool     // else a user
	ClientIDs          []string // applications through which; none for a resource account, which signs in to none
}

// ErrNotAssigned: there is no such assignment.
var ErrNotAssigned = errors.New("no such assignment")

// The values of principalType.
const (
	principalUser            = "user"
	principalResourceAccount = "resourceAccount"
)

type assignmentRequest struct {
	PrincipalType string   `json:"principalType"`
	ClientIDs     []string `json:"clientIds,omitempty"`
}

type assignmentAnswer struct {
	ObjectID      string   `json:"objectId"`
	TenantID      string   `json:"tenantId"`
	PrincipalType string   `json:"principalType"`
	ClientIDs     []string `json:"clientIds"`
}

// Assign makes the assignment, in place of the one that the same principal has.
// Its errors are those of identity.Issuer.
func (c *Client) Assign(ctx context.Context, a Assignment) error {
	body := assignmentRequest{PrincipalType: principalUser, ClientIDs: a.ClientIDs}
	if a.ResourceAccount {
		body.PrincipalType = principalResourceAccount
	}
	return c.onAssignment(ctx, http.MethodPut, a.TenantID, a.ObjectID, body, nil)
}

// Assignment returns the principal's assignment, or ErrNotAssigned; other errors
// as Assign.
func (c *Client) Assignment(ctx context.Context, tenantID, objectID string) (Assignment, error) {
	var a assignmentAnswer
	if err := c.onAssignment(ctx, http.MethodGet, tenantID, objectID, nil, &a); err != nil {
		return Assignment{}, err
	}
	if !strings.EqualFold(a.TenantID, tenantID) || !strings.EqualFold(a.ObjectID, objectID) {
		return Assignment{}, unexpected(errors.New("the answer is about another principal"))
	}
	// Microsoft's documentation has two names for a resource account.
	return Assignment{a.TenantID, a.ObjectID, a.PrincipalType != principalUser, a.ClientIDs}, nil
}

// Unassign takes the principal's assignment away, and with it their tokens.
// ErrNotAssigned where ACS says that there is none; other errors as Assign.
func (c *Client) Unassign(ctx context.Context, tenantID, objectID string) error {
	return c.onAssignment(ctx, http.MethodDelete, tenantID, objectID, nil, nil)
}

func (c *Client) onAssignment(ctx context.Context, method, tenantID, objectID string, body, answer any) error {
	if !identity.IsGUID(tenantID) || !identity.IsGUID(objectID) {
		return fmt.Errorf("acs: tenant and object ids are GUIDs")
	}
	op := operation{method: method, path: "/access/teamsExtension/tenants/" + tenantID + "/assignments/" + objectID, body: body, unknown: ErrNotAssigned}
	return c.call(ctx, c.signed, op, answer)
}
