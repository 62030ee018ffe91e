package acsidentity

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"

	"acsauth/internal/identity"
)

type identityBody struct {
	ID string `json:"id"`
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
	out := identityAndToken{Identity: identityBody{s.newIdentityID()}}
	s.state.add(out.Identity.ID)
	// Assumed: an empty list asks for no token.
	if len(in.CreateTokenWithScopes) > 0 {
		token, e := s.issueFor(out.Identity.ID, in.CreateTokenWithScopes, in.ExpiresInMinutes)
		if e != nil {
			return answer{}, e
		}
		out.AccessToken = &token
	}
	return answer{http.StatusCreated, out}, nil
}

// delete answers the same whether or not the identity exists.
//
// Assumed: for an unknown one.
func (s *Server) delete(c call) (answer, *apiError) {
	s.state.delete(c.id)
	return answer{status: http.StatusNoContent}, nil
}

func (s *Server) issue(c call) (answer, *apiError) {
	var in struct {
		Scopes           []string `json:"scopes"`
		ExpiresInMinutes *int     `json:"expiresInMinutes"`
	}
	if e := decode(c.body, &in); e != nil {
		return answer{}, e
	}
	// Assumed: an empty list, or no body at all, is refused as null is.
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
	token, e := s.issueFor(c.id, in.Scopes, in.ExpiresInMinutes)
	if e != nil {
		return answer{}, e
	}
	return answer{http.StatusOK, token}, nil
}

func (s *Server) revoke(c call) (answer, *apiError) {
	if !s.state.revoke(c.id) {
		return answer{}, unknownIdentity()
	}
	return answer{status: http.StatusNoContent}, nil
}

// checkScopes refuses a scope that the call's version does not have.
//
// Assumed: that it is refused at all, and how.
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
