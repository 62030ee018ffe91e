package functions

import "net/http"

// refreshToken answers with a newly issued token for the identity that the
// caller has.
func (a *app) refreshToken(c *call) error {
	req, err := a.tokenRequest(c)
	if err != nil {
		return err
	}
	token, m, err := a.Identities.Refresh(c.r.Context(), c.caller.User, req)
	if err != nil {
		return err
	}
	return c.json(http.StatusOK, answerWith(token, userOf(m)))
}
