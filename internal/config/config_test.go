package config

import (
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"acsauth/internal/identity"
)

const (
	tenant = "6f1d7c52-3b0e-4a9c-8d27-51c0a4e9b310"
	client = "5f0d8c1a-7e42-4b6d-9a35-2c81e0b7d946"
	key    = "c2VjcmV0LWFjY2Vzcy1rZXk="
)

func environ(changes map[string]string) []string {
	all := map[string]string{
		"ENTRA_TENANT_ID": tenant, "ENTRA_CLIENT_ID": client,
		"ACS_CONNECTION_STRING": "endpoint=https://contoso.communication.azure.com/;accesskey=" + key,
		"AzureWebJobsStorage":   "UseDevelopmentStorage=true",
	}
	maps.Copy(all, changes)
	var list []string
	for name, value := range all {
		list = append(list, name+"="+value)
	}
	return list
}

func TestTheRequiredSettingsAreEnough(t *testing.T) {
	c, err := Load(environ(nil))
	require.NoError(t, err)
	assert.Equal(t, []string{tenant}, c.Entra.Tenants)
	assert.Equal(t, []string{client, "api://" + client}, c.Entra.Audiences)
	assert.Equal(t, "access_as_user", c.Entra.Scope)
	assert.Equal(t, "https://login.microsoftonline.com", c.Entra.AuthorityHost)
	assert.Equal(t, "https://contoso.communication.azure.com", c.ACS.Endpoint)
	assert.Equal(t, key, c.ACS.AccessKey.Reveal())
	assert.Equal(t, "2026-09-23", c.ACS.APIVersion)
	assert.Equal(t, identity.TokenPolicy{Default: identity.Grant{Scopes: []string{"chat", "voip"}, ExpiresIn: 24 * time.Hour}, ExpiresIn: 24 * time.Hour}, c.TokenPolicy)
	assert.Equal(t, []string{client}, c.TeamsClientIDs)
	assert.Equal(t, StoreTables, c.Store)
	assert.Equal(t, "http://127.0.0.1:10002/devstoreaccount1", c.Tables.Connection.Endpoint)
	assert.Equal(t, "identities", c.Tables.Name)
	assert.Equal(t, 60, c.RateLimit)
	assert.Equal(t, 8080, c.Port)
	assert.False(t, c.UnderHost)
	assert.Equal(t, slog.LevelInfo, c.LogLevel)
}

