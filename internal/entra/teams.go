package entra

import (
	"slices"
	"strings"
	"time"

	"acsauth/internal/identity"
	"acsauth/internal/secret"
)

// The resource "Azure Communication Services" of Teams users' tokens, as its
// application id and as its URI in each cloud that has one:
// https://learn.microsoft.com/azure/communication-services/quickstarts/manage-teams-identity
var teamsAudiences = []string{
	"1fd5118e-2576-4263-8130-9503064c837a",
	"https://auth.msft.communication.azure.com",
	"https://auth.msft.communication.azure.us",
}

var teamsScopes = []string{"Teams.ManageCalls", "Teams.ManageChats"}

// TeamsTokens looks at Teams users' Entra tokens before they are sent to ACS. It
// does not check signatures: the token is not for this API, and ACS checks it.
// What it does is to keep a user from exchanging somebody else's token, and to
// say in plain words why a token can't be exchanged, which ACS does not.
type TeamsTokens struct {
	// Clients are the application ids that such a token may have been issued
	// to, beside the caller's own client.
	Clients []string
	Now     func() time.Time
}

// Check holds raw against the caller and returns what to send to ACS. Its errors
// are *identity.Error with a teams_token_ code.
func (t TeamsTokens) Check(raw string, caller identity.Caller) (identity.TeamsExchange, error) {
	parsed, err := parseTeamsToken(raw)
	if err != nil {
		return identity.TeamsExchange{}, identity.Errorf(identity.CodeTeamsTokenMalformed, "The Teams user's token is not an Entra access token.").Because(err)
	}
	client := parsed.azp
	if client == "" {
		client = parsed.appid
	}
	refuse := func(code identity.Code, detail string) (identity.TeamsExchange, error) {
		return identity.TeamsExchange{}, &identity.Error{Code: code, Detail: detail}
	}
	switch {
	case !slices.Contains(teamsAudiences, strings.TrimSuffix(parsed.audience, "/")):
		return refuse(identity.CodeTeamsTokenWrongAudience,
			"The Teams user's token is for another resource. Ask for the scope https://auth.msft.communication.azure.com/Teams.ManageCalls or Teams.ManageChats.")
	case !strings.EqualFold(parsed.tenantID, caller.TenantID):
		return refuse(identity.CodeTeamsTokenWrongTenant, "The Teams user's token is from another tenant than the access token. Get both for the same account.")
	case !strings.EqualFold(parsed.objectID, caller.ObjectID):
		return refuse(identity.CodeTeamsTokenWrongUser, "The Teams user's token is another user's than the access token. Get both for the same account.")
	case !t.clientAllowed(client, caller):
		return refuse(identity.CodeTeamsTokenWrongClient, "The Teams user's token was issued to an application that may not use this service.")
	case !slices.ContainsFunc(strings.Split(parsed.scope, " "), func(s string) bool { return slices.Contains(teamsScopes, s) }):
		return refuse(identity.CodeTeamsTokenWrongScope, "The Teams user's token has neither the scope Teams.ManageCalls nor Teams.ManageChats.")
	case !t.Now().Before(parsed.expires):
		return refuse(identity.CodeTeamsTokenExpired, "The Teams user's token has expired. Get a new one.")
	}
	return identity.TeamsExchange{Token: secret.New(raw), AppID: client, UserID: caller.ObjectID}, nil
}

func (t TeamsTokens) clientAllowed(client string, caller identity.Caller) bool {
	same := func(id string) bool { return strings.EqualFold(id, client) }
	return client != "" && (same(caller.ClientID) || slices.ContainsFunc(t.Clients, same))
}

// parseTeamsToken reads the claims alone: the header is Microsoft's business.
func parseTeamsToken(raw string) (claims, error) {
	_, payload, _, err := segments(raw)
	if err != nil {
		return claims{}, err
	}
	return parseClaims(payload)
}
