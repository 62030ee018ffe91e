package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"acsauth/internal/config"
	"acsauth/internal/localcloud/acsidentity"
)

// built is the program as a file, made once, in the folder that TestMain removes.
var built = sync.OnceValues(func() (string, error) {
	exe := filepath.Join(filepath.Dir(cloud.CACertFile), "handler")
	if runtime.GOOS == "windows" {
		exe += ".exe"
	}
	out, err := exec.Command("go", "build", "-o", exe, ".").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return exe, nil
})

// process runs the program to its end, as an operator does.
func process(t *testing.T, environ []string, stdin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	exe, err := built()
	require.NoError(t, err)
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(t.Context(), exe, args...)
	cmd.Env = append(environ, "SystemRoot="+os.Getenv("SystemRoot"))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	_ = cmd.Run()
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

type report struct {
	OK       bool
	ExitCode int
	Findings []item
}

// checked runs `handler check --json`, and holds what it prints against secrets.
func checked(t *testing.T, environ []string, secrets ...string) (report, int) {
	t.Helper()
	code, out, errs := process(t, environ, "", "check", "--json")
	assert.Empty(t, errs)
	for _, s := range append(secrets, cloud.Secrets()...) {
		assert.NotContains(t, out, s)
	}
	var r report
	require.NoError(t, json.Unmarshal([]byte(out), &r), out)
	assert.Equal(t, r.ExitCode, code)
	return r, code
}

// failures are the findings that are not good.
func (r report) failures() (list []string) {
	for _, i := range r.Findings {
		if i.Status == statusFail || i.Status == statusWarn {
			list = append(list, i.Part+" "+i.Name)
			if i.Cure == "" {
				list = append(list, "no cure for "+i.Name)
			}
		}
	}
	return list
}

func TestCheckIsContentWithWhatIsRight(t *testing.T) {
	before := cloud.ACS.Calls()[acsidentity.OpCreate]
	r, code := checked(t, settings(t, nil))
	assert.Equal(t, 0, code)
	assert.True(t, r.OK)
	assert.Empty(t, r.failures())
	assert.Equal(t, before, cloud.ACS.Calls()[acsidentity.OpCreate], "check makes no identity")
	names := map[string]bool{}
	for _, i := range r.Findings {
		names[i.Part+" "+i.Name] = true
	}
	for _, s := range config.Settings() {
		assert.Contains(t, names, "settings "+s.Name)
	}
	for _, name := range []string{"entra metadata", "entra signing keys", "entra credential for On-Behalf-Of", "acs access", "store reach", "store write", "store read", "store delete",
		"clock " + strings.TrimPrefix(cloud.EntraURL, "https://"), "clock " + strings.TrimPrefix(cloud.ACSURL, "https://")} {
		assert.Contains(t, names, name)
	}
}

// refusing is a table service that refuses one method, and knows no row.
func refusing(t *testing.T, method string) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status, code := http.StatusNotFound, "ResourceNotFound"
		if r.Method == method {
			status, code = http.StatusForbidden, "AuthorizationPermissionMismatch"
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("x-ms-error-code", code)
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, `{"odata.error":{"code":%q,"message":{"lang":"en-US","value":"no"}}}`, code)
	}))
	t.Cleanup(srv.Close)
	return "AccountName=acc;AccountKey=" + wrongKey + ";TableEndpoint=" + srv.URL + "/acc"
}

const wrongKey = "d3Jvbmctd3Jvbmctd3Jvbmc="

