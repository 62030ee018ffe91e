// Package identity is the domain: which ACS identity belongs to which user, and
// the tokens issued for it.
//
// Start with Service. It keeps one identity for one user however many calls
// race, in one process or in many, and erases an identity so that a crash at
// any point leaves nothing behind that is not recorded. It leaves three things
// to others, behind interfaces: where mappings are kept (Store), where work
// that outlives a call is noted (Erasures), and who makes identities and tokens
// (Issuer). Who the caller is has been settled before a User gets here.
package identity

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"
	"unicode"

	"acsauth/internal/secret"
)

// User is a person as Entra ID knows them: the pair that never changes and is
// never handed to anyone else. Both are lower-case GUIDs.
type User struct {
	TenantID string // claim tid
	ObjectID string // claim oid
}

// NewUser takes GUIDs in any case. Anything that is not a GUID is an error: the
// pair becomes a storage key.
func NewUser(tenantID, objectID string) (User, error) {
	if !IsGUID(tenantID) {
		return User{}, fmt.Errorf("tenant id is not a GUID")
	}
	if !IsGUID(objectID) {
		return User{}, fmt.Errorf("object id is not a GUID")
	}
	return User{strings.ToLower(tenantID), strings.ToLower(objectID)}, nil
}

// Key is "<tenant id>:<object id>", 73 characters that every store takes.
func (u User) Key() string { return u.TenantID + ":" + u.ObjectID }

// Check reports whether u could have come from NewUser.
func (u User) Check() error {
	if v, err := NewUser(u.TenantID, u.ObjectID); err != nil {
		return err
	} else if v != u {
		return fmt.Errorf("user is not in lower case")
	}
	return nil
}

// ParseUser is the inverse of Key.
func ParseUser(key string) (User, error) {
	tenantID, objectID, _ := strings.Cut(key, ":")
	return NewUser(tenantID, objectID)
}

// IsACSUserID reports whether s could be a communication user id. It is generous:
// ACS may change the form, but what it answers becomes part of a path and of a
// storage key.
func IsACSUserID(s string) bool {
	user, ok := strings.CutPrefix(s, "8:")
	return ok && 0 < len(user) && len(user) <= 250 && !strings.ContainsFunc(user, func(r rune) bool {
		isAlphanumeric := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
		return !isAlphanumeric && !strings.ContainsRune(":._-", r)
	})
}

// IsOrdinaryACSUserID reports whether s has the very form in which ACS names the
// identities that it makes: "8:acs:<resource>_<user>", both GUIDs in lower case, with
// gcch-acs or dod-acs in clouds for governments. Users of Teams, whom ACS knows too,
// have ids of other forms: "8:orgid:<user>", "8:acs:<resource>_<tenant>_<user>".
func IsOrdinaryACSUserID(s string) bool {
	cloud, guids, _ := strings.Cut(strings.TrimPrefix(s, "8:"), ":")
	resource, user, _ := strings.Cut(guids, "_")
	return strings.HasPrefix(s, "8:") && slices.Contains([]string{"acs", "gcch-acs", "dod-acs"}, cloud) &&
		IsGUID(resource) && IsGUID(user) && guids == strings.ToLower(guids)
}

// Caller is the user of one call, with what their access token says of the
// client app they called with.
type Caller struct {
	User
	ClientID string   // application id of the client app: claim azp, or appid in v1.0 tokens
	Roles    []string // app roles: claim roles
	// AccessToken is the token itself, for the On-Behalf-Of flow alone: this
	// API calls another one with a token that it gets in exchange.
	AccessToken secret.String
}

// Mapping ties a user to their ACS identity in the ACS resource that the store
// was opened for.
type Mapping struct {
	User      User
	AcsUserID string    // communication user id, "8:acs:<resource>_<user>"
	CreatedAt time.Time // UTC, to the second
	Erasing   bool      // the identity is being erased: nothing may be issued for it
	Version   string    // the store's own: set on what it returns, required where it says so
}

// Store keeps mappings. Beside the errors named at each method, every method
// returns an *Error with CodeUpstreamUnavailable when the store can't be
// reached in time or throttles, and with CodeUpstreamRejected when it refuses
// this service. A store that can be asked on behalf of the user alone returns
// ErrNeedsCaller when the context carries no call of that user; all but Ping may.
type Store interface {
	// Get returns the user's mapping, or ErrNotFound.
	Get(ctx context.Context, user User) (Mapping, error)
	// Create inserts m, with its mark of erasure if it has one, unless the user
	// has a mapping already: then ErrExists.
	// It returns m with its Version. After ErrExists or an *Error the caller
	// must read to learn what the store holds: an insert that was repeated
	// after a lost answer also ends in ErrExists.
	Create(ctx context.Context, m Mapping) (Mapping, error)
	// MarkErasing sets Erasing on the mapping read as m, and returns it with
	// its new Version. ErrVersion when it has changed since, ErrNotFound when
	// it is gone. A store that may return ErrNeedsCaller deletes the mapping
	// instead, for nobody may ask later, and creates none that has the mark.
	MarkErasing(ctx context.Context, m Mapping) (Mapping, error)
	// Delete removes the mapping read as m. ErrVersion when it has changed
	// since, ErrNotFound when it is gone.
	Delete(ctx context.Context, m Mapping) error
	// Ping makes one harmless call and reports whether the store answers.
	Ping(ctx context.Context) error
}

