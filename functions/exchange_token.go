package functions

import (
	"net/http"

	"acsauth/internal/identity"
)

// teamsTokenHeader carries the Teams user's Entra token, beside the caller's
// access token for this API in Authorization.
const teamsTokenHeader = "Teams-User-Aad-Token"

// exchangeToken trades the caller's Entra token for Teams for an ACS token.
func (a *app) exchangeToken(c *call) error {
	token, of, err := a.exchange(c)
	if err != nil {
		return err
	}
	return c.json(http.StatusOK, answerWith(token, of))
}

// exchange returns the ACS token and whom it is for.
func (a *app) exchange(c *call) (identity.Token, user, error) {
	raw, err := c.teamsToken()
	if err != nil {
		return identity.Token{}, user{}, err
	}
	x, err := a.TeamsTokens.Check(raw, c.caller)
	if err != nil {
		return identity.Token{}, user{}, err
	}
	token, err := a.Identities.Exchange(c.r.Context(), x)
	return token, user{MicrosoftTeamsUserID: c.caller.ObjectID}, err
}

// teamsToken takes the token from the header or from member token of the body.
func (c *call) teamsToken() (string, error) {
	var in struct {
		Token *string `json:"token"`
	}
	if err := c.decodeBody(&in); err != nil {
		return "", err
	}
	header := c.r.Header[teamsTokenHeader]
	switch {
	case len(header) > 1, len(header) == 1 && in.Token != nil:
		return "", identity.Errorf(identity.CodeInvalidRequest, "Send the Teams user's token once, in the header or in the body.")
	case len(header) == 1 && header[0] != "":
		return header[0], nil
	case in.Token != nil && *in.Token != "":
		return *in.Token, nil
	}
	return "", identity.Errorf(identity.CodeInvalidRequest, "Send the Teams user's token in the header teams-user-aad-token or as token in the body.")
}
