package acsidentity

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"acsauth/internal/identity"
	"acsauth/internal/localcloud/wire"
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
		// Assumed: the text about a userId that is no GUID, which is after that for
		// the appId.
		return answer{}, refused("userId", "Provided UserId has invalid format.")
	case !strings.EqualFold(in.AppID, claims.AppID):
		return answer{}, refused("appId", "AAD application is not the expected one.")
	case !strings.EqualFold(in.UserID, claims.OID):
		return answer{}, refused("userId", "Provided AAD token issued for unexpected user.")
	}
	wire.SetCaller(c.r, "access key, for Teams user "+claims.OID)
	number, _ := s.state.nextToken("", s.now())
	// Assumed: the token of a Teams user has skypeid orgid:<object id>, scope voip
	// for Teams.ManageCalls and chat for Teams.ManageChats.
	return answer{http.StatusOK, s.mint(teamsPrefix+strings.ToLower(claims.OID), scopes, claims.ExpiresAt, number)}, nil
}

// exchangeTeamsExtension gives a user of Teams Phone Extensibility their ACS
// identity and a token. The user calls with their own Entra token.
//
// Assumed: the errors of the exchange for Teams Phone; 403 Forbidden for a user who
// has no assignment for the token's app is one of them.
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
	wire.SetCaller(c.r, "Teams user "+claims.OID)
	var in struct{}
	if e := decode(c.body, &in); e != nil {
		return answer{}, e
	}
	a, ok := s.state.assignment(principal{strings.ToLower(claims.TID), strings.ToLower(claims.OID)})
	if !ok || !slices.ContainsFunc(a.ClientIDs, func(id string) bool { return strings.EqualFold(id, claims.AppID) }) {
		return answer{}, &apiError{status: http.StatusForbidden, code: "Forbidden", message: "The user has no access to the resource.", versioned: true,
			reason: "no assignment of this user for app " + claims.AppID}
	}
	id := strings.ToLower(acsPrefix + s.ResourceID() + "_" + claims.TID + "_" + claims.OID)
	if !s.state.add(id) {
		return answer{}, full()
	}
	number, ok := s.state.nextToken(id, s.now())
	if !ok {
		return answer{}, unknownIdentity() // deleted in between
	}
	token := s.mint(id, scopes, claims.ExpiresAt, number)
	return answer{http.StatusOK, identityAndToken{identityBody{ID: id}, &token}}, nil
}

// teamsToken checks a Teams user's Entra token and translates its scopes by the
// given table.
//
// Assumed: an Entra token without a fitting scope, or of a user without a Teams
// licence, is InvalidAccessToken like any other bad one.
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
