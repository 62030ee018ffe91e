package localcloud

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

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
	// The click on the sign-in page.
	page := app.AuthCodeURL(state, oauth2.S256ChallengeOption(verifier))
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, page, strings.NewReader(entraid.Choice(user).Encode()))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
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
	inPage := &http.Client{Timeout: client.Timeout, Transport: script{client.Transport}}
	token, err := app.Exchange(context.WithValue(ctx, oauth2.HTTPClient, inPage), answer.Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		return "", err
	}
	if token.AccessToken == "" {
		return "", errors.New("sign-in gave no access token")
	}
	return token.AccessToken, nil
}

// script sends requests as a page of the sample client does: Entra ID redeems the
// code of a single-page app for nobody else.
type script struct{ http.RoundTripper }

func (s script) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Origin", RedirectURI)
	return s.RoundTripper.RoundTrip(r)
}
