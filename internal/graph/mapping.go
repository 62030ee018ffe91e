package graph

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"acsauth/internal/identity"
)

// extension is a mapping as Graph keeps it.
type extension struct {
	Type      string `json:"@odata.type,omitempty"`
	Name      string `json:"extensionName,omitempty"`
	AcsUserID string `json:"acsUserIdentity"`
	Resource  string `json:"acsResource,omitempty"` // empty in those of the hero samples, as the rest
	CreatedAt string `json:"createdAt,omitempty"`   // RFC 3339
	Seal      string `json:"seal,omitempty"`
}

const maxUserID = 127 // what any place of notes takes

func (e extension) check() error {
	switch {
	case len(e.AcsUserID) > maxUserID || !identity.IsACSUserID(e.AcsUserID):
		return errors.New("acsUserIdentity is not an ACS user id")
	case strings.ContainsRune(e.Resource, 0):
		return errors.New("acsResource is not a host name")
	}
	return nil
}

// Get implements identity.Store. A mapping that belongs to another ACS resource, or
// is not known to be the user's, is an *identity.Error with CodeAccessBlocked: to put
// another in its place could lose an identity that somebody else uses. One whose
// identity is retired is Erasing.
func (s *Store) Get(ctx context.Context, user identity.User) (identity.Mapping, error) {
	e, caller, err := s.get(ctx, user)
	if err != nil {
		return identity.Mapping{}, err
	}
	m, err := e.mapping(user)
	if err != nil {
		return identity.Mapping{}, notTheirs(err)
	}
	if e.Resource != "" && e.Resource != s.resource {
		return identity.Mapping{}, identity.Errorf(identity.CodeAccessBlocked,
			"Your identity belongs to another communication resource than this service's.").Because(
			fmt.Errorf("extension %s in the user's profile is for the ACS resource %.80q: set GRAPH_EXTENSION_NAME to another name", s.extension, e.Resource))
	}
	sealed := s.seals.good(user, e)
	if !sealed && s.seals.wanted() && (e.Seal != "" || !s.acceptUnsealed) {
		return identity.Mapping{}, notTheirs(fmt.Errorf("extension %s in the user's profile has no seal of GRAPH_MAPPING_KEYS", s.extension))
	}
	// A seal can be put back after its identity was erased, or given to its owner.
	claim := s.claims.Claim
	if !sealed && !identity.IsOrdinaryACSUserID(e.AcsUserID) {
		claim = s.claims.Check // nobody has one that this service did not give them
	}
	switch err := claim(ctx, m.AcsUserID, user); {
	case errors.Is(err, identity.ErrRetired):
		m.Erasing = true
		return m, nil
	case errors.Is(err, identity.ErrClaimed), errors.Is(err, identity.ErrUnclaimed):
		return identity.Mapping{}, notTheirs(fmt.Errorf("extension %s in the user's profile: %w", s.extension, err))
	case err != nil:
		return identity.Mapping{}, err
	}
	if !sealed && s.seals.wanted() {
		s.reseal(ctx, caller, e)
	}
	return m, nil
}

// notTheirs is for what users have, or may have, put into their own profiles.
func notTheirs(cause error) error {
	return identity.Errorf(identity.CodeAccessBlocked, "The identity in your profile is not recorded as yours.").Because(cause)
}

func (s *Store) get(ctx context.Context, user identity.User) (e extension, caller identity.Caller, err error) {
	if caller, err = s.caller(ctx, user); err != nil {
		return extension{}, identity.Caller{}, err
	}
	err = s.call(ctx, caller, request{method: http.MethodGet, path: s.path()}, &e)
	return e, caller, err
}

// caller is whom a call is made for. Without one nobody was asked for a token.
func (s *Store) caller(ctx context.Context, user identity.User) (identity.Caller, error) {
	if err := user.Check(); err != nil {
		return identity.Caller{}, fmt.Errorf("graph: %w", err)
	}
	return identity.CallerFor(ctx, user)
}

// path is the extension's, in the profile of whoever's token goes with it.
func (s *Store) path() string { return "/v1.0/me/extensions/" + url.PathEscape(s.extension) }

// mapping has the ACS user id as its version: one that is gone never comes back.
func (e extension) mapping(user identity.User) (identity.Mapping, error) {
	if err := e.check(); err != nil {
		return identity.Mapping{}, fmt.Errorf("graph: mapping in the user's profile: %w", err)
	}
	m := identity.Mapping{User: user, AcsUserID: e.AcsUserID, Version: e.AcsUserID}
	if at, err := time.Parse(time.RFC3339, e.CreatedAt); err == nil {
		m.CreatedAt = at.UTC().Truncate(time.Second)
	}
	return m, nil
}