func TestEachSettingIsRead(t *testing.T) {
	c, err := Load(environ(map[string]string{
		"ENTRA_TENANT_ID":              " " + strings.ToUpper(tenant) + " , " + client,
		"ENTRA_AUDIENCES":              "api://a, b",
		"ENTRA_REQUIRED_SCOPE":         "call",
		"ENTRA_ALLOWED_CLIENT_IDS":     strings.ToUpper(client),
		"ENTRA_ACCEPT_V1_TOKENS":       "True",
		"ENTRA_AUTHORITY_HOST":         "https://login.microsoftonline.us/",
		"ACS_API_VERSION":              "2025-06-30",
		"ACS_TOKEN_SCOPES":             "voip, chat.join,voip",
		"ACS_TOKEN_EXPIRES_IN_MINUTES": "60",
		"ACS_TOKEN_REUSE_SECONDS":      "5",
		"ACS_ROLE_SCOPES":              "Guest = voip.join, chat.join.limited @ 90 ;Host.Main=voip,chat,voip;",
		"TEAMS_CLIENT_IDS":             tenant,
		"TEAMS_ON_BEHALF_OF":           "true",
		"TABLES_CONNECTION_STRING":     "AccountName=contoso;AccountKey=" + key,
		"TABLES_TABLE_NAME":            "mappings",
		"CORS_ALLOWED_ORIGINS":         "https://app.example, http://localhost:3000",
		"RATE_LIMIT_PER_USER":          "0",
		"AZURE_CLIENT_ID":              client,
		"PORT":                         "9000",
		"LOG_LEVEL":                    "DEBUG",
		"LOG_USER_KEY":                 "0123456789abcdef",
		"ENTRA_CLIENT_SECRET":          "s",
	}))
	require.NoError(t, err)
	assert.Equal(t, []string{tenant, client}, c.Entra.Tenants)
	assert.Equal(t, []string{"api://a", "b"}, c.Entra.Audiences)
	assert.Equal(t, "call", c.Entra.Scope)
	assert.Equal(t, []string{client}, c.Entra.Clients)
	assert.True(t, c.Entra.AcceptV1)
	assert.Equal(t, "https://login.microsoftonline.us", c.Entra.AuthorityHost)
	assert.Equal(t, "2025-06-30", c.ACS.APIVersion)
	assert.Equal(t, identity.TokenPolicy{
		Roles: map[string]identity.Grant{
			"Guest":     {Scopes: []string{"chat.join.limited", "voip.join"}, ExpiresIn: 90 * time.Minute},
			"Host.Main": {Scopes: []string{"chat", "voip"}, ExpiresIn: 24 * time.Hour},
		},
		Default:   identity.Grant{Scopes: []string{"chat.join", "voip"}, ExpiresIn: 24 * time.Hour},
		ExpiresIn: time.Hour,
	}, c.TokenPolicy)
	assert.Equal(t, 5*time.Second, c.TokenReuse)
	assert.Equal(t, []string{tenant, client}, c.TeamsClientIDs)
	assert.True(t, c.TeamsOnBehalfOf)
	assert.Equal(t, "https://contoso.table.core.windows.net", c.Tables.Connection.Endpoint)
	assert.Equal(t, "mappings", c.Tables.Name)
	assert.Equal(t, []string{"https://app.example", "http://localhost:3000"}, c.CORSOrigins)
	assert.Zero(t, c.RateLimit)
	assert.Equal(t, client, c.ManagedIdentity)
	assert.Equal(t, "s", c.Credential.Secret.Reveal())
	assert.Equal(t, 9000, c.Port)
	assert.Equal(t, slog.LevelDebug, c.LogLevel)
	assert.Equal(t, "0123456789abcdef", c.LogUserKey.Reveal())
}

