package infra

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"acsauth/internal/config"
)

// hostSettings are read by the Functions host and not by the service.
var hostSettings = []string{
	"AzureWebJobsStorage__blobServiceUri", "AzureWebJobsStorage__credential",
	"APPLICATIONINSIGHTS_CONNECTION_STRING", "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
}

// wantRoles is all that the identity may do: resource, then role.
var wantRoles = []string{
	"storage b7e6dc6d-f1e8-4753-8033-0f276bb0955b",  // Storage Blob Data Owner
	"table 0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3",    // Storage Table Data Contributor
	"insights 3913510d-42f4-4e42-8a64-420c390055eb", // Monitoring Metrics Publisher
	"acs 09976791-48a7-449e-bb21-39d1a415f350",      // Communication and Email Service Owner
}

// sample is what the expressions in app settings may come to.
var sample = map[string]string{
	"identity.properties.clientId":              "11111111-2222-4333-8444-555555555555",
	"storage.properties.primaryEndpoints.blob":  "https://stabc.blob.core.windows.net/",
	"storage.properties.primaryEndpoints.table": "https://stabc.table.core.windows.net/",
	"insights.properties.ConnectionString":      "InstrumentationKey=11111111-2222-4333-8444-555555555555",
	"acs.properties.hostName":                   "acs-abc.europe.communication.azure.com",
	"tenantIds":                                 "11111111-2222-4333-8444-666666666666",
	"apiClientId":                               "11111111-2222-4333-8444-777777777777",
	"allowedClientIds":                          "11111111-2222-4333-8444-888888888888",
	"tableName":                                 "identities",
	"acsEndpoint":                               "https://contoso.communication.azure.com",
}

// findings lists what is wrong with a deployment.
func findings(src string) (list []string) {
	b, err := parse(src)
	if err != nil {
		return []string{err.Error()}
	}
	defer func() {
		if problem := recover(); problem != nil {
			list = append(list, fmt.Sprint("not as expected: ", problem))
		}
	}()
	resources := map[string]object{}
	for _, d := range b.resources {
		resources[d.name] = d.value.(object)
	}
	list = append(list, settingsFindings(resources["app"])...)
	list = append(list, roleFindings(b)...)
	for path, want := range map[string]any{
		"acs.properties.disableLocalAuth":                true,
		"storage.properties.allowSharedKeyAccess":        false,
		"storage.properties.allowBlobPublicAccess":       false,
		"insights.properties.DisableLocalAuth":           true,
		"workspace.properties.features.disableLocalAuth": true,
		"lock.scope":                                       name("storage"),
		"lock.properties.level":                            "CanNotDelete",
		"app.properties.httpsOnly":                         true,
		"app.properties.functionAppConfig.runtime.name":    "custom",
		"app.properties.functionAppConfig.runtime.version": "1.0",
		"noPasswordDeployment.properties.allow":            false,
		"noPasswordFTP.properties.allow":                   false,
		"plan.sku.name":                                    "FC1",
		"storage.properties.supportsHttpsTrafficOnly":      true,
		"storage.properties.minimumTlsVersion":             "TLS1_2",
		"app.properties.siteConfig.minTlsVersion":          "1.2",
		"app.identity.type":                                "UserAssigned",
		"package.properties.remoteBuild":                   false,
		"failuresAlert.properties.enabled":                 true,
		"erasuresAlert.properties.enabled":                 true,
		"packages.name":                                    name("packageContainer"),
		deployment + "type":                                "UserAssignedIdentity",
		deployment + "userAssignedIdentityResourceId":      member{name("identity"), "id"},
	} {
		if got := at(resources, path); got != want {
			list = append(list, fmt.Sprintf("%s is %v", path, got))
		}
	}
	for _, secret := range []string{"listKeys", "listAccountSas", "listConnectionStrings", "secretValue", "@secure"} {
		if strings.Contains(src, secret) {
			list = append(list, secret+" brings a secret into the deployment")
		}
	}
	for _, setting := range hostSettings {
		if appSettings(resources["app"]).get(setting) == nil {
			list = append(list, setting+" is missing, and the host reads it")
		}
	}
	origins := call{"if", []any{call{"empty", []any{name("corsOrigins")}}, array(nil), call{"split", []any{name("corsOrigins"), ","}}}}
	if !reflect.DeepEqual(at(resources, "app.properties.siteConfig.cors.allowedOrigins"), origins) {
		list = append(list, "allowedOrigins are not those of corsOrigins")
	}
	list = append(list, conditionFindings(b)...)
	slices.Sort(list)
	return list
}

const deployment = "app.properties.functionAppConfig.deployment.storage.authentication."