func (s *Store) write(user identity.User, m identity.Mapping) extension {
	e := extension{Type: "microsoft.graph.openTypeExtension", Name: s.extension, AcsUserID: m.AcsUserID, Resource: s.resource}
	if !m.CreatedAt.IsZero() {
		e.CreatedAt = m.CreatedAt.UTC().Format(time.RFC3339)
	}
	if s.seals.wanted() {
		e.Seal = s.seals.seal(user, e)
	}
	return e
}

// reseal does what it can: the next call tries again.
func (s *Store) reseal(ctx context.Context, caller identity.Caller, e extension) {
	m, err := e.mapping(caller.User)
	if err == nil {
		_ = s.call(ctx, caller, request{method: http.MethodPatch, path: s.path(), body: s.write(caller.User, m)}, nil)
	}
}

// Create implements identity.Store. Graph refuses a name that is there. It does
// not say that it looks and writes in one step, so the outcome is read back: of
// two that were told that they had won, the one whose identity is not there has
// lost.
func (s *Store) Create(ctx context.Context, m identity.Mapping) (identity.Mapping, error) {
	caller, err := s.caller(ctx, m.User)
	if err != nil {
		return identity.Mapping{}, err
	}
	if m.Erasing || m.CreatedAt.IsZero() {
		return identity.Mapping{}, errors.New("graph: want a mapping with the time of its creation and no mark of erasure")
	}
	e := s.write(m.User, m)
	created, err := e.mapping(m.User)
	if err != nil {
		return identity.Mapping{}, err
	}
	// Before anybody can see it.
	if err := s.claims.Claim(ctx, m.AcsUserID, m.User); errors.Is(err, identity.ErrClaimed) || errors.Is(err, identity.ErrRetired) {
		return identity.Mapping{}, identity.Errorf(identity.CodeUpstreamRejected, "The communication service named an identity that is not new.").Because(err)
	} else if err != nil {
		return identity.Mapping{}, err
	}
	err = s.insert(ctx, caller, e)
	if errors.Is(err, errRefusedCreate) { // by one that has gone meanwhile, perhaps
		err = s.insert(ctx, caller, e)
	}
	if err != nil {
		return identity.Mapping{}, err
	}
	// What can't be read back was made all the same.
	if there, _, err := s.get(ctx, m.User); err == nil && there.AcsUserID != m.AcsUserID {
		return identity.Mapping{}, identity.ErrExists
	}
	return created, nil
}

// insert returns ErrExists, or an error that Is errRefusedCreate where Graph does not
// take the extension and there is none.
func (s *Store) insert(ctx context.Context, caller identity.Caller, e extension) error {
	post := request{method: http.MethodPost, path: "/v1.0/me/extensions", body: e, creates: true}
	err := s.call(ctx, caller, post, nil)
	if errors.Is(err, errRefusedCreate) {
		return s.whyNot(ctx, caller, err)
	}
	return err
}

// whyNot tells an extension that is there already from one that Graph does not
// take: its error codes do not.
func (s *Store) whyNot(ctx context.Context, caller identity.Caller, refused error) error {
	_, _, err := s.get(ctx, caller.User)
	switch {
	case err == nil:
		return identity.ErrExists
	case errors.Is(err, identity.ErrNotFound):
		return identity.Errorf(identity.CodeUpstreamRejected, "Microsoft Graph does not take your identity's mapping.").Because(
			fmt.Errorf("%w: has the application two open extensions in the user's profile already?", refused))
	}
	return err
}

// MarkErasing implements identity.Store by deleting the mapping. Graph can't be
// asked without the user, who may never come back to have the rest done. What is
// gone has no version.
func (s *Store) MarkErasing(ctx context.Context, m identity.Mapping) (identity.Mapping, error) {
	if err := s.Delete(ctx, m); err != nil {
		return identity.Mapping{}, err
	}
	m.Erasing, m.Version = true, ""
	return m, nil
}

// Delete implements identity.Store.
func (s *Store) Delete(ctx context.Context, m identity.Mapping) error {
	if m.Version == "" {
		return identity.ErrNotFound
	}
	there, caller, err := s.get(ctx, m.User)
	if err != nil {
		return err
	}
	switch {
	case there.AcsUserID == m.Version:
	case m.Erasing: // by another call, and one that is retired does not come back
		return identity.ErrNotFound
	default:
		return identity.ErrVersion
	}
	return s.call(ctx, caller, request{method: http.MethodDelete, path: s.path()}, nil)
}