// Lister is a Store that can tell all its mappings, for backup and for a move to
// another store. Nothing in the service's own work needs it.
type Lister interface {
	Store
	// Mappings yields the mappings of users whose Key is greater than after, in
	// ascending order of Key, and may be left early. Create, MarkErasing and
	// Delete may be called meanwhile. A mapping that can't be read is an error
	// among the others; an *Error ends the list. A store that keeps no order
	// yields them in any, and for an after that is not empty nothing but
	// ErrUnordered.
	Mappings(ctx context.Context, after string) iter.Seq2[Mapping, error]
}

// ClaimKey is what claims are kept under: the SHA-256, in hexadecimal, of an ACS
// user id in lower case and without the characters . : and -. Two spellings that
// ACS might take for one have one key, and a key tells nobody an id who does not
// know it.
func ClaimKey(acsUserID string) string {
	folded := strings.Map(func(r rune) rune {
		if strings.ContainsRune(".:-", r) {
			return -1
		}
		return unicode.ToLower(r)
	}, acsUserID)
	sum := sha256.Sum256([]byte(folded))
	return hex.EncodeToString(sum[:])
}

// Reason says why an ACS identity is to be deleted.
type Reason string

const (
	// ReasonErase: the user asked for it, mapping included.
	ReasonErase Reason = "erase"
	// ReasonOrphan: it was made for the user but another one was recorded.
	ReasonOrphan Reason = "orphan"
)

// Erasure is a durable note that an ACS identity has to be deleted.
type Erasure struct {
	AcsUserID  string
	User       User
	Reason     Reason
	RecordedAt time.Time // UTC, to the second
}

// Check reports whether e says what is to be done.
func (e Erasure) Check() error {
	switch {
	case e.AcsUserID == "":
		return fmt.Errorf("no ACS user id")
	case e.Reason != ReasonErase && e.Reason != ReasonOrphan:
		return fmt.Errorf("no reason that is known")
	}
	return e.User.Check()
}

// Erasures is the list of deletions not known to be done. ACS can't list its
// identities, so what is not in a mapping must be here until it is deleted.
// Its methods return an *Error as Store's do.
type Erasures interface {
	// Record notes e. There is one note for an ACS identity and a reason: to
	// record it again replaces that note.
	Record(ctx context.Context, e Erasure) error
	// List yields all notes, in no particular order, and may be left early.
	// Notes may be recorded and cleared meanwhile. A note that can't be read is
	// an error among the others; an *Error ends the list.
	List(ctx context.Context) iter.Seq2[Erasure, error]
	// Clear removes the note for e's ACS identity and reason; without one it
	// does nothing.
	Clear(ctx context.Context, e Erasure) error
}

// Claims is a register of whose each ACS identity is, for a store that users can
// write to themselves. Ids with the same ClaimKey are one. ACS gives no id twice, so
// no identity ever goes to another user. Its methods return an *Error as Store's do.
type Claims interface {
	// Claim enters the identity as the user's, unless it has been entered before:
	// then ErrClaimed if it is another's, and ErrRetired if it has been retired.
	Claim(ctx context.Context, acsUserID string, user User) error
	// Check does so without entering anything: ErrUnclaimed if the identity has not
	// been entered.
	Check(ctx context.Context, acsUserID string, user User) error
	// Retire makes the identity nobody's for ever, whether it was entered or not.
	// What is kept is its ClaimKey alone.
	Retire(ctx context.Context, acsUserID string) error
}

// Token is an ACS access token.
type Token struct {
	Value     secret.String
	ExpiresOn time.Time // UTC
}

// TokenRequest says what a token may do and for how long.
type TokenRequest struct {
	Scopes    []string      // at least one of Scopes
	ExpiresIn time.Duration // MinExpiresIn to MaxExpiresIn, whole minutes
}

// What ACS takes: https://learn.microsoft.com/rest/api/communication/identity
const (
	MinExpiresIn = 60 * time.Minute
	MaxExpiresIn = 1440 * time.Minute
)

// Scopes lists the token scopes that ACS knows.
func Scopes() []string {
	return []string{"chat", "voip", "chat.join", "chat.join.limited", "voip.join"}
}

// TeamsExchange asks for an ACS token in place of a Teams user's Entra token.
// ACS itself holds AppID and UserID against the token's claims.
type TeamsExchange struct {
	Token  secret.String // Entra access token of the Teams user
	AppID  string        // application that the token was issued to
	UserID string        // object id of the user
	Phone  bool          // for Teams Phone Extensibility, where the token is all that ACS asks for
}

// Issuer makes ACS identities and their tokens. Beside the errors named at each
// method, every method returns an *Error with CodeUpstreamUnavailable when ACS
// can't be reached in time or throttles, and with CodeUpstreamRejected when it
// refuses this service or answers what it should not.
type Issuer interface {
	// CreateIdentity makes a new identity. An error that Is ErrOutcomeUnknown
	// means that one may have been made all the same; it has RetryAfter where
	// another try should wait.
	CreateIdentity(ctx context.Context) (acsUserID string, err error)
	// IssueToken returns a new token, or ErrUnknownIdentity.
	IssueToken(ctx context.Context, acsUserID string, req TokenRequest) (Token, error)
	// RevokeTokens ends all tokens of the identity; ErrUnknownIdentity.
	RevokeTokens(ctx context.Context, acsUserID string) error
	// DeleteIdentity deletes the identity and all its data; ErrUnknownIdentity.
	DeleteIdentity(ctx context.Context, acsUserID string) error
	// ExchangeTeamsToken returns an ACS token that lives as long as the Entra
	// token. acsUserID is the identity that ACS has for the user where x is for
	// Teams Phone Extensibility, else empty. An *Error with a teams_token_ code
	// when ACS refuses the Entra token.
	ExchangeTeamsToken(ctx context.Context, x TeamsExchange) (token Token, acsUserID string, err error)
}