func TestCheckNamesWhatIsBrokenAndItsCure(t *testing.T) {
	t.Cleanup(func() { cloud.ACS.SetFault(nil); cloud.Entra.SetFault(nil) })
	identity := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
	}))
	defer identity.Close()
	wrongCA := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(wrongCA, nil, 0o600))
	dateFault := func(by time.Duration) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Date", time.Now().Add(by).UTC().Format(http.TimeFormat))
			return false
		}
	}
	unavailable := func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusInternalServerError)
		return true
	}
	type row struct {
		changes    map[string]string
		fault      func(http.ResponseWriter, *http.Request) bool // of ACS
		entraFault func(http.ResponseWriter, *http.Request) bool
		failures   []string
		cure       string
		code       int
	}
	acsHost := strings.TrimPrefix(cloud.ACSURL, "https://")
	for name, row := range map[string]row{
		"another tenant": {changes: map[string]string{"ENTRA_TENANT_ID": "11111111-1111-4111-8111-111111111111"},
			failures: []string{"entra metadata", "entra signing keys"}, cure: "directory id"},
		"Entra ID out of reach": {changes: map[string]string{"ENTRA_AUTHORITY_HOST": "https://localhost:1"},
			failures: []string{"entra metadata", "entra signing keys"}, cure: "Is localhost:1 the right host"},
		"Entra ID in trouble": {entraFault: unavailable, failures: []string{"entra metadata", "entra signing keys"}, cure: "trouble of its own"},
		"no managed identity for On-Behalf-Of": {changes: map[string]string{"ENTRA_CLIENT_SECRET": "", "ENTRA_CLIENT_CREDENTIAL": "managed-identity", "AZURE_CLIENT_ID": "22222222-2222-4222-8222-222222222222",
			"IDENTITY_ENDPOINT": identity.URL, "IDENTITY_HEADER": "x"},
			failures: []string{"entra credential for On-Behalf-Of"}, cure: "no token for the managed identity with client id 22222222-2222-4222-8222-222222222222: assign it"},
		"a wrong client secret": {changes: map[string]string{"ENTRA_CLIENT_SECRET": wrongKey},
			failures: []string{"entra credential for On-Behalf-Of"}, cure: "expired"},
		"a certificate authority that is not trusted": {changes: map[string]string{"SSL_CERT_FILE": wrongCA},
			failures: []string{"entra metadata", "entra signing keys", "acs access"}, cure: "SSL_CERT_FILE"},
		"a wrong access key": {changes: map[string]string{"ACS_CONNECTION_STRING": "endpoint=" + cloud.ACSURL + ";accesskey=" + wrongKey},
			failures: []string{"acs access"}, cure: "Copy ACS_CONNECTION_STRING again"},
		"ACS out of reach": {changes: map[string]string{"ACS_CONNECTION_STRING": "endpoint=https://localhost:1;accesskey=" + wrongKey},
			failures: []string{"acs access"}, cure: "Is localhost:1 the right host"},
		"a version that ACS does not know": {changes: map[string]string{"ACS_API_VERSION": "2019-01-01"}, failures: []string{"acs access"}, cure: "ACS_API_VERSION"},
		"ACS in trouble":                   {fault: unavailable, failures: []string{"acs access"}, cure: "trouble of its own"},
		"no managed identity": {changes: map[string]string{"ACS_CONNECTION_STRING": "", "ACS_ENDPOINT": cloud.ACSURL, "AZURE_CLIENT_ID": "22222222-2222-4222-8222-222222222222",
			"IDENTITY_ENDPOINT": identity.URL, "IDENTITY_HEADER": "x"},
			failures: []string{"acs access"}, cure: "no token for the managed identity with client id 22222222-2222-4222-8222-222222222222: assign it"},
		"a managed identity without a role": {changes: map[string]string{"ACS_CONNECTION_STRING": "", "ACS_ENDPOINT": cloud.ACSURL,
			"IDENTITY_ENDPOINT": identityOf(t, "not-a-token"), "IDENTITY_HEADER": "x"},
			failures: []string{"acs access"}, cure: "the role Communication and Email Service Owner"},
		"a table service out of reach": {changes: map[string]string{"IDENTITY_STORE": "tables", "TABLES_CONNECTION_STRING": "TableEndpoint=http://127.0.0.1:1/x;AccountName=acc;AccountKey=" + wrongKey},
			failures: []string{"store reach"}, cure: "Is 127.0.0.1:1 the right host"},
		"a table that can't be read": {changes: map[string]string{"IDENTITY_STORE": "tables", "TABLES_CONNECTION_STRING": refusing(t, http.MethodGet)},
			failures: []string{"store reach"}, cure: "Copy TABLES_CONNECTION_STRING"},
		"a table that can't be written": {changes: map[string]string{"IDENTITY_STORE": "tables", "TABLES_CONNECTION_STRING": refusing(t, http.MethodPost)},
			failures: []string{"store write"}, cure: "must allow read, add, update and delete"},
		"a file that can't be opened": {changes: map[string]string{"LOCAL_STORE_PATH": filepath.Join(wrongCA, "x.db")},
			failures: []string{"start store"}, cure: "LOCAL_STORE_PATH"},
		"a certificate that can't be read": {changes: map[string]string{"ENTRA_CLIENT_SECRET": "", "ENTRA_CLIENT_CERTIFICATE_PATH": filepath.Join(wrongCA, "x.pem")},
			failures: []string{"start On-Behalf-Of"}, cure: "ENTRA_CLIENT_CERTIFICATE_PATH must be a PEM file"},
		"a clock that is a minute off": {fault: dateFault(time.Minute), failures: []string{"clock " + acsHost}, cure: "Set this machine's clock", code: -1},
		"a clock that is wrong":        {fault: dateFault(-10 * time.Minute), failures: []string{"clock " + acsHost}, cure: "Set this machine's clock"},
		"a misspelt setting":           {changes: map[string]string{"ENTRA_TENANT": "x"}, failures: []string{"settings ENTRA_TENANT"}, cure: "spelling", code: -1},
		"a setting of the wrong form":  {changes: map[string]string{"RATE_LIMIT_PER_USER": "many"}, failures: []string{"settings RATE_LIMIT_PER_USER"}, cure: "It takes: calls a minute", code: exitUsage},
		"a setting left out":           {changes: map[string]string{"ENTRA_CLIENT_ID": ""}, failures: []string{"settings ENTRA_CLIENT_ID"}, cure: "application (client) id", code: exitUsage},
	} {
		cloud.ACS.SetFault(row.fault)
		cloud.Entra.SetFault(row.entraFault)
		r, code := checked(t, settings(t, row.changes), wrongKey)
		want := row.code
		switch want {
		case 0:
			want = exitFailure
		case -1: // a warning
			want = exitOK
		}
		assert.Equal(t, want, code, name)
		assert.Equal(t, row.failures, r.failures(), name)
		for _, i := range r.Findings {
			if i.Cure != "" {
				assert.Contains(t, i.Cure, row.cure, name)
			}
		}
	}
}

