package acsidentity

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"acsauth/internal/identity"
)

type identityBody struct {
	ID                string `json:"id"`
	CustomID          string `json:"customId,omitempty"`
	LastTokenIssuedAt string `json:"lastTokenIssuedAt,omitempty"`
}

type identityAndToken struct {
	Identity    identityBody `json:"identity"`
	AccessToken *accessToken `json:"accessToken,omitempty"`
}

// decode reads a JSON body into v. An empty body is as good as {}, and null as
// an absent field: both occur in official clients.
func decode(body []byte, v any) *apiError {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(body))
	if err := d.Decode(v); err != nil {
		return malformed(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return malformed(errors.New("there is more after the JSON value"))
	}
	return nil
}

func (s *Server) create(c call) (answer, *apiError) {
	var in struct {
		CreateTokenWithScopes []string `json:"createTokenWithScopes"`
		ExpiresInMinutes      *int     `json:"expiresInMinutes"`
		CustomID              *string  `json:"customId"`
	}
	if e := decode(c.body, &in); e != nil {
		return answer{}, e
	}
	if !c.has("2022-10-01") {
		in.ExpiresInMinutes = nil // an unknown field then
	}
	if e := checkExpiry(in.ExpiresInMinutes); e != nil {
		return answer{}, e
	}
	if e := checkScopes(c, "CreateTokenWithScopes", in.CreateTokenWithScopes); e != nil {
		return answer{}, e
	}
	out := identityAndToken{Identity: identityBody{ID: s.newIdentityID()}}
	if c.version == customIDVersion && in.CustomID != nil {
		// Assumed: the text about a customId that is too short or too long.
		if length := utf8.RuneCountInString(*in.CustomID); length < 1 || length > 256 {
			return answer{}, validation("CustomId", "CustomId: The field CustomId must be a string with a minimum length of 1 and a maximum length of 256.")
		}
		id, ok := s.state.addCustom(*in.CustomID, out.Identity.ID)
		if !ok {
			return answer{}, full()
		}
		out.Identity.ID = id
	} else if !s.state.add(out.Identity.ID) {
		return answer{}, full()
	}
	// Assumed: an empty list as createTokenWithScopes asks for no token.
	if len(in.CreateTokenWithScopes) > 0 {
		token, e := s.issueFor(out.Identity.ID, in.CreateTokenWithScopes, in.ExpiresInMinutes)
		if e != nil {
			return answer{}, e
		}
		out.AccessToken = &token
	}
	return answer{http.StatusCreated, out}, nil
}

// delete ends an identity and its tokens.
//
// Assumed: DELETE of an identity that does not exist is 204; the customId of a
// deleted one is free again.
func (s *Server) delete(c call) (answer, *apiError) {
	s.state.delete(c.ids[0])
	return answer{status: http.StatusNoContent}, nil
}

// get describes an identity.
func (s *Server) get(c call) (answer, *apiError) {
	r, ok := s.state.find(c.ids[0])
	if !ok {
		return answer{}, unknownIdentity()
	}
	body := identityBody{ID: c.ids[0], CustomID: r.CustomID}
	if !r.LastIssued.IsZero() {
		body.LastTokenIssuedAt = r.LastIssued.UTC().Format(expiresOnFormat)
	}
	return answer{http.StatusOK, body}, nil
}

func (s *Server) issue(c call) (answer, *apiError) {
	var in struct {
		Scopes           []string `json:"scopes"`
		ExpiresInMinutes *int     `json:"expiresInMinutes"`
	}
	if e := decode(c.body, &in); e != nil {
		return answer{}, e
	}
	// Assumed: to issue for an empty list of scopes, or with no body at all, is
	// refused as it is for null.
	if len(in.Scopes) == 0 {
		return answer{}, required("Scopes")
	}
	if !c.has("2022-10-01") {
		in.ExpiresInMinutes = nil
	}
	if e := checkExpiry(in.ExpiresInMinutes); e != nil {
		return answer{}, e
	}
	if e := checkScopes(c, "Scopes", in.Scopes); e != nil {
		return answer{}, e
	}
	token, e := s.issueFor(c.ids[0], in.Scopes, in.ExpiresInMinutes)
	if e != nil {
		return answer{}, e
	}
	return answer{http.StatusOK, token}, nil
}

func (s *Server) revoke(c call) (answer, *apiError) {
	if !s.state.revoke(c.ids[0]) {
		return answer{}, unknownIdentity()
	}
	return answer{status: http.StatusNoContent}, nil
}

// checkScopes refuses a scope that the call's version does not have.
//
// Assumed: a scope that is not known, or not yet in the version, is a
// ValidationError.
func checkScopes(c call, target string, scopes []string) *apiError {
	known := identity.Scopes()
	if !c.has("2023-10-01") {
		known = []string{"chat", "voip"}
	}
	for _, scope := range scopes {
		if !slices.Contains(known, scope) {
			return validation(target, target+": expected one of "+strings.Join(known, ", ")+".")
		}
	}
	return nil
}
