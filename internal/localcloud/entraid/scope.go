package entraid

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// What Microsoft's own resources are called, for those that this stand-in
// issues tokens for.
const (
	// TeamsAppID is the resource "Azure Communication Services": the audience
	// of a Teams user's token that ACS exchanges.
	TeamsAppID = "1fd5118e-2576-4263-8130-9503064c837a"
	// TeamsURI is before a Teams scope such as Teams.ManageCalls.
	TeamsURI = "https://auth.msft.communication.azure.com"
	// GraphAppID is Microsoft Graph.
	GraphAppID = "00000003-0000-0000-c000-000000000000"
	// GraphURI is before a Graph scope such as User.Read.
	GraphURI = "https://graph.microsoft.com"
	// ACSScope is what the ACS clients ask for when they call with an Entra
	// app's token in place of the access key.
	ACSScope = "https://communication.azure.com//.default"
	// ACSAudience is the audience of such a token.
	//
	// Assumed: a token for ACS itself is of version 1.0, with audience
	// https://communication.azure.com/.
	ACSAudience = "https://communication.azure.com/"
)

const (
	dotDefault    = ".default"
	offlineAccess = "offline_access" // asks for a refresh token
)

// permissionName is what Graph's permissions look like, such as
// Calendars.ReadWrite.Shared; there are hundreds.
var permissionName = regexp.MustCompile(`^[A-Z][A-Za-z-]*(\.[A-Z][A-Za-z]*)+$`)

func oidcScopes() []string { return []string{"openid", "profile", "email", offlineAccess} }

// resource is an API that tokens are issued for.
type resource struct {
	appID     string
	uris      []string // without a slash at the end
	version   int      // of its access tokens
	microsoft bool     // Microsoft's own
	useGUID   bool     // version 1.0 tokens carry the app id as aud, whatever was asked for
	scopes    []string // what .default stands for
	open      bool     // has more scopes than are listed here
	optional  []string // claims
}

func (s *Server) builtinResources() []resource {
	graphURIs := []string{GraphURI, GraphAppID}
	if s.graphURI != "" {
		graphURIs = append(graphURIs, s.graphURI)
	}
	return []resource{
		// Assumed: a token for the Teams scopes of ACS is of version 2.0, with the
		// app id as audience.
		{appID: TeamsAppID, microsoft: true, uris: []string{TeamsURI, TeamsAppID}, version: 2,
			scopes: []string{"Teams.ManageCalls", "Teams.ManageChats", "TeamsExtension.ManageCalls"}},
		// Graph's tokens are of version 1.0, and nobody but Graph may read them.
		{appID: GraphAppID, microsoft: true, uris: graphURIs, version: 1, useGUID: true, open: true,
			scopes: []string{"User.Read", "User.ReadWrite", "openid", "profile", "email"}, optional: []string{"idtyp", "xms_cc"}},
		{appID: TeamsAppID, microsoft: true, uris: []string{strings.TrimSuffix(ACSAudience, "/")}, version: 1},
	}
}

func (s *Server) resource(uri string) (resource, bool) {
	uri = strings.TrimSuffix(uri, "/")
	all := s.builtinResources()
	for _, c := range s.clients {
		if len(c.Scopes) == 0 {
			continue
		}
		uris := []string{c.ID, "api://" + c.ID}
		if c.AppIDURI != "" {
			uris = append(uris, strings.TrimSuffix(c.AppIDURI, "/"))
		}
		all = append(all, resource{appID: c.ID, uris: uris, version: c.AccessTokenVersion, scopes: c.Scopes, optional: c.OptionalClaims})
	}
	for _, res := range all {
		if slices.ContainsFunc(res.uris, func(u string) bool { return strings.EqualFold(u, uri) }) {
			return res, true
		}
	}
	return resource{}, false
}

// scopeSet is what a request asked for: one resource's scopes and OpenID ones.
type scopeSet struct {
	resource  resource
	uri       string   // the resource, as the request names it
	granted   []string // scopes of the resource, short: the scp claim
	isDefault bool     // asked for .default
	oidc      []string // openid, profile, email, offline_access where asked for
	echo      []string // the scopes as the answer lists them: without offline_access
}

func (ss scopeSet) has(oidc string) bool { return slices.Contains(ss.oidc, oidc) }

// audience is the aud claim of an access token.
func (ss scopeSet) audience() string {
	if ss.resource.version == 2 || ss.resource.useGUID {
		return ss.resource.appID
	}
	return ss.uri
}

// parseScopes reads a list of scopes, of one resource at most. Without any the
// token is for Graph, as at Entra.
func (s *Server) parseScopes(scopes []string) (scopeSet, *stsError) {
	var ss scopeSet
	for _, scope := range scopes {
		if slices.Contains(oidcScopes(), scope) {
			ss.oidc = append(ss.oidc, scope)
			if scope != offlineAccess {
				ss.echo = append(ss.echo, scope)
			}
			continue
		}
		res, uri, permission, err := s.parseScope(scope)
		if err != nil {
			return scopeSet{}, err
		}
		if ss.uri != "" && ss.resource.appID != res.appID {
			return scopeSet{}, &stsError{code: "invalid_scope", number: 28000,
				message: "Provided value for the input parameter scope isn't valid because it contains more than one resource."}
		}
		if ss.uri == "" {
			ss.resource, ss.uri = res, uri
		}
		ss.echo = append(ss.echo, scope)
		if permission == dotDefault {
			ss.isDefault = true
			for _, name := range res.scopes {
				ss.grant(name)
				ss.echo = append(ss.echo, uri+"/"+name)
			}
			continue
		}
		ss.grant(permission)
	}
	if ss.uri == "" {
		ss.uri = GraphURI
		ss.resource, _ = s.resource(GraphURI)
		for _, name := range ss.oidc {
			if name != offlineAccess {
				ss.grant(name)
			}
		}
	}
	return ss, nil
}

func (ss *scopeSet) grant(permission string) {
	if !slices.Contains(ss.granted, permission) {
		ss.granted = append(ss.granted, permission)
	}
}

// parseScope splits "api://<id>/access_as_user" and its like at the last slash.
// A bare name is a scope of Graph.
func (s *Server) parseScope(scope string) (res resource, uri, permission string, _ *stsError) {
	uri, permission = GraphURI, scope
	if i := strings.LastIndexByte(scope, '/'); i >= 0 {
		uri, permission = scope[:i], scope[i+1:]
	}
	res, ok := s.resource(uri)
	if !ok {
		return resource{}, "", "", &stsError{code: "invalid_resource", number: 500011,
			message: fmt.Sprintf("The resource principal named %s was not found in the tenant. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You might have sent your authentication request to the wrong tenant.", uri)}
	}
	if permission == dotDefault {
		return res, uri, permission, nil
	}
	for _, name := range res.scopes {
		if strings.EqualFold(name, permission) {
			return res, uri, name, nil
		}
	}
	if res.open && permissionName.MatchString(permission) {
		return res, uri, permission, nil
	}
	return resource{}, "", "", &stsError{code: "invalid_scope", number: 650053,
		message: fmt.Sprintf("The application asked for scope '%s' that doesn't exist on the resource '%s'. Contact the app vendor.", permission, res.appID)}
}