// identityOf is a managed identity's endpoint that hands out token.
func identityOf(t *testing.T, token string) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{"token_type": "Bearer", "resource": r.URL.Query().Get("resource"),
			"expires_on": fmt.Sprint(time.Now().Add(time.Hour).Unix()), "access_token": token})
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

func TestCheckJudgesAToken(t *testing.T) {
	good := tokenFor(t, newUser(t))
	code, out, _ := process(t, settings(t, nil), good+"\n", "check", "--token", "-")
	assert.Equal(t, 0, code, out)
	assert.Regexp(t, `(?m)^  ok    verdict +accepted$`, out)

	for name, row := range map[string]struct{ token, rule, cure string }{
		"expired":       {signClaims(newUser(t), map[string]any{"exp": time.Now().Add(-time.Hour).Unix(), "iat": time.Now().Add(-2 * time.Hour).Unix()}), "expiry", "Get a new token"},
		"another API's": {signClaims(newUser(t), map[string]any{"aud": "00000003-0000-0000-c000-000000000000"}), "audience", "api://<client id>/access_as_user"},
		"an ID token":   {signClaims(newUser(t), map[string]any{"scp": nil}), "kind", "not the ID token"},
		"an app's own":  {signClaims(newUser(t), map[string]any{"scp": nil, "idtyp": "app", "roles": []string{"access_as_user"}}), "kind", "Sign a user in"},
		"no token":      {"", "input", "az account get-access-token"},
		"garbage":       {"Bearer " + good, "form", "without quotes"},
	} {
		code, out, errs := process(t, settings(t, nil), row.token, "check", "--token", "-")
		assert.Equal(t, 1, code, name)
		assert.Regexp(t, `(?m)^  fail  `+row.rule+` .+\n +→ .*`+row.cure, out, name)
		if len(row.token) > 100 {
			assert.NotContains(t, out+errs, row.token, name)
			assert.NotContains(t, out+errs, row.token[strings.LastIndex(row.token, ".")+1:], "%s: the signature", name)
		}
	}
}

func TestCheckTakesNoTokenOnTheCommandLine(t *testing.T) {
	for _, args := range [][]string{{"--token", "eyJ"}, {"--nothing"}, {"now"}} {
		code, out, errs := process(t, settings(t, nil), "", append([]string{"check"}, args...)...)
		assert.Equal(t, 2, code, args)
		assert.Empty(t, out)
		assert.NotEmpty(t, errs)
		assert.NotContains(t, errs, "eyJ")
	}
}

func TestHealthAsksTheServiceOnThisMachine(t *testing.T) {
	h := start(t, nil)
	port := h.URL[strings.LastIndex(h.URL, ":")+1:]
	code, _, errs := process(t, settings(t, map[string]string{"PORT": port}), "", "health")
	assert.Equal(t, 0, code, errs)
	require.Equal(t, 0, h.stop())
	code, _, errs = process(t, settings(t, map[string]string{"PORT": port}), "", "health")
	assert.Equal(t, 1, code)
	assert.Contains(t, errs, "refused")
}
