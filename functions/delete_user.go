package functions

// deleteUser erases the caller's ACS identity and mapping. It may be repeated.
func (a *app) deleteUser(c *call) error {
	if err := a.Identities.Erase(c.r.Context(), c.caller.User); err != nil {
		return err
	}
	return c.empty()
}
