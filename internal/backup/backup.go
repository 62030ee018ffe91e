// Package backup writes what a store keeps as lines of JSON, and puts such lines
// into another store: for a backup, and for a move.
//
// Start with Export and Import. Each line is a mapping or the note of an erasure
// not yet done, and names the ACS resource in which its identity lives:
//
//	{"type":"mapping","resource":"…","tenantId":"…","objectId":"…","acsUserId":"8:acs:…","createdAt":"…"}
//	{"type":"erasure","resource":"…","tenantId":"…","objectId":"…","acsUserId":"8:acs:…","reason":"erase","recordedAt":"…"}
//
// A mapping that is being erased has "erasing":true. Both ways a few hundred
// lines at most are in memory. An import changes nothing that is there, and may
// be repeated. That no erasure is forgotten does not depend on how far an import
// gets: a mapping that is being erased brings its note along.
//
// What a running service does meanwhile may be in an export or not. For a move,
// stop it first.
package backup

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"acsauth/internal/identity"
)

// Store is what mappings and notes are read from and put into.
type Store interface {
	identity.Store
	identity.Erasures
}

const (
	typeMapping = "mapping"
	typeErasure = "erasure"
)

// line is one line. The order of its fields is that of the file.
type line struct {
	Type       string          `json:"type"`
	Resource   string          `json:"resource"`
	TenantID   string          `json:"tenantId"`
	ObjectID   string          `json:"objectId"`
	AcsUserID  string          `json:"acsUserId"`
	CreatedAt  time.Time       `json:"createdAt,omitzero"`
	Erasing    bool            `json:"erasing,omitempty"`
	Reason     identity.Reason `json:"reason,omitempty"`
	RecordedAt time.Time       `json:"recordedAt,omitzero"`
}

func mappingLine(resource string, m identity.Mapping) line {
	return line{Type: typeMapping, Resource: resource, TenantID: m.User.TenantID, ObjectID: m.User.ObjectID,
		AcsUserID: m.AcsUserID, CreatedAt: m.CreatedAt, Erasing: m.Erasing}
}

func erasureLine(resource string, e identity.Erasure) line {
	return line{Type: typeErasure, Resource: resource, TenantID: e.User.TenantID, ObjectID: e.User.ObjectID,
		AcsUserID: e.AcsUserID, Reason: e.Reason, RecordedAt: e.RecordedAt}
}

func (l line) user() identity.User {
	return identity.User{TenantID: l.TenantID, ObjectID: l.ObjectID}
}

func (l line) mapping() identity.Mapping {
	return identity.Mapping{User: l.user(), AcsUserID: l.AcsUserID, CreatedAt: l.CreatedAt, Erasing: l.Erasing}
}

func (l line) erasure() identity.Erasure {
	return identity.Erasure{AcsUserID: l.AcsUserID, User: l.user(), Reason: l.Reason, RecordedAt: l.RecordedAt}
}

// encode returns l as it stands in a file, with the line feed.
func (l line) encode() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(l); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// parse reads a line as encode writes it, and no other: whatever is different in
// it may mean something.
func parse(raw []byte) (line, error) {
	raw = bytes.TrimRight(raw, "\r\n")
	var l line
	if err := json.Unmarshal(raw, &l); err != nil {
		return line{}, errors.New("is not a JSON object of the kind that an export writes")
	}
	again, err := l.encode()
	if err != nil || !bytes.Equal(bytes.TrimSuffix(again, []byte("\n")), raw) {
		return line{}, errors.New("is not as an export writes it")
	}
	return l, l.check()
}

func (l line) check() error {
	if err := l.user().Check(); err != nil {
		return fmt.Errorf("names nobody: %w", err)
	}
	isErasure := l.Reason != "" || !l.RecordedAt.IsZero()
	isMapping := !l.CreatedAt.IsZero() || l.Erasing
	switch {
	case !identity.IsACSUserID(l.AcsUserID):
		return errors.New("has no ACS user id that could be one")
	case l.Type == typeMapping && !l.CreatedAt.IsZero() && !isErasure:
		return whole(l.CreatedAt)
	case l.Type == typeErasure && !l.RecordedAt.IsZero() && !isMapping:
		if err := l.erasure().Check(); err != nil {
			return fmt.Errorf("is no erasure: %w", err)
		}
		return whole(l.RecordedAt)
	}
	return errors.New("is neither a mapping nor an erasure, or lacks what belongs to it")
}

// whole refuses a time that a store would not give back as it is.
func whole(t time.Time) error {
	if _, offset := t.Zone(); offset != 0 || t.Nanosecond() != 0 {
		return errors.New("has a time that is not in UTC and to the second")
	}
	return nil
}