// conditionFindings: only what the deployer may leave out depends on a parameter,
// and what protects the data is there by default.
func conditionFindings(b bicep) (list []string) {
	want := map[string]any{
		"acs":     call{"empty", []any{name("acsEndpoint")}},
		"acsRole": call{"empty", []any{name("acsEndpoint")}},
		"lock":    name("deleteLock"),
		"mail":    call{"not", []any{call{"empty", []any{name("alertEmail")}}}},
		"package": call{"not", []any{call{"empty", []any{name("packageUri")}}}},
	}
	for _, d := range b.resources {
		if !reflect.DeepEqual(d.condition, want[d.name]) {
			list = append(list, d.name+" is not always there when it must be")
		}
	}
	safe := map[string]any{"deleteLock": true, "storageSku": "Standard_ZRS", "corsOrigins": "", "packageUri": ""}
	for _, d := range b.params {
		if want, ok := safe[d.name]; ok && d.value != want {
			list = append(list, fmt.Sprintf("%s is %v by default", d.name, d.value))
		}
	}
	return list
}

// at follows a path of names, the first of which is a resource's.
func at(resources map[string]object, path string) any {
	steps := strings.Split(path, ".")
	var v any = resources[steps[0]]
	for _, step := range steps[1:] {
		o, ok := v.(object)
		if !ok {
			return nil
		}
		v = o.get(step)
	}
	return v
}

// appSettings finds the object in map(items(union({…}, settings)), …).
func appSettings(app object) object {
	list := at(map[string]object{"app": app}, "app.properties.siteConfig.appSettings").(call)
	return list.args[0].(call).args[0].(call).args[0].(object)
}

func settingsFindings(app object) (list []string) {
	var environ []string
	for _, p := range appSettings(app) {
		setting := p.key.(string)
		i := slices.IndexFunc(config.Settings(), func(s config.Setting) bool { return s.Name == setting })
		switch {
		case i < 0 && !slices.Contains(hostSettings, setting):
			list = append(list, setting+" is read by nobody")
		case i >= 0 && config.Settings()[i].Secret:
			list = append(list, setting+" is a secret")
		}
		value := evaluate(p.value)
		if looksSecret.MatchString(value) && setting != "APPLICATIONINSIGHTS_CONNECTION_STRING" {
			list = append(list, setting+" holds what looks like a secret")
		}
		environ = append(environ, setting+"="+value)
	}
	var faults config.Faults
	if _, err := config.Load(environ); errors.As(err, &faults) {
		for _, f := range faults {
			list = append(list, f.Setting+" "+f.Problem)
		}
	}
	return list
}

var looksSecret = regexp.MustCompile(`(?i)key=|secret|password|sig=`)

// evaluate puts samples for what is known only on the day.
func evaluate(e any) string {
	switch e := e.(type) {
	case string:
		return e
	case interpolation:
		s := ""
		for _, part := range e {
			s += evaluate(part)
		}
		return s
	case call: // only if is called: a new resource is the usual case
		return evaluate(e.args[1])
	case name, member:
		if s, ok := sample[path(e)]; ok {
			return s
		}
	}
	panic(fmt.Sprintf("no sample for %#v", e))
}

func path(e any) string {
	if m, ok := e.(member); ok {
		return path(m.of) + "." + m.name
	}
	return string(e.(name))
}

func roleFindings(b bicep) (list []string) {
	values := map[string]any{}
	for _, d := range slices.Concat(b.params, b.vars) {
		values[d.name] = d.value
	}
	var got []string
	for _, d := range b.resources {
		if t, _ := d.typeAndVersion(); t != "Microsoft.Authorization/roleAssignments" {
			continue
		}
		body := map[string]object{"it": d.value.(object)}
		if p := at(body, "it.properties.principalId"); p == nil || path(p) != "identity.properties.principalId" {
			list = append(list, d.name+" is for somebody else than the identity")
		}
		if at(body, "it.properties.principalType") != "ServicePrincipal" {
			list = append(list, d.name+" may be refused: a new identity is not in the directory at once")
		}
		role := at(body, "it.properties.roleDefinitionId").(call).args[1]
		if m, ok := role.(member); ok {
			role = values[path(m.of)].(object).get(m.name)
		} else {
			role = values[path(role)]
		}
		got = append(got, fmt.Sprint(at(body, "it.scope"), " ", role))
	}
	for _, role := range wantRoles {
		if !slices.Contains(got, role) {
			list = append(list, "role missing: "+role)
		}
	}
	for _, role := range got {
		if !slices.Contains(wantRoles, role) {
			list = append(list, "role not wanted: "+role)
		}
	}
	return list
}

