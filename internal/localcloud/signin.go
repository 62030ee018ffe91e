package localcloud

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"golang.org/x/oauth2"

	"acsauth/internal/localcloud/entraid"
)

// SignIn does what MSAL.js does in a browser, as the sample client: the
// authorization code flow with PKCE. It returns the access token for scopes.
func (c *Cloud) SignIn(ctx context.Context, user entraid.User, scopes ...string) (string, error) {
	client := c.Client()
	defer client.CloseIdleConnections()
	base := c.EntraURL + "/" + user.TenantID + "/oauth2/v2.0"
	app := oauth2.Config{
		ClientID:    SPAClientID,
		RedirectURL: RedirectURI,
		Scopes:      append([]string{"openid", "profile", "offline_access"}, scopes...),
		Endpoint:    oauth2.Endpoint{AuthURL: base + "/authorize", TokenURL: base + "/token", AuthStyle: oauth2.AuthStyleInParams},
	}
	verifier, state := oauth2.GenerateVerifier(), oauth2.GenerateVerifier()
	// The stand-in takes login_hint with prompt=none for the user's choice.
	page := app.AuthCodeURL(state, oauth2.S256ChallengeOption(verifier),
		oauth2.SetAuthURLParam("login_hint", user.UPN), oauth2.SetAuthURLParam("prompt", "none"))
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, page, nil)
	if err != nil {
		return "", err
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	_ = resp.Body.Close()
	back, err := url.Parse(resp.Header.Get("Location"))
	if err != nil {
		return "", err
	}
	answer := back.Query()
	if answer.Get("state") != state || answer.Get("code") == "" {
		return "", fmt.Errorf("sign-in answered %d %s", resp.StatusCode, answer.Get("error_description"))
	}
	token, err := app.Exchange(context.WithValue(ctx, oauth2.HTTPClient, client), answer.Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		return "", err
	}
	if token.AccessToken == "" {
		return "", errors.New("sign-in gave no access token")
	}
	return token.AccessToken, nil
}
