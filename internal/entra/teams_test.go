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
	check := TeamsTokens{Clients: []string{testAPI}, Now: func() time.Time { return testNow }}
	caller := identity.Caller{User: identity.User{TenantID: testTenant, ObjectID: testUser}, ClientID: testSPA}
	teams := func(change object) string {
		claims := object{"aud": teamsAudiences[0], "tid": testTenant, "oid": testUser, "appid": testSPA, "ver": "1.0",
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
		{"audience as URI", teams(object{"aud": teamsAudiences[1]}), ""},
		{"audience as URI with a slash", teams(object{"aud": teamsAudiences[1] + "/"}), ""},
		{"the American government's cloud", teams(object{"aud": teamsAudiences[2]}), ""},
		{"issued to the API itself", teams(object{"appid": strings.ToUpper(testAPI)}), ""},
		{"one scope", teams(object{"scp": "Teams.ManageChats"}), ""},
		{"garbage", "garbage", identity.CodeTeamsTokenMalformed},
		{"not JSON", "YQ.YQ.YQ", identity.CodeTeamsTokenMalformed},
		{"too long", strings.Repeat("a", 9000), identity.CodeTeamsTokenMalformed},
		{"oid twice", signRaw(testKeys()[0], []byte(`{}`), []byte(`{"oid":"`+other+`","oid":"`+testUser+`"}`)), identity.CodeTeamsTokenMalformed},
		{"for this API", teams(object{"aud": testAPI}), identity.CodeTeamsTokenWrongAudience},
		{"for Graph", teams(object{"aud": "https://graph.microsoft.com"}), identity.CodeTeamsTokenWrongAudience},
		{"of another tenant", teams(object{"tid": other}), identity.CodeTeamsTokenWrongTenant},
		{"of no tenant", teams(object{"tid": nil}), identity.CodeTeamsTokenWrongTenant},
		{"of another user", teams(object{"oid": other}), identity.CodeTeamsTokenWrongUser},
		{"of another app", teams(object{"appid": other}), identity.CodeTeamsTokenWrongClient},
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
			assert.Contains(t, []string{testSPA, strings.ToUpper(testAPI)}, x.AppID)
		})
	}
}
