package main

import (
	"encoding/base64"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"acsauth/functions/contract"
	"acsauth/internal/localcloud"
	"acsauth/internal/localcloud/entraid"
)

// protectedRoutes are all methods and paths of the contract that need a token.
func protectedRoutes(h *running) (routes [][2]string) {
	h.t.Helper()
	for path, item := range contract.Load(h.t, h.contract).Paths.Map() {
		for method, op := range item.Operations() {
			if op.Security == nil {
				routes = append(routes, [2]string{method, "/api" + path})
			}
		}
	}
	return routes
}

// Package entra has the longer list; this one is for what stands around it.
func TestAttacksOnEveryRoute(t *testing.T) {
	h := start(t, nil)
	u, other := newUser(t), newUser(t)
	good := tokenFor(t, u)
	parts := strings.Split(good, ".")
	now := time.Now().Unix()
	claims := func(changes map[string]any) string { return "Bearer " + signClaims(u, changes) }
	header := func(changes map[string]any) string {
		c := map[string]any{"iss": cloud.EntraURL + "/" + u.TenantID + "/v2.0", "aud": localcloud.APIClientID, "tid": u.TenantID, "oid": u.ObjectID,
			"ver": "2.0", "scp": "access_as_user", "azp": localcloud.SPAClientID, "iat": now, "nbf": now, "exp": now + 3600}
		return "Bearer " + cloud.Entra.Sign(changes, c)
	}
	idToken := map[string]any{"scp": nil, "nonce": "n"}
	forged := base64.RawURLEncoding.EncodeToString([]byte(`{"oid":"` + other.ObjectID + `"}`))
	one := func(value string) http.Header { return http.Header{"Authorization": {value}} }
	with := func(name, value string) http.Header {
		h := one("Bearer " + good)
		h.Add(name, value)
		return h
	}

	routes := protectedRoutes(h)
	least := 9
	if !gone("/api/user") {
		least += 3
	}
	if !gone("/api/token") {
		least += 2
	}
	require.GreaterOrEqual(t, len(routes), least)
	identities, calls, keys := cloud.ACS.Identities(), cloud.ACS.Calls(), cloud.Entra.Requests()["keys"]
	for _, row := range []struct {
		name   string
		header http.Header
		query  string
		status int
	}{
		{"no token", nil, "", 401},
		{"the token in the query", nil, "?access_token=" + good, 401},
		{"the token in a cookie", http.Header{"Cookie": {"access_token=" + good}}, "", 401},
		{"the token as somebody else's header", http.Header{"X-Ms-Token-Aad-Access-Token": {good}, "X-Forwarded-Authorization": {"Bearer " + good}}, "", 401},
		{"a principal that the platform did not send", http.Header{"X-Ms-Client-Principal-Id": {other.ObjectID}, "X-Ms-Client-Principal": {"eyJ9"}}, "", 401},
		{"basic", one("Basic dXNlcjpwYXNz"), "", 401},
		{"the scheme alone", one("Bearer"), "", 400},
		{"two tokens", one("Bearer " + good + " " + good), "", 400},
		{"two tokens with a comma", one("Bearer " + good + "," + good), "", 400},
		{"two headers", with("Authorization", "Bearer "+good), "", 400},
		{"two headers, one of another scheme", with("Authorization", "Basic x"), "", 400},
		{"in the query too", one("Bearer " + good), "?access_token=" + good, 400},
		{"in the query too, in capitals", one("Bearer " + good), "?Access_Token=x", 400},
		{"behind a semicolon", one("Bearer " + good), "?a=1;access_token=" + good, 400},
		{"null", one("Bearer null"), "", 401},
		{"undefined", one("Bearer undefined"), "", 401},
		{"an object", one("Bearer [object Object]"), "", 401},
		{"9 KiB", one("Bearer " + strings.Repeat("a", 9<<10)), "", 401},
		{"one part", one("Bearer " + parts[0]), "", 401},
		{"no signature", one("Bearer " + parts[0] + "." + parts[1] + "."), "", 401},
		{"another user's claims", one("Bearer " + parts[0] + "." + forged + "." + parts[2]), "", 401},
		{"a signature changed", one("Bearer " + parts[0] + "." + parts[1] + "." + strings.Repeat("A", len(parts[2]))), "", 401},
		{"no algorithm", one(header(map[string]any{"alg": "none"})), "", 401},
		{"HS256", one(header(map[string]any{"alg": "HS256"})), "", 401},
		{"a key of its own", one(header(map[string]any{"jwk": map[string]any{"kty": "RSA"}})), "", 401},
		{"a key elsewhere", one(header(map[string]any{"jku": h.URL + "/evil"})), "", 401},
		{"a path for a key id", one(header(map[string]any{"kid": "../../dev/null"})), "", 401},
		{"critical", one(header(map[string]any{"crit": []string{"exp"}})), "", 401},
		{"a logout token", one(header(map[string]any{"typ": "logout+jwt"})), "", 401},
		{"expired", one(claims(map[string]any{"exp": now - 1, "iat": now - 60})), "", 401},
		{"without end", one(claims(map[string]any{"exp": nil})), "", 401},
		{"for a year", one(claims(map[string]any{"exp": now + 365*86400})), "", 401},
		{"not yet", one(claims(map[string]any{"nbf": now + 3600})), "", 401},
		{"for Graph", one(claims(map[string]any{"aud": entraid.GraphAppID})), "", 401},
		{"for Teams", one("Bearer " + tokenFor(t, u, teamsCalls)), "", 401},
		{"of another issuer", one(claims(map[string]any{"iss": "https://login.microsoftonline.com.evil.example/" + u.TenantID + "/v2.0"})), "", 401},
		{"of another tenant", one(claims(map[string]any{"tid": other.ObjectID})), "", 401},
		{"of nobody", one(claims(map[string]any{"oid": nil})), "", 401},
		{"of a path", one(claims(map[string]any{"oid": "../../" + u.ObjectID[6:]})), "", 401},
		{"an audience in another case beside it", one(claims(map[string]any{"AUD": localcloud.APIClientID})), "", 401},
		{"an ID token", one(claims(idToken)), "", 403},
		{"of an app alone", one(claims(map[string]any{"scp": nil, "roles": []string{"access_as_user"}, "idtyp": "app"})), "", 403},
		{"with another scope", one(claims(map[string]any{"scp": "access_as_user2"})), "", 403},
	} {
		for _, route := range routes {
			r, err := http.NewRequestWithContext(t.Context(), route[0], h.URL+route[1]+row.query, nil)
			require.NoError(t, err)
			maps.Copy(r.Header, row.header)
			resp, err := h.client.Do(r)
			require.NoError(t, err)
			_ = resp.Body.Close()
			assert.Equal(t, row.status, resp.StatusCode, "%s: %s", row.name, route)
			if !strings.Contains(row.query, ";") { // the query itself is at fault, not the credentials
				assert.Contains(t, resp.Header.Get("WWW-Authenticate"), `Bearer realm="acsauth"`, "%s: %s", row.name, route)
			}
		}
	}
	assert.Empty(t, identitiesSince(identities))
	assert.Equal(t, calls, cloud.ACS.Calls(), "nothing reached ACS")
	assert.LessOrEqual(t, cloud.Entra.Requests()["keys"], keys+2, "the first fetch, and one for unknown keys")
}
