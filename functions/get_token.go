package functions

import (
	"net/http"
	"time"

	"acsauth/internal/identity"
)

type tokenAnswer struct {
	Token     string `json:"token"`
	ExpiresOn string `json:"expiresOn"` // RFC 3339 in UTC
	User      user   `json:"user"`
}

func answerWith(token identity.Token, user user) tokenAnswer {
	return tokenAnswer{token.Value.Reveal(), token.ExpiresOn.UTC().Format(time.RFC3339), user}
}

// getToken answers with a token for the caller's identity, and makes the
// identity when there is none.
func (a *app) getToken(c *call) error {
	req, err := a.tokenRequest(c)
	if err != nil {
		return err
	}
	token, m, err := a.Identities.Token(c.r.Context(), c.caller.User, req)
	if err != nil {
		return err
	}
	return c.json(http.StatusOK, answerWith(token, userOf(m)))
}
