// Package tables keeps identity mappings, notes of erasures not yet done, and
// claims of identities in Azure Table Storage or in Azure Cosmos DB for Table: the
// same protocol, the same rows.
//
// Start with Open. The rows of one table, which is made when it is first needed:
//
//	PartitionKey         RowKey                     properties
//	<tenant>:<object>    <ACS resource's host>      AcsUserId, CreatedAt, Erasing, Schema
//	erasures             <host>|<reason>|<user id>  User, RecordedAt, Schema
//	claims               <host>|<ClaimKey>          User, AcsUserId, Schema; or Retired, Schema
//
// One partition a user, so that the service's bound of 2,000 operations a second
// and partition concerns nobody; tenant first, so that a tenant is one range.
// Claims, which mappings in Microsoft Graph alone need, are asked for less often
// than ACS grants tokens. No row has a name or an e-mail address in it.
//
// What makes "one user, one identity" hold is the service's own insert, which
// refuses a second row with the same keys, and If-Match on every change.
// Transactions are not used: they hide which of their parts failed. Caching,
// and what to do after a conflict, are identity.Service's; reading settings and
// making credentials are the caller's.
package tables

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"

	"acsauth/internal/identity"
	"acsauth/internal/upstream"
)

// tryTimeout bounds one try of a request. A read takes milliseconds; whoever
// waits longer waits for a connection that is dead.
const tryTimeout = 4 * time.Second

// schema is the number in each row's property Schema. Rows with a greater one
// are refused: they come from a later version that knows what it changed.
const schema = 1

var (
	tableName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]+$`)
	hostName  = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?$`)
)

// maxResource leaves 127 bytes of a note's key to the ACS user id.
const maxResource = 120

// Options say where the table is. Either Connection is set, or Endpoint and
// Credential.
type Options struct {
	Connection Connection
	Endpoint   string                 // https://contoso.table.core.windows.net
	Credential azcore.TokenCredential // needs the role Storage Table Data Contributor

	Table    string // a letter, then 2 to 62 letters and digits
	Resource string // host name of the ACS resource, in any case: an identity is valid in one resource
	// Transport makes the requests; required. It must not follow redirects,
	// which would carry a signature along.
	Transport policy.Transporter
}

// Store implements identity.Store, identity.Erasures and identity.Claims. Its
// methods may be called from many goroutines, and many Stores may use one table.
// Each call makes up to four tries of 4 s and obeys its context's deadline; those
// that a lost answer makes the client repeat end as the interfaces say.
type Store struct {
	table    *aztables.Client
	host     string // for errors
	resource string
	ordered  bool // lists come in the order of the keys
}

var (
	_ identity.Lister   = (*Store)(nil)
	_ identity.Erasures = (*Store)(nil)
	_ identity.Claims   = (*Store)(nil)
)

// Open returns a Store. It makes no call: Ping tells whether the service
// answers. An error holds no secret.
func Open(o Options) (*Store, error) {
	if err := CheckName(o.Table); err != nil {
		return nil, fmt.Errorf("table name %w", err)
	}
	if o.Transport == nil {
		return nil, errors.New("table client needs a transport")
	}
	resource := strings.ToLower(o.Resource)
	if len(resource) > maxResource || !hostName.MatchString(resource) {
		return nil, fmt.Errorf("ACS resource is not a host name of at most %d characters", maxResource)
	}
	service, endpoint, err := newService(o)
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(endpoint)
	if err != nil {
		return nil, errors.New("table endpoint is not a URL")
	}
	return &Store{service.NewClient(o.Table), u.Host, resource, !isCosmos(u.Hostname())}, nil
}

// isCosmos reports whether the host, in lower case, is one of Azure Cosmos DB.
func isCosmos(host string) bool {
	return strings.Contains(host, ".table.cosmos.") || strings.Contains(host, ".table.cosmosdb.")
}

// CheckName checks the name of a table. Its error continues the name of a setting.
func CheckName(name string) error {
	if len(name) < 3 || len(name) > 63 || !tableName.MatchString(name) {
		return errors.New("is not a letter followed by 2 to 62 letters and digits")
	}
	return nil
}

func newService(o Options) (service *aztables.ServiceClient, endpoint string, err error) {
	byToken := o.Endpoint != "" || o.Credential != nil
	if byToken == (o.Connection.Endpoint != "") {
		return nil, "", errors.New("either a connection or an endpoint with a credential is needed")
	}
	if !byToken {
		o.Endpoint = o.Connection.Endpoint
	}
	if endpoint, err = ParseEndpoint(o.Endpoint); err != nil {
		return nil, "", fmt.Errorf("table endpoint %w", err)
	}
	options := clientOptions(o, endpoint)
	switch c := o.Connection; {
	case byToken && o.Credential == nil:
		return nil, "", errors.New("table endpoint needs a credential")
	case byToken && !strings.HasPrefix(endpoint, "https:"):
		return nil, "", errors.New("table endpoint must be https: tokens are sent to it")
	case byToken:
		service, err = aztables.NewServiceClient(endpoint, credential{o.Credential}, options)
	case !c.AccountKey.Empty():
		key, keyErr := aztables.NewSharedKeyCredential(c.AccountName, c.AccountKey.Reveal())
		if keyErr != nil {
			return nil, "", errors.New("account key is not base64")
		}
		service, err = aztables.NewServiceClientWithSharedKey(endpoint, key, options)
	case !c.SAS.Empty():
		query, queryErr := url.ParseQuery(c.SAS.Reveal())
		if queryErr != nil {
			return nil, "", errors.New("shared access signature is not a query")
		}
		service, err = aztables.NewServiceClientWithNoCredential(endpoint+"/?"+query.Encode(), options)
	default:
		return nil, "", errors.New("connection has neither a key nor a shared access signature")
	}
	if err != nil {
		return nil, "", errors.New("table client could not be made") // its error may quote the endpoint
	}
	return service, endpoint, nil
}

func clientOptions(o Options, endpoint string) *aztables.ClientOptions {
	return &aztables.ClientOptions{ClientOptions: policy.ClientOptions{
		Cloud: cloudOf(endpoint),
		// The client's own back-off adds up to 8 s for a service that is down.
		Retry: policy.RetryOptions{
			MaxRetries:    3,
			RetryDelay:    50 * time.Millisecond,
			MaxRetryDelay: 500 * time.Millisecond,
			TryTimeout:    tryTimeout,
		},
		Telemetry: policy.TelemetryOptions{ApplicationID: "acsauth"},
		Transport: marking{upstream.Guard{Next: o.Transport}},
	}}
}

// cloudOf picks the audience of tokens for Cosmos DB. Storage has one for all
// clouds.
func cloudOf(endpoint string) cloud.Configuration {
	u, err := url.Parse(endpoint)
	switch {
	case err == nil && strings.HasSuffix(u.Hostname(), ".azure.us"):
		return cloud.AzureGovernment
	case err == nil && strings.HasSuffix(u.Hostname(), ".azure.cn"):
		return cloud.AzureChina
	}
	return cloud.AzurePublic
}
