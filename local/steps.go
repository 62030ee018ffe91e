package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"acsauth/internal/localcloud/entraid"
)

func (w *walk) makeIdentity(ctx context.Context) error {
	a, err := w.call(ctx, http.MethodGet, "getUser", w.accessToken, "", http.StatusCreated)
	if err != nil {
		return err
	}
	w.identity = a.body.User.CommunicationUserID
	if !slices.Contains(w.cloud.ACS.Identities(), w.identity) {
		return fmt.Errorf("ACS does not know the identity %q", w.identity)
	}
	w.say("getUser → 201: ACS made an identity for her\n      %s", w.identity)
	return nil
}

func (w *walk) sameIdentity(ctx context.Context) error {
	a, err := w.call(ctx, http.MethodGet, "getUser", w.accessToken, "", http.StatusOK)
	if err != nil {
		return err
	}
	if a.body.User.CommunicationUserID != w.identity {
		return fmt.Errorf("got another identity, %q", a.body.User.CommunicationUserID)
	}
	w.say("getUser → 200: the same identity")
	return nil
}

func (w *walk) sameIdentityAfterCrash(ctx context.Context) error {
	before := w.host.PID()
	if err := w.host.Restart(); err != nil {
		return err
	}
	a, err := w.call(ctx, http.MethodGet, "getUser", w.accessToken, "", http.StatusOK)
	if err != nil {
		return err
	}
	if a.body.User.CommunicationUserID != w.identity {
		return fmt.Errorf("got another identity, %q", a.body.User.CommunicationUserID)
	}
	if n := len(w.cloud.ACS.Identities()); n != 1 {
		return fmt.Errorf("ACS has %d identities, want 1", n)
	}
	w.say("killed the handler (process %d), the host started it again (%d): getUser → 200, the same identity", before, w.host.PID())
	return nil
}

// tokenFrom calls a function that issues a token for her identity.
func (w *walk) tokenFrom(ctx context.Context, function, body string) (answer, error) {
	a, err := w.call(ctx, http.MethodPost, function, w.accessToken, body, http.StatusOK)
	if err != nil {
		return a, err
	}
	switch {
	case a.body.User.CommunicationUserID != w.identity:
		return a, fmt.Errorf("the token is for %q", a.body.User.CommunicationUserID)
	case slices.Contains(w.acsTokens, a.body.Token):
		return a, fmt.Errorf("the token is one that she had before")
	case !w.cloud.ACS.TokenActive(a.body.Token):
		return a, fmt.Errorf("ACS does not know the token")
	}
	w.acsTokens = append(w.acsTokens, a.body.Token)
	return a, nil
}

func (w *walk) issue(ctx context.Context) error {
	a, err := w.tokenFrom(ctx, "getToken", "")
	if err != nil {
		return err
	}
	w.say("getToken → 200: an ACS token of %d characters for chat and voip, good until %s", len(a.body.Token), a.body.ExpiresOn.Format("2 Jan 15:04 UTC"))
	return nil
}

func (w *walk) refresh(ctx context.Context) error {
	a, err := w.tokenFrom(ctx, "refreshToken", `{"scopes":["chat"],"expiresInMinutes":60}`)
	if err != nil {
		return err
	}
	w.say("refreshToken, chat alone for 60 minutes → 200: another token, good until %s", a.body.ExpiresOn.Format("2 Jan 15:04 UTC"))
	return nil
}

func (w *walk) exchange(ctx context.Context) (err error) {
	if w.teamsToken, err = w.cloud.SignIn(ctx, w.user, entraid.TeamsURI+"/Teams.ManageCalls", entraid.TeamsURI+"/Teams.ManageChats"); err != nil {
		return err
	}
	a, err := w.call(ctx, http.MethodPost, "exchangeToken", w.accessToken, `{"token":"`+w.teamsToken+`"}`, http.StatusOK)
	if err != nil {
		return err
	}
	if a.body.User.MicrosoftTeamsUserID != w.user.ObjectID || !w.cloud.ACS.TokenActive(a.body.Token) {
		return fmt.Errorf("the token is not hers: %q", a.body.User.MicrosoftTeamsUserID)
	}
	w.say("exchangeToken → 200: her Entra token for Teams became an ACS token for her as a Teams user, good until %s", a.body.ExpiresOn.Format("15:04 UTC"))
	w.acsTokens = append(w.acsTokens, a.body.Token)
	return nil
}

func (w *walk) revoke(ctx context.Context) error {
	if _, err := w.call(ctx, http.MethodPost, "revokeTokens", w.accessToken, "", http.StatusNoContent); err != nil {
		return err
	}
	for _, token := range w.acsTokens[:2] {
		if w.cloud.ACS.TokenActive(token) {
			return fmt.Errorf("a token still works")
		}
	}
	w.say("revokeTokens → 204: ACS takes neither of her two tokens any more")
	return nil
}

func (w *walk) refuse(ctx context.Context) error {
	a, err := w.call(ctx, http.MethodGet, "getToken", "", "", http.StatusUnauthorized)
	if err != nil {
		return err
	}
	challenge := a.header.Get("WWW-Authenticate")
	dot := strings.LastIndexByte(w.accessToken, '.') + 1
	forged := w.accessToken[:dot] + strings.Repeat("A", len(w.accessToken)-dot)
	b, err := w.call(ctx, http.MethodGet, "getToken", forged, "", http.StatusUnauthorized)
	if err != nil {
		return err
	}
	c, err := w.call(ctx, http.MethodGet, "getToken", w.teamsToken, "", http.StatusUnauthorized)
	if err != nil {
		return err
	}
	w.say("no token → 401 (%s); a forged one → 401 (%s); one for another API → 401 (%s)", challenge, b.body.Code, c.body.Code)
	return nil
}

func (w *walk) erase(ctx context.Context) error {
	if _, err := w.call(ctx, http.MethodDelete, "deleteUser", w.accessToken, "", http.StatusNoContent); err != nil {
		return err
	}
	if n := len(w.cloud.ACS.Identities()); n != 0 {
		return fmt.Errorf("ACS still has %d identities", n)
	}
	if _, err := w.call(ctx, http.MethodPost, "refreshToken", w.accessToken, "", http.StatusNotFound); err != nil {
		return err
	}
	if _, err := w.call(ctx, http.MethodDelete, "deleteUser", w.accessToken, "", http.StatusNoContent); err != nil {
		return err
	}
	w.say("deleteUser → 204: identity and mapping are gone (refreshToken → 404), and to repeat it is no error")
	return nil
}
