package page

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// token is a JWT laid open. Nothing of it is verified here.
type token struct {
	Title  string
	Raw    string
	Header []claim
	Claims []claim
}

type claim struct{ Name, Value, Meaning string }

// decode returns nil for what is no JWT.
func decode(title, raw string) *token {
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		return nil
	}
	header, claims := read(parts[0]), read(parts[1])
	if header == nil || claims == nil {
		return nil
	}
	return &token{Title: title, Raw: raw, Header: header, Claims: claims}
}

func read(part string) (claims []claim) {
	text, err := base64.RawURLEncoding.DecodeString(part)
	var object map[string]json.RawMessage
	if err != nil || json.Unmarshal(text, &object) != nil {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		value := string(object[name])
		var text string
		if json.Unmarshal(object[name], &text) == nil {
			value = text
		}
		claims = append(claims, claim{name, value, meaning(name, value)})
	}
	return claims
}

// meaning explains a claim or a header member.
func meaning(name, value string) string {
	text := meanings[name]
	seconds, err := strconv.ParseInt(value, 10, 64)
	if err != nil || !slices.Contains([]string{"exp", "iat", "nbf", "xms_cc_at"}, name) && name != "csi" {
		return text
	}
	at := time.Unix(seconds, 0)
	left := time.Until(at).Round(time.Minute)
	when := fmt.Sprintf("in %s", short(left))
	if left < 0 {
		when = fmt.Sprintf("%s ago", short(-left))
	} else if left == 0 {
		when = "just now"
	}
	return fmt.Sprintf("%s: %s, %s", text, at.UTC().Format("2 Jan 2006 15:04:05 UTC"), when)
}

func short(d time.Duration) string {
	return strings.TrimSuffix(d.String(), "0s")
}

var meanings = map[string]string{
	"alg": "signature algorithm",
	"kid": "which of the issuer's keys has signed",
	"x5t": "thumbprint of that key's certificate",
	"typ": "kind of token",

	"exp": "good until", "iat": "issued", "nbf": "good from",
	"aud":                "the API that it is for",
	"iss":                "who issued it",
	"tid":                "tenant of the user",
	"oid":                "the user, the same in every app of the tenant",
	"sub":                "the user, as this app alone knows them",
	"scp":                "what the app may do for the user",
	"azp":                "the client app that asked for it",
	"appid":              "the client app that asked for it",
	"azpacr":             "how the client proved itself: 0 not at all, 1 secret, 2 certificate",
	"appidacr":           "how the client proved itself: 0 not at all, 1 secret, 2 certificate",
	"name":               "for display alone",
	"preferred_username": "for display alone: it can change hands",
	"upn":                "for display alone: it can change hands",
	"ver":                "version of the token",
	"uti":                "id of this token",
	"rh":                 "for Entra ID's own use",
	"aio":                "for Entra ID's own use",
	"roles":              "app roles of the user",
	"idtyp":              "app: it is for no user",
	"acct":               "0 member of the tenant, 1 guest",
	"idp":                "where the user belongs",

	"skypeid":          "the ACS identity, without its prefix 8:",
	"csi":              "issued",
	"acsScope":         "what it opens",
	"resourceId":       "the ACS resource",
	"resourceLocation": "where that keeps its data",
	"rgn":              "region",
}
