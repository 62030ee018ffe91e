package msgraph

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// The limits of open extensions on a user:
// https://learn.microsoft.com/graph/extensibility-overview
const (
	maxExtensions    = 2 // of one application
	maxExtensionSize = 2 << 10
)

// owner is whose profile an extension is in.
type owner struct{ tenantID, objectID string }

// extension is an open extension. It has no version and no ETag.
type extension struct {
	creator    string // the application
	properties map[string]any
}

// extensions are those of all users, by name.
//
// Assumed: names of extensions are compared as they stand.
type extensions struct {
	mu sync.Mutex
	of map[owner]map[string]*extension
}

// show is an extension as answers have it.
func (e *extension) show(name string) map[string]any {
	shown := maps.Clone(e.properties)
	shown["@odata.type"] = "#microsoft.graph.openTypeExtension"
	shown["id"] = name
	return shown
}

// list returns the user's extensions, or that of one name.
func (x *extensions) list(o owner, only string) []map[string]any {
	x.mu.Lock()
	defer x.mu.Unlock()
	list := []map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(x.of[o])) {
		if only == "" || name == only {
			list = append(list, x.of[o][name].show(name))
		}
	}
	return list
}

func (s *Server) context(c call) string {
	return s.baseURL + "/v1.0/$metadata#users('" + c.owner.objectID + "')/extensions"
}

func (s *Server) listExtensions(c call) (answer, *apiError) {
	return answer{status: http.StatusOK, body: map[string]any{
		"@odata.context": s.context(c), "value": s.extensions.list(c.owner, ""),
	}}, nil
}

func (s *Server) getExtension(c call) (answer, *apiError) {
	x := &s.extensions
	x.mu.Lock()
	defer x.mu.Unlock()
	e := x.of[c.owner][c.name]
	if e == nil {
		return answer{}, noExtension()
	}
	body := e.show(c.name)
	body["@odata.context"] = s.context(c) + "/$entity"
	return answer{status: http.StatusOK, body: body}, nil
}

func (s *Server) createExtension(c call) (answer, *apiError) {
	properties, refusal := parseExtension(c.body)
	if refusal != nil {
		return answer{}, refusal
	}
	name, _ := properties["extensionName"].(string)
	if name == "" {
		return answer{}, badExtension("The property 'extensionName' is required.")
	}
	x := &s.extensions
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.of[c.owner][name] != nil {
		return answer{}, extensionExists()
	}
	made := 0
	for _, e := range x.of[c.owner] {
		if e.creator == c.client {
			made++
		}
	}
	if made >= maxExtensions {
		return answer{}, tooManyExtensions()
	}
	if x.of == nil {
		x.of = map[owner]map[string]*extension{}
	}
	if x.of[c.owner] == nil {
		x.of[c.owner] = map[string]*extension{}
	}
	e := &extension{creator: c.client, properties: properties}
	x.of[c.owner][name] = e
	body := e.show(name)
	body["@odata.context"] = s.context(c) + "/$entity"
	return answer{http.StatusCreated, body, "users/" + c.owner.objectID + "/extensions/" + url.PathEscape(name)}, nil
}

// updateExtension replaces all properties: those that the request leaves out are
// gone, extensionName among them, as the example in the documentation shows.
func (s *Server) updateExtension(c call) (answer, *apiError) {
	properties, refusal := parseExtension(c.body)
	if refusal != nil {
		return answer{}, refusal
	}
	x := &s.extensions
	x.mu.Lock()
	defer x.mu.Unlock()
	e := x.of[c.owner][c.name]
	if e == nil {
		return answer{}, noExtension()
	}
	e.properties = properties
	return answer{status: http.StatusNoContent}, nil
}

func (s *Server) deleteExtension(c call) (answer, *apiError) {
	x := &s.extensions
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.of[c.owner][c.name] == nil {
		return answer{}, noExtension()
	}
	delete(x.of[c.owner], c.name)
	return answer{status: http.StatusNoContent}, nil
}

// parseExtension reads the body of a request: primitive values, and arrays of
// them.
func parseExtension(body []byte) (map[string]any, *apiError) {
	if len(body) > maxExtensionSize {
		return nil, badExtension("The size of the open extension exceeds the limit.")
	}
	var properties map[string]any
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if err := d.Decode(&properties); err != nil || properties == nil {
		return nil, badRequest("Unable to read JSON request payload. Please ensure Content-Type header is set and payload is of valid JSON format.")
	}
	if kind, ok := properties["@odata.type"].(string); ok && !strings.EqualFold(strings.TrimPrefix(kind, "#"), "microsoft.graph.openTypeExtension") {
		return nil, badExtension("The type of the extension is not microsoft.graph.openTypeExtension.")
	}
	delete(properties, "@odata.type")
	delete(properties, "id")
	for name, value := range properties {
		list, isList := value.([]any)
		if !isList {
			list = []any{value}
		}
		if slices.ContainsFunc(list, func(v any) bool {
			_, isObject := v.(map[string]any)
			_, isArray := v.([]any)
			return isObject || isArray
		}) {
			return nil, badExtension("The value of the property '" + name + "' is neither primitive nor an array of primitive values.")
		}
		if value == nil {
			delete(properties, name)
		}
	}
	return properties, nil
}
