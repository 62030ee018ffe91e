package config

// Setting is one app setting, that is, one environment variable. An empty value
// counts as not set.
type Setting struct {
	Name    string
	Meaning string
	Default string // what stands in for it, in words where it is no fixed value
	Secret  bool   // its value must not be shown
}

// Settings returns all the settings that Load reads, in the order of the
// documentation. The README's table, local.settings.sample.json and the
// deployment are held to this list by tests.
func Settings() []Setting {
	return []Setting{
		{"ENTRA_TENANT_ID", "tenant whose users may call; a comma-separated list allows several", "required", false},
		{"ENTRA_CLIENT_ID", "application (client) id of this API's registration", "required", false},
		{"ENTRA_AUDIENCES", "accepted values of claim `aud`, comma-separated", "the client id and `api://<client id>`", false},
		{"ENTRA_REQUIRED_SCOPE", "scope that claim `scp` must hold", "`access_as_user`", false},
		{"ENTRA_ALLOWED_CLIENT_IDS", "client apps (claim `azp`) that may call, comma-separated", "any", false},
		{"ENTRA_ACCEPT_V1_TOKENS", "`true`: v1.0 access tokens are accepted too", "`false`", false},
		{"ENTRA_B2C_POLICY", "user flow of an Azure AD B2C tenant; needs ENTRA_AUTHORITY_HOST and ENTRA_ALLOWED_CLIENT_IDS", "none", false},
		{"ENTRA_AUTHORITY_HOST", "where Entra ID is: a sovereign cloud, `https://<name>.ciamlogin.com` (External ID), `https://<name>.b2clogin.com`, or the local stand-in", "`https://login.microsoftonline.com`", false},
		{"ENTRA_CLIENT_SECRET", "client secret of this API, for On-Behalf-Of; one of three ways to prove itself to Entra ID", "none", true},
		{"ENTRA_CLIENT_CERTIFICATE_PATH", "the same, as a PEM file with certificate and RSA key", "none", false},
		{"ENTRA_CLIENT_CREDENTIAL", "the same, by a federated credential: `managed-identity`, the one that AZURE_CLIENT_ID names", "none", false},
		{"ACS_CONNECTION_STRING", "the ACS resource, `endpoint=https://…;accesskey=…`", "this or ACS_ENDPOINT is required", true},
		{"ACS_ENDPOINT", "the ACS resource, `https://<name>.communication.azure.com`, with managed identity", "this or ACS_CONNECTION_STRING is required", false},
		{"ACS_API_VERSION", "version of the ACS Identity API", "`2026-09-23`", false},
		{"ACS_TOKEN_SCOPES", "scopes that a token may carry, and carries by default, comma-separated", "`chat,voip`", false},
		{"ACS_TOKEN_EXPIRES_IN_MINUTES", "lifetime that tokens are asked for with, 60 to 1440", "`1440`", false},
		{"ACS_ROLE_SCOPES", "scopes by app role (claim `roles`), and the longest lifetime in minutes where it is not 1440: `Guest=chat.join.limited,voip.join@60; Host=chat,voip`", "ACS_TOKEN_SCOPES for everybody", false},
		{"ACS_TOKEN_REUSE_SECONDS", "how long getToken may hand the same user the same token again, 0 to 3600; `0` for a new one each time", "`60`", false},
		{"TEAMS_CLIENT_IDS", "applications that a Teams user's token may come from, beside the caller's, comma-separated", "the client id", false},
		{"TEAMS_ON_BEHALF_OF", "`true`, experimental: exchangeToken gets the Teams user's token itself where the caller sends none; needs a credential of this API", "`false`", false},
		{"IDENTITY_STORE", "where mappings are kept: `tables`, `graph` (each in its user's own profile) or `local`", "`tables`", false},
		{"TABLES_CONNECTION_STRING", "the storage account; `UseDevelopmentStorage=true` is Azurite", "AzureWebJobsStorage", true},
		{"TABLES_ENDPOINT", "the table service, `https://<name>.table.core.windows.net`, with managed identity", "AzureWebJobsStorage", false},
		{"TABLES_TABLE_NAME", "name of the table, made when it is missing", "`identities`", false},
		{"AzureWebJobsStorage", "the host's own storage account, used when no TABLES_ setting says where", "none", true},
		{"AzureWebJobsStorage__tableServiceUri", "the same with managed identity", "none", false},
		{"AzureWebJobsStorage__accountName", "the same, by the name of the account", "none", false},
		{"AzureWebJobsStorage__clientId", "user-assigned managed identity for it", "AZURE_CLIENT_ID", false},
		{"LOCAL_STORE_PATH", "file of the embedded store; refused inside Azure", "`acsauth/identities.db` in the user's configuration folder", false},
		{"GRAPH_ENDPOINT", "Microsoft Graph, of a sovereign cloud where it is not the global one", "`https://graph.microsoft.com`", false},
		{"GRAPH_EXTENSION_NAME", "name of the open extension that holds a user's mapping; for another ACS resource take another name", "`com.contoso.identityMapping`, that of the hero samples", false},
		{"GRAPH_MAPPING_KEYS", "keys that seal mappings in Graph, comma-separated, 32 characters or more each: the first for new ones, any for old ones. Without them one of a hero sample is given to the user who calls with it first", "none", true},
		{"GRAPH_ACCEPT_UNSEALED", "`true`: mappings without a seal, such as those of the hero samples, are taken and sealed; for as long as it takes to move over", "`false`", false},
		{"CORS_ALLOWED_ORIGINS", "origins of browser clients, comma-separated; only outside Functions, where no platform does CORS", "none", false},
		{"RATE_LIMIT_PER_USER", "calls a minute that one user may make to one instance, a quarter more than that at once; `0` for no limit", "`60`", false},
		{"AZURE_CLIENT_ID", "client id of the user-assigned managed identity to use", "the system-assigned one", false},
		{"FUNCTIONS_CUSTOMHANDLER_PORT", "given by the Functions host", "none", false},
		{"PORT", "port to listen on outside Functions", "`8080`", false},
		{"PUBLIC_URL", "address at which clients reach the service, `https://<host>`; it is published as OAuth protected resource metadata", "`https://<WEBSITE_HOSTNAME>` in Azure, else none", false},
		{"LOG_LEVEL", "`debug`, `info`, `warn` or `error`", "`info`", false},
		{"LOG_USER_KEY", "key of the hash that stands for a user in the log, 16 characters or more; set it to follow a user from one instance to another", "random at each start", true},
	}
}
