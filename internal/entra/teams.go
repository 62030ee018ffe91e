package entra

import (
	"slices"
	"strings"
	"time"

	"acsauth/internal/identity"
	"acsauth/internal/secret"
)

// teamsResourceID is the resource "Azure Communication Services" of Teams users'
// tokens:
// https://learn.microsoft.com/azure/communication-services/quickstarts/manage-teams-identity
const teamsResourceID = "1fd5118e-2576-4263-8130-9503064c837a"

// TeamsResource is the address of that resource in the cloud whose Entra ID is at
// authorityHost. Scopes begin with it.
func TeamsResource(authorityHost string) string {
	if authorityHost == "https://login.microsoftonline.us" {
		return "https://auth.msft.communication.azure.us"
	}
	return "https://auth.msft.communication.azure.com"
}

// The scopes of such tokens: for a Teams user's own calls and chats, and for
// calls through Teams Phone Extensibility.
var (
	teamsUserScopes  = []string{"Teams.ManageCalls", "Teams.ManageChats"}
	teamsPhoneScopes = []string{"TeamsExtension.ManageCalls"}
)

// TeamsTokens looks at Teams users' Entra tokens before they are sent to ACS. It
// does not check signatures: the token is not for this API, and ACS checks it.
// What it does is to keep a user from exchanging somebody else's token, and to
// say in plain words why a token can't be exchanged, which ACS does not.
type TeamsTokens struct {
	// Resource is what TeamsResource returns.
	Resource string
	// Clients are the application ids that such a token may have been issued
	// to, beside the caller's own client.
	Clients []string
	Now     func() time.Time
}

// Check holds raw against the caller and returns what to send to ACS. Its errors
// are *identity.Error with a teams_token_ code.
//
// A token may hold scopes of both kinds: Entra ID puts every scope of a resource
// into it that the application has consent for. Then it is exchanged for a Teams
// user's ACS token, so that a permission added to an application does not change
// what its users get.
func (t TeamsTokens) Check(raw string, caller identity.Caller) (identity.TeamsExchange, error) {
	parsed, err := parseTeamsToken(raw)
	if err != nil {
		return identity.TeamsExchange{}, identity.Errorf(identity.CodeTeamsTokenMalformed, "The Teams user's token is not an Entra access token.").Because(err)
	}
	client := parsed.client()
	refuse := func(code identity.Code, format string, args ...any) (identity.TeamsExchange, error) {
		return identity.TeamsExchange{}, identity.Errorf(code, format, args...)
	}
	audience := strings.TrimSuffix(parsed.audience, "/")
	forUser, forPhone := parsed.hasScope(teamsUserScopes), parsed.hasScope(teamsPhoneScopes)
	switch {
	case audience != teamsResourceID && audience != t.Resource:
		return refuse(identity.CodeTeamsTokenWrongAudience,
			"The Teams user's token is for another resource. Ask for a scope of %s, such as %[1]s/Teams.ManageCalls.", t.Resource)
	case !strings.EqualFold(parsed.tenantID, caller.TenantID):
		return refuse(identity.CodeTeamsTokenWrongTenant, "The Teams user's token is from another tenant than the access token. Get both for the same account.")
	case !strings.EqualFold(parsed.objectID, caller.ObjectID):
		return refuse(identity.CodeTeamsTokenWrongUser, "The Teams user's token is another user's than the access token. Get both for the same account.")
	case !t.clientAllowed(client, caller):
		return refuse(identity.CodeTeamsTokenWrongClient,
			"The Teams user's token was issued to an application that may not use this service. Get it with the client that calls, or have its application listed in TEAMS_CLIENT_IDS.")
	case !forUser && !forPhone:
		return refuse(identity.CodeTeamsTokenWrongScope,
			"The Teams user's token has none of the scopes Teams.ManageCalls, Teams.ManageChats and TeamsExtension.ManageCalls. Give the application that permission, and consent to it.")
	case !t.Now().Before(parsed.expires):
		return refuse(identity.CodeTeamsTokenExpired, "The Teams user's token has expired. Get a new one.")
	}
	return identity.TeamsExchange{Token: secret.New(raw), AppID: client, UserID: caller.ObjectID, Phone: !forUser}, nil
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
