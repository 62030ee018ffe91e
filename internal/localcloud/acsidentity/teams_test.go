package acsidentity

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	exchangePath  = "/teamsUser/:exchangeAccessToken"
	extensionPath = "/access/teamsExtension/:exchangeAccessToken"
	teamsToken    = "teams Teams.ManageCalls Teams.ManageChats"
)

func exchange(token, appID, userID string) string {
	return fmt.Sprintf(`{"token":%q,"appId":%q,"userId":%q}`, token, appID, userID)
}

func TestATeamsTokenIsExchangedForItsOwnLifetime(t *testing.T) {
	res := newResource(t)
	w := res.do(http.MethodPost, exchangePath, "2022-06-01", exchange(teamsToken, strings.ToUpper(appID), aliceID))
	require.Equal(t, http.StatusOK, w.Code, w.Body)
	o := object(t, w)
	assert.Equal(t, "2026-11-22T16:10:05.0000000+00:00", member(t, o, "expiresOn"))
	token := member(t, o, "token")
	claims := res.claims(token)
	assert.Equal(t, "orgid:"+aliceID, claims["skypeid"])
	assert.Equal(t, "chat,voip", claims["acsScope"])
	assert.True(t, res.TokenActive(token))
	assert.Empty(t, res.Identities(), "a Teams user is none of the resource's")
	assert.NotContains(t, w.Header().Get("api-supported-versions"), "2021-03-07")
}

func TestExchangeErrorsComeInTheServicesOrder(t *testing.T) {
	res := newResource(t)
	invalid := "Provided access token is not valid."
	wrong := "99999999-0000-4000-8000-000000000009"
	for name, row := range map[string]struct {
		body                  string
		status                int
		code, message, target string
		versions              bool
	}{
		"empty token":              {exchange("", appID, aliceID), 401, "InvalidAccessToken", invalid, "", false},
		"garbage for a token":      {exchange("garbage", appID, aliceID), 401, "InvalidAccessToken", invalid, "", false},
		"null for a token":         {`{"token":null}`, 401, "InvalidAccessToken", invalid, "", false},
		"no body":                  {"", 401, "InvalidAccessToken", invalid, "", false},
		"bad token, ids missing":   {exchange("", "", ""), 401, "InvalidAccessToken", invalid, "", false},
		"token of another scope":   {exchange("teams User.Read", appID, aliceID), 401, "InvalidAccessToken", invalid, "", false},
		"no app id":                {exchange(teamsToken, "", aliceID), 400, "ValidationError", "AppId: The AppId field is required.", "AppId", false},
		"no user id":               {exchange(teamsToken, appID, ""), 400, "ValidationError", "UserId: The UserId field is required.", "UserId", false},
		"no user id, bad app id":   {exchange(teamsToken, "invalid", ""), 400, "ValidationError", "UserId: The UserId field is required.", "UserId", false},
		"app id no GUID":           {exchange(teamsToken, "invalid", aliceID), 400, "ValidationError", "Provided AppId has invalid format.", "appId", true},
		"user id no GUID":          {exchange(teamsToken, wrong, "invalid"), 400, "ValidationError", "Provided UserId has invalid format.", "userId", true},
		"another app's id":         {exchange(teamsToken, wrong, aliceID), 400, "ValidationError", "AAD application is not the expected one.", "appId", true},
		"another user's id":        {exchange(teamsToken, appID, wrong), 400, "ValidationError", "Provided AAD token issued for unexpected user.", "userId", true},
		"another app's and user's": {exchange(teamsToken, wrong, wrong), 400, "ValidationError", "AAD application is not the expected one.", "appId", true},
	} {
		t.Run(name, func(t *testing.T) {
			w := res.do(http.MethodPost, exchangePath, newest, row.body)
			assert.Equal(t, row.status, w.Code)
			want := map[string]any{"code": row.code, "message": row.message}
			if row.target != "" {
				want["target"] = row.target
			}
			assert.Equal(t, map[string]any{"error": want}, object(t, w))
			assert.Equal(t, row.versions, w.Header().Get("api-supported-versions") != "")
		})
	}
	res.now = res.now.Add(2 * time.Hour)
	w := res.do(http.MethodPost, exchangePath, newest, exchange(teamsToken, appID, aliceID))
	assert.Equal(t, http.StatusUnauthorized, w.Code, "expired")
}

func TestExchangeCameWith20220601(t *testing.T) {
	w := newResource(t).do(http.MethodPost, exchangePath, "2021-03-07", exchange(teamsToken, appID, aliceID))
	assert.Equal(t, "UnsupportedApiVersion", member(t, object(t, w), "error", "code"))
}

func (res *resource) extension(version, authorization string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, extensionPath+"?api-version="+version, strings.NewReader("{}"))
	r.Header.Set("Authorization", authorization)
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	res.ServeHTTP(w, r)
	return w
}

func TestATeamsExtensionUserHasOneIdentity(t *testing.T) {
	res := newResource(t)
	id := "8:acs:" + resourceID + "_" + tenantID + "_" + aliceID
	const bearer = "Bearer teams TeamsExtension.ManageCalls"
	assert.Equal(t, http.StatusForbidden, res.extension("2025-06-30", bearer).Code, "not assigned")
	require.NoError(t, res.Assign(tenantID, aliceID, strings.ToUpper(resourceID)))
	assert.Equal(t, http.StatusForbidden, res.extension("2025-06-30", bearer).Code, "assigned for another app")
	require.NoError(t, res.Assign(strings.ToUpper(tenantID), aliceID, strings.ToUpper(appID)))
	for range 2 {
		w := res.extension("2025-06-30", "Bearer teams TeamsExtension.ManageCalls")
		require.Equal(t, http.StatusOK, w.Code, w.Body)
		o := object(t, w)
		assert.Equal(t, id, member(t, o, "identity", "id"))
		assert.True(t, res.TokenActive(member(t, o, "accessToken", "token")))
		assert.Equal(t, "*", w.Header().Get("Access-Control-Allow-Origin"))
	}
	assert.Equal(t, []string{id}, res.Identities())

	assert.Equal(t, http.StatusUnauthorized, res.extension("2025-06-30", "Bearer teams Teams.ManageCalls").Code, "another scope")
	assert.Equal(t, http.StatusUnauthorized, res.extension("2025-06-30", "Bearer x").Code)
	assert.Equal(t, http.StatusUnauthorized, res.do(http.MethodPost, extensionPath, "2025-06-30", "{}").Code, "the access key is not for this")
	assert.Equal(t, http.StatusBadRequest, res.extension("2023-10-01", "Bearer teams TeamsExtension.ManageCalls").Code)
}

func TestOnlyAUsersOwnCallIsOpenToScripts(t *testing.T) {
	res := newResource(t)
	for path, want := range map[string]int{extensionPath: http.StatusNoContent, "/identities": http.StatusMethodNotAllowed} {
		r := httptest.NewRequest(http.MethodOptions, path+"?api-version="+newest, nil)
		r.Header.Set("Access-Control-Request-Method", http.MethodPost)
		w := httptest.NewRecorder()
		res.ServeHTTP(w, r)
		assert.Equal(t, want, w.Code, path)
	}
	assert.Empty(t, res.Calls())
}
