package entra

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"acsauth/internal/identity"
)

func TestTeamsTokens(t *testing.T) {
	const other = "eeeeeeee-0000-4000-8000-00000000000e"
	const resource = "https://auth.msft.communication.azure.com"
	check := TeamsTokens{Resource: resource, Clients: []string{testAPI}, Now: func() time.Time { return testNow }}
	caller := identity.Caller{User: identity.User{TenantID: testTenant, ObjectID: testUser}, ClientID: testSPA}
	teams := func(change object) string {
		claims := object{"aud": teamsResourceID, "tid": testTenant, "oid": testUser, "appid": testSPA, "ver": "1.0",
			"scp": "Teams.ManageCalls Teams.ManageChats", "iat": testNow.Unix(), "exp": testNow.Unix() + 3600}
		apply(claims, change)
		return sign(object{"alg": "RS256", "typ": "JWT", "nonce": "microsoft's own"}, claims)
	}
	for _, row := range []struct {
		name string
		raw  string
		code identity.Code
	}{
		{"version 1.0", teams(nil), ""},
		{"version 2.0", teams(object{"ver": "2.0", "azp": testSPA, "appid": nil}), ""},
		{"audience as URI", teams(object{"aud": resource}), ""},
		{"audience as URI with a slash", teams(object{"aud": resource + "/"}), ""},
		{"issued to the API itself", teams(object{"appid": strings.ToUpper(testAPI)}), ""},
		{"one scope", teams(object{"scp": "Teams.ManageChats"}), ""},
		{"scopes of both kinds", teams(object{"scp": "TeamsExtension.ManageCalls Teams.ManageChats"}), ""},
		{"garbage", "garbage", identity.CodeTeamsTokenMalformed},
		{"not JSON", "YQ.YQ.YQ", identity.CodeTeamsTokenMalformed},
		{"too long", strings.Repeat("a", 9000), identity.CodeTeamsTokenMalformed},
		{"oid twice", signRaw(testKeys()[0], []byte(`{}`), []byte(`{"oid":"`+other+`","oid":"`+testUser+`"}`)), identity.CodeTeamsTokenMalformed},
		{"for this API", teams(object{"aud": testAPI}), identity.CodeTeamsTokenWrongAudience},
		{"for another cloud", teams(object{"aud": "https://auth.msft.communication.azure.us"}), identity.CodeTeamsTokenWrongAudience},
		{"for an address that begins alike", teams(object{"aud": resource + ".evil.example"}), identity.CodeTeamsTokenWrongAudience},
		{"for nobody", teams(object{"aud": nil}), identity.CodeTeamsTokenWrongAudience},
		{"for Graph", teams(object{"aud": "https://graph.microsoft.com"}), identity.CodeTeamsTokenWrongAudience},
		{"of another tenant", teams(object{"tid": other}), identity.CodeTeamsTokenWrongTenant},
		{"of no tenant", teams(object{"tid": nil}), identity.CodeTeamsTokenWrongTenant},
		{"of another user", teams(object{"oid": other}), identity.CodeTeamsTokenWrongUser},
		{"of nobody", teams(object{"oid": nil}), identity.CodeTeamsTokenWrongUser},
		{"of an app alone", teams(object{"oid": other, "scp": nil, "idtyp": "app"}), identity.CodeTeamsTokenWrongUser},
		{"of another app", teams(object{"appid": other}), identity.CodeTeamsTokenWrongClient},
		{"of another app, with ours beside it", teams(object{"appid": other, "azp": testSPA}), identity.CodeTeamsTokenWrongClient},
		{"of no app", teams(object{"appid": nil}), identity.CodeTeamsTokenWrongClient},
		{"with another scope", teams(object{"scp": "Teams.ManageCallsX User.Read"}), identity.CodeTeamsTokenWrongScope},
		{"without scope", teams(object{"scp": nil}), identity.CodeTeamsTokenWrongScope},
		{"expired", teams(object{"exp": testNow.Unix()}), identity.CodeTeamsTokenExpired},
	} {
		t.Run(row.name, func(t *testing.T) {
			x, err := check.Check(row.raw, caller)
			if row.code != "" {
				require.Equal(t, row.code, identity.CodeOf(err), "%v", err)
				assert.NotContains(t, err.Error(), other)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, row.raw, x.Token.Reveal())
			assert.Equal(t, testUser, x.UserID)
			assert.False(t, x.Phone)
			assert.Contains(t, []string{testSPA, strings.ToUpper(testAPI)}, x.AppID)
		})
	}
}

func TestTeamsPhoneTokens(t *testing.T) {
	check := TeamsTokens{Resource: TeamsResource(DefaultAuthorityHost), Now: func() time.Time { return testNow }}
	caller := identity.Caller{User: identity.User{TenantID: testTenant, ObjectID: testUser}, ClientID: testSPA}
	phone := func(change object) string {
		claims := object{"aud": teamsResourceID, "tid": testTenant, "oid": testUser, "azp": testSPA, "ver": "2.0",
			"scp": "TeamsExtension.ManageCalls", "iat": testNow.Unix(), "exp": testNow.Unix() + 3600}
		apply(claims, change)
		return sign(goodHeader(), claims)
	}
	x, err := check.Check(phone(nil), caller)
	require.NoError(t, err)
	assert.True(t, x.Phone)
	assert.Equal(t, testUser, x.UserID)
	_, err = check.Check(phone(object{"scp": "TeamsExtension.ManageCallsX"}), caller)
	assert.Equal(t, identity.CodeTeamsTokenWrongScope, identity.CodeOf(err))
	_, err = check.Check(phone(object{"oid": testAPI}), caller)
	assert.Equal(t, identity.CodeTeamsTokenWrongUser, identity.CodeOf(err))
}

func TestTheTeamsResourceOfEachCloud(t *testing.T) {
	caller := identity.Caller{User: identity.User{TenantID: testTenant, ObjectID: testUser}, ClientID: testSPA}
	for host, resource := range map[string]string{
		DefaultAuthorityHost:               "https://auth.msft.communication.azure.com",
		"https://login.microsoftonline.us": "https://auth.msft.communication.azure.us",
	} {
		check := TeamsTokens{Resource: TeamsResource(host), Now: func() time.Time { return testNow }}
		claims := object{"aud": resource, "tid": testTenant, "oid": testUser, "azp": testSPA, "scp": "Teams.ManageCalls", "iat": testNow.Unix(), "exp": testNow.Unix() + 60}
		_, err := check.Check(sign(goodHeader(), claims), caller)
		assert.NoError(t, err, host)
		_, err = check.Check(sign(goodHeader(), object{"aud": testAPI, "iat": 1, "exp": 2}), caller)
		assert.ErrorContains(t, err, resource+"/Teams.ManageCalls", "it says what to ask for")
	}
}
