package entraid

import (
	"fmt"
	"net/http"
	"strings"

	"acsauth/internal/localcloud/wire"
)

// userInfo serves OpenID Connect's UserInfo endpoint, which takes a token for
// Graph.
//
// Assumed: the UserInfo endpoint's error codes, which are those of Graph.
func (s *Server) userInfo(w http.ResponseWriter, r *http.Request, _ string) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	claims, err := s.Verify(strings.TrimSpace(token), GraphAppID)
	if !strings.EqualFold(scheme, "Bearer") || err != nil || len(claims.Scopes) == 0 {
		refuseUserInfo(w, http.StatusUnauthorized, "InvalidAuthenticationToken", "Access token validation failure.")
		return
	}
	user, ok := s.User(claims.TenantID, claims.ObjectID)
	if !ok {
		refuseUserInfo(w, http.StatusForbidden, "Authorization_IdentityNotFound", "The identity of the calling application could not be established.")
		return
	}
	wire.SetCaller(r, user.Name)
	given, family, _ := strings.Cut(user.Name, " ")
	wire.WriteJSON(w, http.StatusOK, "application/json", map[string]any{
		"sub": pairwise(user, claims.ClientID), "name": user.Name, "given_name": given, "family_name": family,
		"picture": GraphURI + "/v1.0/me/photo/$value", "email": user.UPN,
	})
}

func refuseUserInfo(w http.ResponseWriter, status int, code, message string) {
	wire.WriteJSON(w, status, "application/json", map[string]any{"error": map[string]any{"code": code, "message": message}})
}

// explainError is the page that error_uri leads to.
func (s *Server) explainError(w http.ResponseWriter, r *http.Request, _ string) {
	s.showPage(w, http.StatusOK, page{Title: "Error", Message: fmt.Sprintf("AADSTS%.20s: see https://login.microsoftonline.com/error or Microsoft’s list of error codes.", r.FormValue("code"))})
}