func TestEachFaultIsNamed(t *testing.T) {
	const secret = "s3cr3t"
	for _, row := range []struct {
		changes map[string]string
		setting string // the one at fault
	}{
		{map[string]string{"ENTRA_TENANT_ID": ""}, "ENTRA_TENANT_ID"},
		{map[string]string{"ENTRA_TENANT_ID": "common"}, "ENTRA_TENANT_ID"},
		{map[string]string{"ENTRA_TENANT_ID": tenant + ",organizations"}, "ENTRA_TENANT_ID"},
		{map[string]string{"ENTRA_TENANT_ID": ","}, "ENTRA_TENANT_ID"},
		{map[string]string{"ENTRA_ALLOWED_CLIENT_IDS": ","}, "ENTRA_ALLOWED_CLIENT_IDS"},
		{map[string]string{"ENTRA_AUDIENCES": " , ,"}, "ENTRA_AUDIENCES"},
		{map[string]string{"ACS_TOKEN_SCOPES": ","}, "ACS_TOKEN_SCOPES"},
		{map[string]string{"CORS_ALLOWED_ORIGINS": ","}, "CORS_ALLOWED_ORIGINS"},
		{map[string]string{"ENTRA_CLIENT_ID": ""}, "ENTRA_CLIENT_ID"},
		{map[string]string{"ENTRA_CLIENT_ID": "api://" + client}, "ENTRA_CLIENT_ID"},
		{map[string]string{"ENTRA_REQUIRED_SCOPE": "a b"}, "ENTRA_REQUIRED_SCOPE"},
		{map[string]string{"ENTRA_REQUIRED_SCOPE": "api://x/access_as_user"}, "ENTRA_REQUIRED_SCOPE"},
		{map[string]string{"ENTRA_ALLOWED_CLIENT_IDS": "*"}, "ENTRA_ALLOWED_CLIENT_IDS"},
		{map[string]string{"ENTRA_ACCEPT_V1_TOKENS": "yes"}, "ENTRA_ACCEPT_V1_TOKENS"},
		{map[string]string{"ENTRA_AUTHORITY_HOST": "login.microsoftonline.com"}, "ENTRA_AUTHORITY_HOST"},
		{map[string]string{"ENTRA_AUTHORITY_HOST": "http://login.microsoftonline.com"}, "ENTRA_AUTHORITY_HOST"},
		{map[string]string{"ENTRA_AUTHORITY_HOST": "https://login.microsoftonline.com/" + tenant}, "ENTRA_AUTHORITY_HOST"},
		{map[string]string{"ENTRA_AUTHORITY_HOST": "https://contoso.b2clogin.com"}, "ENTRA_B2C_POLICY"},
		{map[string]string{"ENTRA_B2C_POLICY": "../x", "ENTRA_AUTHORITY_HOST": "https://contoso.b2clogin.com", "ENTRA_ALLOWED_CLIENT_IDS": client}, "ENTRA_B2C_POLICY"},
		{map[string]string{"ENTRA_B2C_POLICY": "B2C_1_susi", "ENTRA_ALLOWED_CLIENT_IDS": client}, "ENTRA_AUTHORITY_HOST"},
		{map[string]string{"ENTRA_B2C_POLICY": "B2C_1_susi", "ENTRA_AUTHORITY_HOST": "https://contoso.b2clogin.com"}, "ENTRA_ALLOWED_CLIENT_IDS"},
		{map[string]string{"ENTRA_B2C_POLICY": "B2C_1_susi", "ENTRA_AUTHORITY_HOST": "https://contoso.b2clogin.com", "ENTRA_ALLOWED_CLIENT_IDS": client, "ENTRA_ACCEPT_V1_TOKENS": "true"}, "ENTRA_ACCEPT_V1_TOKENS"},
		{map[string]string{"ENTRA_CLIENT_SECRET": secret, "ENTRA_CLIENT_CERTIFICATE_PATH": "x.pem"}, "ENTRA_CLIENT_CERTIFICATE_PATH"},
		{map[string]string{"ENTRA_CLIENT_CREDENTIAL": secret}, "ENTRA_CLIENT_CREDENTIAL"},
		{map[string]string{"ENTRA_CLIENT_CREDENTIAL": "managed-identity"}, "AZURE_CLIENT_ID"},
		{map[string]string{"ENTRA_CLIENT_SECRET": secret, "ENTRA_AUTHORITY_HOST": "http://localhost:8443"}, "ENTRA_AUTHORITY_HOST"},
		{map[string]string{"ENTRA_CLIENT_SECRET": secret, "ENTRA_B2C_POLICY": "B2C_1_susi", "ENTRA_AUTHORITY_HOST": "https://contoso.b2clogin.com", "ENTRA_ALLOWED_CLIENT_IDS": client}, "ENTRA_CLIENT_SECRET"},
		{map[string]string{"ACS_CONNECTION_STRING": ""}, "ACS_CONNECTION_STRING"},
		{map[string]string{"ACS_CONNECTION_STRING": secret}, "ACS_CONNECTION_STRING"},
		{map[string]string{"ACS_ENDPOINT": "https://contoso.communication.azure.com"}, "ACS_ENDPOINT"},
		{map[string]string{"ACS_CONNECTION_STRING": "", "ACS_ENDPOINT": "http://contoso.communication.azure.com"}, "ACS_ENDPOINT"},
		{map[string]string{"ACS_API_VERSION": "latest"}, "ACS_API_VERSION"},
		{map[string]string{"ACS_TOKEN_SCOPES": "chat,admin"}, "ACS_TOKEN_SCOPES"},
		{map[string]string{"ACS_TOKEN_REUSE_SECONDS": "-1"}, "ACS_TOKEN_REUSE_SECONDS"},
		{map[string]string{"ACS_TOKEN_REUSE_SECONDS": "3601"}, "ACS_TOKEN_REUSE_SECONDS"},
		{map[string]string{"ACS_TOKEN_EXPIRES_IN_MINUTES": "59"}, "ACS_TOKEN_EXPIRES_IN_MINUTES"},
		{map[string]string{"ACS_TOKEN_EXPIRES_IN_MINUTES": "1441"}, "ACS_TOKEN_EXPIRES_IN_MINUTES"},
		{map[string]string{"ACS_TOKEN_EXPIRES_IN_MINUTES": "1h"}, "ACS_TOKEN_EXPIRES_IN_MINUTES"},
		{map[string]string{"ACS_ROLE_SCOPES": "Guest"}, "ACS_ROLE_SCOPES"},
		{map[string]string{"ACS_ROLE_SCOPES": "=chat"}, "ACS_ROLE_SCOPES"},
		{map[string]string{"ACS_ROLE_SCOPES": "Guest="}, "ACS_ROLE_SCOPES"},
		{map[string]string{"ACS_ROLE_SCOPES": "Guest=admin"}, "ACS_ROLE_SCOPES"},
		{map[string]string{"ACS_ROLE_SCOPES": "Guest=chat,voip@59"}, "ACS_ROLE_SCOPES"},
		{map[string]string{"ACS_ROLE_SCOPES": "Guest=chat@1441"}, "ACS_ROLE_SCOPES"},
		{map[string]string{"ACS_ROLE_SCOPES": "Guest=chat@"}, "ACS_ROLE_SCOPES"},
		{map[string]string{"ACS_ROLE_SCOPES": "Guest=chat@1h"}, "ACS_ROLE_SCOPES"},
		{map[string]string{"ACS_ROLE_SCOPES": "Guest=@60"}, "ACS_ROLE_SCOPES"},
		{map[string]string{"ACS_ROLE_SCOPES": "Guest=chat; Guest=voip"}, "ACS_ROLE_SCOPES"},
		{map[string]string{"ACS_ROLE_SCOPES": "Guest=chat Host=voip"}, "ACS_ROLE_SCOPES"},
		{map[string]string{"ACS_ROLE_SCOPES": "A B=chat"}, "ACS_ROLE_SCOPES"},
		{map[string]string{"ACS_ROLE_SCOPES": ";"}, "ACS_ROLE_SCOPES"},
		{map[string]string{"ACS_ROLE_SCOPES": "Guest=CHAT"}, "ACS_ROLE_SCOPES"},
		{map[string]string{"ACS_ROLE_SCOPES": "Guest=chat@60@70"}, "ACS_ROLE_SCOPES"},
		{map[string]string{"ACS_ROLE_SCOPES": "Guest=chat,Host=voip"}, "ACS_ROLE_SCOPES"},
		{map[string]string{"TEAMS_ON_BEHALF_OF": "yes"}, "TEAMS_ON_BEHALF_OF"},
		{map[string]string{"TEAMS_ON_BEHALF_OF": "true"}, "TEAMS_ON_BEHALF_OF"},
		{map[string]string{"TEAMS_CLIENT_IDS": "teams"}, "TEAMS_CLIENT_IDS"},
		{map[string]string{"IDENTITY_STORE": "memory"}, "IDENTITY_STORE"},
		{map[string]string{"IDENTITY_STORE": "local", "WEBSITE_INSTANCE_ID": "1"}, "IDENTITY_STORE"},
		{map[string]string{"AzureWebJobsStorage": ""}, "TABLES_CONNECTION_STRING"},
		{map[string]string{"AzureWebJobsStorage": secret}, "AzureWebJobsStorage"},
		{map[string]string{"TABLES_CONNECTION_STRING": "AccountKey=" + secret}, "TABLES_CONNECTION_STRING"},
		{map[string]string{"TABLES_ENDPOINT": "contoso"}, "TABLES_ENDPOINT"},
		{map[string]string{"TABLES_ENDPOINT": "http://127.0.0.1:10002/contoso"}, "TABLES_ENDPOINT"},
		{map[string]string{"TABLES_ENDPOINT": "https://contoso.table.core.windows.net", "TABLES_CONNECTION_STRING": "UseDevelopmentStorage=true"}, "TABLES_ENDPOINT"},
		{map[string]string{"TABLES_TABLE_NAME": "my-table"}, "TABLES_TABLE_NAME"},
		{map[string]string{"AzureWebJobsStorage": "", "AzureWebJobsStorage__accountName": "a/b"}, "AzureWebJobsStorage__accountName"},
		{map[string]string{"AzureWebJobsStorage": "", "AzureWebJobsStorage__tableServiceUri": "x"}, "AzureWebJobsStorage__tableServiceUri"},
		{map[string]string{"AzureWebJobsStorage": "", "AzureWebJobsStorage__accountName": "contoso", "AzureWebJobsStorage__clientId": "x"}, "AzureWebJobsStorage__clientId"},
		{map[string]string{"GRAPH_ENDPOINT": "graph"}, "GRAPH_ENDPOINT"},
		{map[string]string{"CORS_ALLOWED_ORIGINS": "https://app.example/path"}, "CORS_ALLOWED_ORIGINS"},
		{map[string]string{"RATE_LIMIT_PER_USER": "-1"}, "RATE_LIMIT_PER_USER"},
		{map[string]string{"AZURE_CLIENT_ID": "me"}, "AZURE_CLIENT_ID"},
		{map[string]string{"PORT": "http"}, "PORT"},
		{map[string]string{"PUBLIC_URL": "api.example"}, "PUBLIC_URL"},
		{map[string]string{"IDENTITY_STORE": "graph"}, "ENTRA_CLIENT_SECRET"},
		{map[string]string{"IDENTITY_STORE": "graph", "ENTRA_CLIENT_SECRET": secret, "AzureWebJobsStorage": "", "WEBSITE_INSTANCE_ID": "x"}, "TABLES_CONNECTION_STRING"},
		{map[string]string{"IDENTITY_STORE": "graph", "ENTRA_CLIENT_SECRET": secret, "GRAPH_ENDPOINT": "http://localhost:1"}, "GRAPH_ENDPOINT"},
		{map[string]string{"IDENTITY_STORE": "graph", "ENTRA_CLIENT_SECRET": secret, "GRAPH_ACCEPT_UNSEALED": "true"}, "GRAPH_ACCEPT_UNSEALED"},
		{map[string]string{"GRAPH_EXTENSION_NAME": "com.microsoft.x"}, "GRAPH_EXTENSION_NAME"},
		{map[string]string{"GRAPH_MAPPING_KEYS": strings.Repeat("k", 32) + "," + secret}, "GRAPH_MAPPING_KEYS"},
		{map[string]string{"PUBLIC_URL": `https://a"b`}, "PUBLIC_URL"},
		{map[string]string{"PUBLIC_URL": "https://a,b"}, "PUBLIC_URL"},
		{map[string]string{"PUBLIC_URL": "http://api.example"}, "PUBLIC_URL"},
		{map[string]string{"FUNCTIONS_CUSTOMHANDLER_PORT": "0"}, "FUNCTIONS_CUSTOMHANDLER_PORT"},
		{map[string]string{"LOG_LEVEL": "loud"}, "LOG_LEVEL"},
		{map[string]string{"LOG_USER_KEY": secret}, "LOG_USER_KEY"},
	} {
		_, err := Load(environ(row.changes))
		var faults Faults
		require.True(t, errors.As(err, &faults), "%v", row.changes)
		assert.Equal(t, row.setting, faults[0].Setting, "%v", row.changes)
		assert.Len(t, faults, 1, "%v", row.changes)
		assert.NotContains(t, err.Error(), secret)
		assert.NotContains(t, err.Error(), key)
	}
}

