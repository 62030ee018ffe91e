package config

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"acsauth/internal/identity"
)

const (
	lowestMinutes  = int(identity.MinExpiresIn / time.Minute)
	highestMinutes = int(identity.MaxExpiresIn / time.Minute)
)

func (r *reader) tokenPolicy() identity.TokenPolicy {
	const scopes, expires = "ACS_TOKEN_SCOPES", "ACS_TOKEN_EXPIRES_IN_MINUTES"
	p := identity.TokenPolicy{
		Default:   identity.Grant{Scopes: []string{"chat", "voip"}, ExpiresIn: identity.MaxExpiresIn},
		ExpiresIn: time.Duration(r.integer(expires, highestMinutes, lowestMinutes, highestMinutes)) * time.Minute,
		Roles:     r.roles("ACS_ROLE_SCOPES"),
	}
	if list := r.list(scopes); len(list) > 0 {
		if problem := checkScopes(list); problem != "" {
			r.fault(scopes, problem)
		}
		p.Default.Scopes = sortedSet(list)
	}
	return p
}

// roles takes "Guest=chat.join.limited,voip.join@60; Host=chat,voip", where the
// number behind @ is how many minutes a token of that role may live.
func (r *reader) roles(name string) map[string]identity.Grant {
	if !r.has(name) {
		return nil
	}
	roles := map[string]identity.Grant{}
	for entry := range strings.SplitSeq(r.get(name), ";") {
		if strings.TrimSpace(entry) == "" {
			continue
		}
		role, grant, problem := parseRole(entry)
		if _, twice := roles[role]; twice && problem == "" {
			problem = "names a role twice"
		}
		if problem != "" {
			r.fault(name, problem)
			return nil
		}
		roles[role] = grant
	}
	if len(roles) == 0 {
		r.fault(name, "has no entry between its semicolons")
	}
	return roles
}

func parseRole(entry string) (role string, grant identity.Grant, problem string) {
	role, list, found := strings.Cut(entry, "=")
	role = strings.TrimSpace(role)
	list, minutes, limited := strings.Cut(list, "@")
	if !found || role == "" || strings.ContainsAny(role, " ,@") {
		return "", grant, "is not of the form Role=scope,scope; Role=scope@minutes"
	}
	scopes := splitList(list)
	if problem := checkScopes(scopes); problem != "" {
		return "", grant, problem
	}
	n := highestMinutes
	if limited {
		var err error
		if n, err = strconv.Atoi(strings.TrimSpace(minutes)); err != nil || n < lowestMinutes || n > highestMinutes {
			return "", grant, "has a lifetime that is not a whole number from " + strconv.Itoa(lowestMinutes) + " to " + strconv.Itoa(highestMinutes)
		}
	}
	return role, identity.Grant{Scopes: sortedSet(scopes), ExpiresIn: time.Duration(n) * time.Minute}, ""
}

func checkScopes(scopes []string) (problem string) {
	known := identity.Scopes()
	if len(scopes) == 0 || slices.ContainsFunc(scopes, func(s string) bool { return !slices.Contains(known, s) }) {
		return "has an entry that is none of " + strings.Join(known, ", ")
	}
	return ""
}

func sortedSet(list []string) []string {
	slices.Sort(list)
	return slices.Compact(list)
}
