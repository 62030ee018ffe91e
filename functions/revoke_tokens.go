package functions

// revokeTokens ends every ACS token of the caller's identity.
func (a *app) revokeTokens(c *call) error {
	if err := a.Identities.Revoke(c.r.Context(), c.caller.User); err != nil {
		return err
	}
	return c.empty()
}
