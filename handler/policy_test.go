package main

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// acsScopes are the scopes of a token that the stand-in for ACS made.
func acsScopes(t testing.TB, token string) []string {
	t.Helper()
	parts := strings.Split(token, ".")
	require.Len(t, parts, 3)
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	require.NoError(t, err)
	var claims struct {
		ACSScope string `json:"acsScope"`
	}
	require.NoError(t, json.Unmarshal(payload, &claims))
	return strings.Split(claims.ACSScope, ",")
}

func TestAppRolesSayWhatATokenMayCarry(t *testing.T) {
	h := start(t, map[string]string{
		"ACS_ROLE_SCOPES":              "Guest=chat.join.limited,voip.join@60; Host=chat,voip@120",
		"ACS_TOKEN_SCOPES":             "chat.join",
		"ACS_TOKEN_EXPIRES_IN_MINUTES": "90",
		"RATE_LIMIT_PER_USER":          "0",
	})
	for _, row := range []struct {
		name    string
		roles   []string
		query   string
		code    string // of the refusal, or empty
		scopes  []string
		minutes int
	}{
		{"no role", nil, "", "", []string{"chat.join"}, 90},
		{"no role, a longer life", nil, "?expiresInMinutes=1440", "", []string{"chat.join"}, 1440},
		{"no role, a scope of a role", nil, "?scopes=voip.join", "invalid_scope", nil, 0},
		{"a role in another case", []string{"GUEST"}, "", "", []string{"chat.join"}, 90},
		{"a guest", []string{"Guest"}, "", "", []string{"chat.join.limited", "voip.join"}, 60},
		{"a guest, less", []string{"Guest"}, "?scopes=voip.join", "", []string{"voip.join"}, 60},
		{"a guest, more", []string{"Guest"}, "?scopes=voip", "invalid_scope", nil, 0},
		{"a guest, the default's scope", []string{"Guest"}, "?scopes=chat.join", "invalid_scope", nil, 0},
		{"a guest, a longer life", []string{"Guest"}, "?expiresInMinutes=61", "invalid_request", nil, 0},
		{"a host", []string{"Admin", "Host"}, "", "", []string{"chat", "voip"}, 90},
		{"a host, a longer life", []string{"Host"}, "?expiresInMinutes=120", "", []string{"chat", "voip"}, 120},
		{"both", []string{"Guest", "Host"}, "?expiresInMinutes=120", "", []string{"chat", "chat.join.limited", "voip", "voip.join"}, 120},
	} {
		t.Run(row.name, func(t *testing.T) {
			u := newUser(t)
			u.Roles = row.roles
			token := tokenFor(t, u)
			require.Equal(t, 201, h.do(request{path: "/api/getUser", token: token}).status)
			for function, status := range map[string]int{"POST getToken": 200, "POST refreshToken": 200, "GET token": 201} {
				method, name, _ := strings.Cut(function, " ")
				if gone("/api/" + name) {
					continue
				}
				a := h.do(request{method: method, path: "/api/" + name + row.query, token: token})
				if row.code != "" {
					assert.Equal(t, 400, a.status)
					if name != "token" {
						assert.Equal(t, row.code, a.code())
					}
					continue
				}
				require.Equal(t, status, a.status, a.text)
				assert.Equal(t, row.scopes, acsScopes(t, a.json["token"].(string)))
				expires, err := time.Parse(time.RFC3339, a.json["expiresOn"].(string))
				require.NoError(t, err)
				assert.WithinDuration(t, time.Now().Add(time.Duration(row.minutes)*time.Minute), expires, time.Minute)
			}
		})
	}
}
