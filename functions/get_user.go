package functions

import (
	"net/http"

	"acsauth/internal/identity"
)

// user is the identifier object of the official clients: what names a user goes
// into the ACS SDKs as it is.
type user struct {
	CommunicationUserID  string `json:"communicationUserId,omitempty"`
	MicrosoftTeamsUserID string `json:"microsoftTeamsUserId,omitempty"`
}

type userAnswer struct {
	User user `json:"user"`
}

func userOf(m identity.Mapping) user { return user{CommunicationUserID: m.AcsUserID} }

// getUser answers with the caller's ACS identity, and makes it when there is
// none: 201 where this call made it.
func (a *app) getUser(c *call) error {
	m, created, err := a.Identities.Ensure(c.r.Context(), c.caller.User)
	if err != nil {
		return err
	}
	status := http.StatusOK
	if created {
		status = http.StatusCreated
	}
	return c.json(status, userAnswer{userOf(m)})
}
