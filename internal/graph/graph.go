// Package graph keeps identity mappings in Microsoft Graph, each as an open
// extension of its user's own profile, where the hero samples keep theirs too:
// https://learn.microsoft.com/graph/api/resources/opentypeextension
//
// Start with Open. A mapping is the extension of a settable name with the
// property acsUserIdentity, which is all that a hero sample writes and reads.
// The other properties are this package's: acsResource, createdAt, and seal.
//
// Graph is asked on behalf of the user alone, with the delegated permission
// User.ReadWrite, so that every method but Ping wants the user's call in its
// context (identity.WithCaller) and returns identity.ErrNeedsCaller without it.
// MarkErasing deletes the mapping: the note of the erasure, which is kept
// elsewhere, is what Sweep then goes by. Whoever keeps it retires the identity in
// Options.Claims first, for users can write the mapping again.
//
// What Graph does not give, and what follows from it:
//   - There are no versions. A mapping is read and compared before it is deleted,
//     and read back after it was made; what happens between the two requests goes
//     unnoticed.
//   - Reads may lag behind writes for some seconds. Of two identities that are
//     made for one user at the same time in two processes, both may be used until
//     a cache forgets one.
//   - A user may write to their own profile, with any application that has
//     User.ReadWrite, and so put another's identity there. A mapping counts if its
//     identity is the user's in Options.Claims, where first come is first served:
//     one that this service makes is entered before it is written, and one that a
//     hero sample made is whose call comes first. With Options.Keys, a mapping must
//     have a seal too.
//   - An application can have two open extensions in a profile, and guests may
//     have no right to change theirs: then this store is not for them.
package graph

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"

	"acsauth/internal/identity"
	"acsauth/internal/secret"
	"acsauth/internal/upstream"
)

// DefaultExtension is the name that the hero samples use.
const DefaultExtension = "com.contoso.identityMapping"

// DefaultEndpoint is Microsoft Graph in the global cloud.
const DefaultEndpoint = "https://graph.microsoft.com"

// tryTimeout bounds one try of a request.
const tryTimeout = 4 * time.Second

// Tokens gets access tokens on behalf of a caller. Its errors come from ctx or
// are an *identity.Error.
type Tokens interface {
	Token(ctx context.Context, caller identity.Caller, scopes []string) (secret.String, error)
}

// Options say where mappings are kept, and as what.
type Options struct {
	Endpoint  string // scheme and host; it is the name of the Entra resource too
	Extension string // its name; DefaultExtension where empty
	Resource  string // host name of the ACS resource, in any case: an identity is valid in one resource
	Tokens    Tokens
	// Claims says whose an identity is, and which are retired.
	Claims identity.Claims
	// Keys seal mappings: the first one those that are written, any of them those
	// that are read. Without one, mappings have no seal, and Claims alone counts.
	Keys []secret.String
	// AcceptUnsealed takes a mapping that has no seal as if there were no Keys, and
	// seals it, as is needed once for those that the hero samples wrote.
	AcceptUnsealed bool
	// Transport makes the requests; required. It must not follow redirects.
	Transport policy.Transporter
}

// Store implements identity.Store. Its methods may be called from many
// goroutines. Each request makes up to four tries of 4 s and obeys its context's
// deadline.
type Store struct {
	endpoint       string
	extension      string
	resource       string
	tokens         Tokens
	claims         identity.Claims
	scopes         []string
	seals          seals
	acceptUnsealed bool
	pipeline       runtime.Pipeline
}

var _ identity.Store = (*Store)(nil)

// Open returns a Store. It makes no call.
func Open(o Options) (*Store, error) {
	if o.Extension == "" {
		o.Extension = DefaultExtension
	}
	if err := CheckName(o.Extension); err != nil {
		return nil, fmt.Errorf("graph: extension name %w", err)
	}
	if u, err := url.Parse(o.Endpoint); err != nil || u.Scheme != "https" || u.Host == "" || u.Path != "" {
		return nil, errors.New("graph: endpoint is not of the form https://<host>")
	}
	if o.Resource == "" || o.Tokens == nil || o.Claims == nil || o.Transport == nil {
		return nil, errors.New("graph: want a resource, tokens, claims and a transport")
	}
	return &Store{
		endpoint:       o.Endpoint,
		extension:      o.Extension,
		resource:       strings.ToLower(o.Resource),
		tokens:         o.Tokens,
		claims:         o.Claims,
		scopes:         []string{o.Endpoint + "/User.ReadWrite"},
		seals:          seals{keys: o.Keys},
		acceptUnsealed: o.AcceptUnsealed,
		pipeline: runtime.NewPipeline("graph", "v1.0.0", runtime.PipelineOptions{}, &policy.ClientOptions{
			Retry: policy.RetryOptions{
				MaxRetries:    3,
				RetryDelay:    50 * time.Millisecond,
				MaxRetryDelay: 2 * time.Second, // a longer Retry-After is handed on
				TryTimeout:    tryTimeout,
			},
			Telemetry: policy.TelemetryOptions{ApplicationID: "acsauth"},
			Transport: upstream.Guard{Next: o.Transport},
		}),
	}, nil
}

var (
	extensionName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z0-9_]+)+$`)
	microsoftName = regexp.MustCompile(`(?i)^com\.(on)?microsoft\.`)
)

const maxName = 100

// CheckName checks the name of an open extension. Its error continues the name
// of a setting.
func CheckName(name string) error {
	if len(name) > maxName || !extensionName.MatchString(name) {
		return errors.New("is not a domain name in reverse order such as " + DefaultExtension)
	}
	if microsoftName.MatchString(name) {
		return errors.New("is below a domain of Microsoft's, which Graph does not allow")
	}
	return nil
}