func TestOneFaultHidesNoOther(t *testing.T) {
	_, err := Load([]string{"IDENTITY_STORE=redis", "ACS_CONNECTION_STRING=nonsense", "ACS_ENDPOINT=nonsense",
		"TABLES_CONNECTION_STRING=nonsense", "TABLES_ENDPOINT=nonsense", "AzureWebJobsStorage=nonsense", "ENTRA_TENANT_ID=,", "PORT=x"})
	for _, name := range []string{"IDENTITY_STORE is not", "ACS_CONNECTION_STRING is wrong", "ACS_ENDPOINT is wrong", "ACS_ENDPOINT is set beside",
		"TABLES_CONNECTION_STRING is wrong", "TABLES_ENDPOINT is not", "AzureWebJobsStorage is wrong", "ENTRA_TENANT_ID has no entry", "ENTRA_CLIENT_ID is missing", "PORT is not"} {
		assert.ErrorContains(t, err, name)
	}
	_, err = Load([]string{"IDENTITY_STORE=redis"})
	assert.ErrorContains(t, err, "TABLES_CONNECTION_STRING is missing")
	_, err = Load(environ(map[string]string{"TABLES_CONNECTION_STRING": "UseDevelopmentStorage=true", "AzureWebJobsStorage": "BlobEndpoint=https://a"}))
	assert.NoError(t, err, "the host's storage is the host's affair")
}

