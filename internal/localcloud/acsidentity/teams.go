package acsidentity

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"acsauth/internal/identity"
)

// Scopes of a Teams user's Entra token, without the resource before them.
const (
	teamsManageCalls          = "Teams.ManageCalls"
	teamsManageChats          = "Teams.ManageChats"
	teamsExtensionManageCalls = "TeamsExtension.ManageCalls"
)

// exchangeTeamsUser trades a Teams user's Entra token for an ACS token. The
// order of the checks is that of the real service: a bad token comes first,
// even when the ids are missing.
func (s *Server) exchangeTeamsUser(c call) (answer, *apiError) {
	var in struct {
		Token  string `json:"token"`
		AppID  string `json:"appId"`
		UserID string `json:"userId"`
	}
	if e := decode(c.body, &in); e != nil {
		return answer{}, e
	}
	claims, scopes, e := s.teamsToken(in.Token, map[string]string{teamsManageCalls: "voip", teamsManageChats: "chat"})
	if e != nil {
		return answer{}, e
	}
	switch {
	case in.AppID == "":
		return answer{}, required("AppId")
	case in.UserID == "":
		return answer{}, required("UserId")
	case !identity.IsGUID(in.AppID):
		return answer{}, refused("appId", "Provided AppId has invalid format.")
	case !identity.IsGUID(in.UserID):
		// Assumed: the text, from that for the app id.
		return answer{}, refused("userId", "Provided UserId has invalid format.")
	case !strings.EqualFold(in.AppID, claims.AppID):
		return answer{}, refused("appId", "AAD application is not the expected one.")
	case !strings.EqualFold(in.UserID, claims.OID):
		return answer{}, refused("userId", "Provided AAD token issued for unexpected user.")
	}
	// Assumed: the user's id in the token, and which of its scopes become what.
	token, body := s.mint("8:orgid:"+strings.ToLower(claims.OID), scopes, claims.ExpiresAt)
	s.state.keep(token, "", claims.ExpiresAt)
	return answer{http.StatusOK, body}, nil
}

// exchangeTeamsExtension gives a user of Teams Phone Extensibility their ACS
// identity and a token. The user calls with their own Entra token.
//
// Assumed: every error, and that no assignment of the user to the resource is
// needed.
func (s *Server) exchangeTeamsExtension(c call) (answer, *apiError) {
	scheme, credential, err := authorization(c.r)
	if err == nil && !strings.EqualFold(scheme, schemeBearer) {
		err = errors.New("expected a bearer token")
	}
	if err != nil {
		return answer{}, denied(err)
	}
	claims, scopes, e := s.teamsToken(credential, map[string]string{teamsExtensionManageCalls: "voip"})
	if e != nil {
		return answer{}, e
	}
	var in struct{}
	if e := decode(c.body, &in); e != nil {
		return answer{}, e
	}
	id := strings.ToLower("8:acs:" + s.resourceID + "_" + claims.TID + "_" + claims.OID)
	s.state.add(id)
	token, body := s.mint(id, scopes, claims.ExpiresAt)
	if !s.state.keep(token, id, claims.ExpiresAt) {
		return answer{}, unknownIdentity() // deleted in between
	}
	return answer{http.StatusOK, identityAndToken{identityBody{id}, &body}}, nil
}

// teamsToken checks a Teams user's Entra token and translates its scopes by the
// given table.
//
// Assumed: a token without a fitting scope is refused like any other bad one.
func (s *Server) teamsToken(raw string, table map[string]string) (claims TeamsClaims, scopes []string, _ *apiError) {
	if raw == "" {
		return TeamsClaims{}, nil, invalidAccessToken(errors.New("there is no token"))
	}
	claims, err := s.checkTeamsToken(raw)
	if err != nil {
		return TeamsClaims{}, nil, invalidAccessToken(err)
	}
	if !s.now().Before(claims.ExpiresAt) {
		return TeamsClaims{}, nil, invalidAccessToken(errors.New("the token has expired"))
	}
	for _, scope := range claims.Scopes {
		if to, ok := table[scope]; ok {
			scopes = append(scopes, to)
		}
	}
	if len(scopes) == 0 {
		return TeamsClaims{}, nil, invalidAccessToken(errors.New("the token has no scope for this exchange"))
	}
	slices.Sort(scopes)
	return claims, scopes, nil
}
