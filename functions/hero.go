package functions

import (
	"errors"
	"net/http"
	"time"

	"acsauth/internal/identity"
)

// The functions user and token answer the clients of Microsoft's hero samples
// (https://github.com/Azure-Samples/communication-services-authentication-hero-nodejs)
// as the Node.js sample does: the same paths, status codes and bodies. Who has no
// such clients deletes their two folders.

// heroError is an error of the hero samples on the wire.
type heroError struct {
	Code    int    `json:"code"` // the status
	Message string `json:"message"`
	Claims  string `json:"claims,omitempty"` // as in a problem; the samples have no such thing
}

// heroIdentity is the caller's ACS identity.
type heroIdentity struct {
	ACSUserIdentity string `json:"acsUserIdentity"`
}

// heroAnswer is a token, with its user where it is for an identity.
type heroAnswer struct {
	Token     string          `json:"token"`
	ExpiresOn string          `json:"expiresOn"` // RFC 3339 in UTC
	User      *heroIdentifier `json:"user,omitempty"`
}

// heroIdentifier names the identity twice: the samples' client reads id, which
// only the C# sample sends.
type heroIdentifier struct {
	CommunicationUserID string `json:"communicationUserId"`
	ID                  string `json:"id"`
}

// heroUser serves GET, POST and DELETE /api/user.
func (a *app) heroUser(c *call) error {
	switch c.r.Method {
	case http.MethodPost:
		m, created, err := a.Identities.Ensure(c.r.Context(), c.caller.User)
		if err != nil {
			return err
		}
		status := http.StatusOK
		if created {
			status = http.StatusCreated
		}
		return c.json(status, heroIdentity{m.AcsUserID})
	case http.MethodDelete:
		return a.deleteUser(c)
	}
	m, err := a.Identities.Find(c.r.Context(), c.caller.User)
	if err != nil {
		return heroNotFound(err)
	}
	return c.json(http.StatusOK, heroIdentity{m.AcsUserID})
}

// heroToken serves GET /api/token and GET /api/token/teams.
func (a *app) heroToken(c *call) error {
	switch c.parameter {
	case "":
		return a.heroACSToken(c)
	case "teams":
		return a.heroTeamsToken(c)
	}
	return noFunction()
}

// heroACSToken issues a token for the identity that the caller has. Where ACS no
// longer knows that identity, a new one takes its place: POST /api/user would not
// notice.
func (a *app) heroACSToken(c *call) error {
	req, err := a.tokenRequest(c)
	if err != nil {
		return err
	}
	token, m, err := a.Identities.Refresh(c.r.Context(), c.caller.User, req)
	if errors.Is(err, identity.ErrUnknownIdentity) {
		token, m, err = a.Identities.Token(c.r.Context(), c.caller.User, req)
	}
	if err != nil {
		return heroNotFound(err)
	}
	answer := heroAnswerWith(token)
	answer.User = &heroIdentifier{m.AcsUserID, m.AcsUserID}
	return c.json(http.StatusCreated, answer)
}

// heroTeamsToken trades the caller's Entra token for Teams for an ACS token.
func (a *app) heroTeamsToken(c *call) error {
	token, _, err := a.exchange(c)
	if err != nil {
		return err
	}
	return c.json(http.StatusCreated, heroAnswerWith(token))
}

func heroAnswerWith(token identity.Token) heroAnswer {
	return heroAnswer{Token: token.Value.Reveal(), ExpiresOn: token.ExpiresOn.UTC().Format(time.RFC3339)}
}

// heroNotFound names the hero samples' own way to an identity.
func heroNotFound(err error) error {
	if identity.CodeOf(err) != identity.CodeIdentityNotFound {
		return err
	}
	return identity.Errorf(identity.CodeIdentityNotFound, "You have no communication identity. POST /api/user makes one.").Because(err)
}