func TestWhereTheTableIs(t *testing.T) {
	for _, row := range []struct {
		name               string
		changes            map[string]string
		endpoint, identity string
	}{
		{"TABLES_ENDPOINT wins over the host's storage", map[string]string{"TABLES_ENDPOINT": "https://a.table.core.windows.net/", "AZURE_CLIENT_ID": client}, "https://a.table.core.windows.net", client},
		{"table service URI of the host's storage", map[string]string{"AzureWebJobsStorage": "", "AzureWebJobsStorage__tableServiceUri": "https://b.table.core.windows.net", "AzureWebJobsStorage__clientId": tenant, "AZURE_CLIENT_ID": client}, "https://b.table.core.windows.net", tenant},
		{"account name of the host's storage", map[string]string{"AzureWebJobsStorage": "", "AzureWebJobsStorage__accountName": "c1", "AZURE_CLIENT_ID": client}, "https://c1.table.core.windows.net", client},
	} {
		c, err := Load(environ(row.changes))
		require.NoError(t, err, row.name)
		assert.Equal(t, row.endpoint, c.Tables.Endpoint, row.name)
		assert.Equal(t, row.identity, c.Tables.ManagedIdentity, row.name)
		assert.Empty(t, c.Tables.Connection.Endpoint, row.name)
	}
}

