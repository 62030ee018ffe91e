package msgraph

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// properties are those that a user has here. The first eleven are what the
// service returns unless it is told which.
func (c call) properties() (names []string, values map[string]any) {
	given, surname, _ := strings.Cut(c.user.DisplayName, " ")
	kind := "Member"
	if c.user.Guest {
		kind = "Guest"
	}
	return []string{
			"businessPhones", "displayName", "givenName", "jobTitle", "mail", "mobilePhone",
			"officeLocation", "preferredLanguage", "surname", "userPrincipalName", "id",
			"accountEnabled", "userType",
		}, map[string]any{
			"businessPhones": []string{}, "displayName": c.user.DisplayName, "givenName": given, "jobTitle": nil,
			"mail": nil, "mobilePhone": nil, "officeLocation": nil, "preferredLanguage": nil, "surname": surname,
			"userPrincipalName": c.user.UPN, "id": c.owner.objectID, "accountEnabled": true, "userType": kind,
		}
}

const defaultProperties = 11

// expandExtensions is what $expand may say: all extensions, or one of them.
var expandExtensions = regexp.MustCompile(`^extensions(?:\(\$filter=id eq '([^']*)'\))?$`)

func (s *Server) getUser(c call) (answer, *apiError) {
	names, values := c.properties()
	selected, listed := names[:defaultProperties], []string(nil)
	if list := first(c.query["$select"]); list != "" {
		selected = nil
		for name := range strings.SplitSeq(list, ",") {
			i := slices.IndexFunc(names, func(known string) bool { return strings.EqualFold(known, strings.TrimSpace(name)) })
			if i < 0 {
				return answer{}, badRequest(fmt.Sprintf("Parsing OData Select and Expand failed: Could not find a property named '%s' on type 'microsoft.graph.user'.", name))
			}
			selected = append(selected, names[i])
		}
		listed = slices.Clone(selected)
	}
	body := map[string]any{}
	for _, name := range selected {
		body[name] = values[name]
	}
	if expand := first(c.query["$expand"]); expand != "" {
		parts := expandExtensions.FindStringSubmatch(expand)
		if parts == nil {
			return answer{}, badRequest("Parsing OData Select and Expand failed.")
		}
		body["extensions"] = s.extensions.list(c.owner, parts[1])
		listed = append(listed, "extensions()")
	}
	context := s.baseURL + "/v1.0/$metadata#users"
	if listed != nil {
		context += "(" + strings.Join(listed, ",") + ")"
	}
	body["@odata.context"] = context + "/$entity"
	return answer{status: http.StatusOK, body: body}, nil
}

func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}