func TestTheDeploymentSetsWhatTheServiceReadsAndNoSecret(t *testing.T) {
	assert.Empty(t, findings(read(t, "main.bicep")))
}

func TestPlantedMistakesAreFound(t *testing.T) {
	src := read(t, "main.bicep")
	for name, row := range map[string]struct{ old, new, want string }{
		"a misspelt setting":             {"ENTRA_TENANT_ID:", "ENTRA_TENANTID:", "ENTRA_TENANTID is read by nobody"},
		"a required setting left out":    {"        ENTRA_CLIENT_ID: apiClientId\n", "", "ENTRA_CLIENT_ID is missing"},
		"no ACS resource":                {"        ACS_ENDPOINT: empty", "        // ", "ACS_CONNECTION_STRING is missing"},
		"a wrong value":                  {"ENTRA_CLIENT_ID: apiClientId", "ENTRA_CLIENT_ID: tableName", "ENTRA_CLIENT_ID is not a GUID"},
		"a setting that is for the past": {"        AZURE_CLIENT_ID:", "        FUNCTIONS_WORKER_RUNTIME: 'custom'\n        AZURE_CLIENT_ID:", "FUNCTIONS_WORKER_RUNTIME is read by nobody"},
		"a secret":                       {"        AZURE_CLIENT_ID:", "        ENTRA_CLIENT_SECRET: tenantIds\n        AZURE_CLIENT_ID:", "ENTRA_CLIENT_SECRET is a secret"},
		"a key in a plain setting":       {"TABLES_TABLE_NAME: tableName", "TABLES_TABLE_NAME: 'AccountKey=abc'", "TABLES_TABLE_NAME holds what looks like a secret"},
		"a key of the account":           {"output AZURE_FUNCTION_NAME string = app.name", "output KEY string = string(listKeys(storage.id, '2026-04-01'))", "listKeys brings a secret"},
		"shared keys":                    {"allowSharedKeyAccess: false", "allowSharedKeyAccess: true", "storage.properties.allowSharedKeyAccess is true"},
		"keys of the ACS resource":       {"disableLocalAuth: true\n  }\n}\n\nresource storage", "disableLocalAuth: false\n  }\n}\n\nresource storage", "acs.properties.disableLocalAuth is false"},
		"no lock on the mappings":        {"scope: storage\n  properties: {\n    level", "scope: plan\n  properties: {\n    level", "lock.scope is plan"},
		"a role too wide":                {"scope: table", "scope: storage", "role not wanted: storage 0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3"},
		"another role":                   {"0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3", "8e3af657-a8ff-443c-a75c-2fe8c4bcb635", "role missing: table 0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3"},
		"a version that Azure refuses":   {"version: '1.0'", "version: '1'", "app.properties.functionAppConfig.runtime.version is 1"},
		"a host without storage":         {"        AzureWebJobsStorage__blobServiceUri: storage.properties.primaryEndpoints.blob\n", "", "AzureWebJobsStorage__blobServiceUri is missing"},
		"a package read with a key":      {"type: 'UserAssignedIdentity'\n            user", "type: 'StorageAccountConnectionString'\n            user", "storage.authentication.type is StorageAccountConnectionString"},
		"another container":              {"name: packageContainer", "name: 'other'", "packages.name is other"},
		"a role that may not be there":   {"resource tableRole 'Microsoft.Authorization/roleAssignments@2022-04-01' =", "resource tableRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (deleteLock)", "tableRole is not always there"},
		"a role when it is not wanted":   {"roleAssignments@2022-04-01' = if (empty(acsEndpoint))", "roleAssignments@2022-04-01' = if (!empty(acsEndpoint))", "acsRole is not always there"},
		"a role for a person":            {"principalType: 'ServicePrincipal'", "principalType: 'User'", "tableRole may be refused"},
		"no lock by default":             {"deleteLock bool = true", "deleteLock bool = false", "deleteLock is false by default"},
		"one zone by default":            {"= 'Standard_ZRS'", "= 'Standard_LRS'", "storageSku is Standard_LRS by default"},
		"an alert that is off":           {"    enabled: true\n    autoMitigate", "    enabled: false\n    autoMitigate", "failuresAlert.properties.enabled is false"},
		"any origin":                     {"empty(corsOrigins) ? [] : split(corsOrigins, ',')", "['*']", "allowedOrigins"},
		"a brace left out":               {"    reserved: true\n  }\n", "    reserved: true\n", "line "},
	} {
		require.Contains(t, src, row.old, name)
		found := findings(strings.ReplaceAll(src, row.old, row.new))
		assert.Contains(t, strings.Join(found, "\n"), row.want, name)
	}
}