func TestThePublicAddress(t *testing.T) {
	c, err := Load(environ(nil))
	require.NoError(t, err)
	assert.Empty(t, c.PublicURL)
	c, err = Load(environ(map[string]string{"WEBSITE_HOSTNAME": "contoso.azurewebsites.net"}))
	require.NoError(t, err)
	assert.Equal(t, "https://contoso.azurewebsites.net", c.PublicURL)
	c, err = Load(environ(map[string]string{"WEBSITE_HOSTNAME": "contoso.azurewebsites.net", "PUBLIC_URL": "https://API.example/"}))
	require.NoError(t, err)
	assert.Equal(t, "https://api.example", c.PublicURL)
}

func TestTheLocalStoreNeedsNoTable(t *testing.T) {
	c, err := Load(environ(map[string]string{"IDENTITY_STORE": "local", "AzureWebJobsStorage": ""}))
	require.NoError(t, err)
	assert.True(t, strings.HasSuffix(c.LocalPath, "identities.db"))
	c, err = Load(environ(map[string]string{"IDENTITY_STORE": "local", "LOCAL_STORE_PATH": "x.db"}))
	require.NoError(t, err)
	assert.Equal(t, "x.db", c.LocalPath)
}

func TestTheGraphStoreKeepsItsNotesInATableWhereThereIsOne(t *testing.T) {
	settings := map[string]string{"IDENTITY_STORE": "graph", "ENTRA_CLIENT_SECRET": "s", "GRAPH_MAPPING_KEYS": strings.Repeat("a", 32) + ", " + strings.Repeat("b", 32)}
	c, err := Load(environ(settings))
	require.NoError(t, err)
	assert.Equal(t, []string{StoreGraph, StoreTables}, []string{c.Store, c.Notes})
	assert.Equal(t, "http://127.0.0.1:10002/devstoreaccount1", c.Tables.Connection.Endpoint)
	assert.Equal(t, "com.contoso.identityMapping", c.Graph.Extension)
	assert.Len(t, c.Graph.Keys, 2)
	settings["AzureWebJobsStorage"] = ""
	c, err = Load(environ(settings))
	require.NoError(t, err)
	assert.Equal(t, []string{StoreGraph, StoreLocal}, []string{c.Store, c.Notes})
	assert.True(t, strings.HasSuffix(c.LocalPath, "identities.db"))
}

