package functions

import (
	"net/http"

	"acsauth/internal/identity"
	"acsauth/internal/secret"
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
	raw, err := a.teamsToken(c)
	if err != nil {
		return identity.Token{}, user{}, err
	}
	x, err := a.TeamsTokens.Check(raw.Reveal(), c.caller)
	if err != nil {
		return identity.Token{}, user{}, err
	}
	token, acsUserID, err := a.Identities.Exchange(c.r.Context(), x)
	if x.Phone {
		return token, user{CommunicationUserID: acsUserID}, err
	}
	return token, user{MicrosoftTeamsUserID: c.caller.ObjectID}, err
}

// teamsToken takes the token from the header or from member token of the body.
// Where neither has one, it is got on the caller's behalf if that is switched on.
func (a *app) teamsToken(c *call) (secret.String, error) {
	var in struct {
		Token *string `json:"token"`
	}
	if err := c.decodeBody(&in); err != nil {
		return secret.String{}, err
	}
	header := c.r.Header[teamsTokenHeader]
	switch {
	case len(header) > 1, len(header) == 1 && in.Token != nil:
		return secret.String{}, identity.Errorf(identity.CodeInvalidRequest, "Send the Teams user's token once, in the header or in the body.")
	case len(header) == 1 && header[0] != "":
		return secret.New(header[0]), nil
	case in.Token != nil && *in.Token != "":
		return secret.New(*in.Token), nil
	case a.TeamsOnBehalfOf != nil:
		return a.TeamsOnBehalfOf(c.r.Context(), c.caller)
	}
	return secret.String{}, identity.Errorf(identity.CodeInvalidRequest, "Send the Teams user's token in the header teams-user-aad-token or as token in the body.")
}