func TestUnderTheHostThePlatformDoesCORS(t *testing.T) {
	c, err := Load(environ(map[string]string{"FUNCTIONS_CUSTOMHANDLER_PORT": "7000", "PORT": "x", "CORS_ALLOWED_ORIGINS": `["https://portal.azure.com"]`}))
	require.NoError(t, err)
	assert.True(t, c.UnderHost)
	assert.Equal(t, 7000, c.Port)
	assert.Empty(t, c.CORSOrigins)
}

func TestMisspeltSettingsAreNoticed(t *testing.T) {
	c, err := Load(environ(map[string]string{"ENTRA_TENANTID": "x", "ACS_SCOPES": "x", "PATH": "x",
		"IDENTITY_ENDPOINT": "http://127.0.0.1", "IDENTITY_HEADER": "x"}))
	require.NoError(t, err)
	assert.Equal(t, []string{"ACS_SCOPES", "ENTRA_TENANTID"}, c.UnknownNames)
}

func TestTheREADMEListsEverySetting(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	for _, s := range Settings() {
		row := "| " + s.Name + " | " + s.Meaning + " | " + s.Default + " |"
		assert.True(t, strings.Contains(string(readme), row), "the README lacks the row\n%s", row)
	}
}

func TestTheSampleSettingsAreKnownAndValid(t *testing.T) {
	b, err := os.ReadFile("../../local.settings.sample.json")
	require.NoError(t, err)
	var sample struct {
		IsEncrypted bool
		Values      map[string]string
	}
	require.NoError(t, json.Unmarshal(b, &sample))
	known := map[string]bool{"FUNCTIONS_WORKER_RUNTIME": true}
	for _, s := range Settings() {
		known[s.Name] = true
	}
	var list []string
	for name, value := range sample.Values {
		assert.True(t, known[name], name)
		list = append(list, name+"="+value)
	}
	assert.Equal(t, "custom", sample.Values["FUNCTIONS_WORKER_RUNTIME"])
	_, err = Load(list)
	assert.NoError(t, err)
}

func TestInspectShowsNoSecretAndNoValueAtFault(t *testing.T) {
	list := environ(map[string]string{"ACS_CONNECTION_STRING": "endpoint=https://a.example/;accesskey=" + key, "ACS_ENDPOINT": "accesskey=" + key, "LOG_LEVEL": "debug"})
	_, err := Load(list)
	var faults Faults
	require.ErrorAs(t, err, &faults)
	given := map[string]Given{}
	for i, g := range Inspect(list, faults) {
		assert.Equal(t, Settings()[i], g.Setting)
		assert.NotContains(t, g.Value+g.Problem, key)
		given[g.Name] = g
	}
	assert.Equal(t, "[redacted]", given["ACS_CONNECTION_STRING"].Value)
	assert.Equal(t, "[not shown]", given["ACS_ENDPOINT"].Value)
	assert.Contains(t, given["ACS_ENDPOINT"].Problem, "is wrong")
	assert.Contains(t, given["ACS_ENDPOINT"].Problem, "one of them must go", "both of its faults")
	assert.Equal(t, "debug", given["LOG_LEVEL"].Value)
	assert.False(t, given["PORT"].Set)
}
