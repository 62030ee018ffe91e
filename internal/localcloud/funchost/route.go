package funchost

import (
	"fmt"
	"net/url"
	"strings"
)

// template is a route such as api/chat/{id}/{part?} or api/{*rest}.
type template struct {
	text     string
	segments []segment
}

type segment struct {
	text     string // a literal, or the name of a parameter
	param    bool
	optional bool
	rest     bool // takes all that is left, nothing included
}

// parseTemplate takes literals and whole-segment parameters. Constraints,
// defaults and segments of several parts are an error: the host has them, and a
// guess at what they match would mislead.
func parseTemplate(text string) (template, error) {
	t := template{text: text}
	parts := strings.Split(text, "/")
	for i, part := range parts {
		inner, braced := strings.CutPrefix(part, "{")
		if braced {
			inner, braced = strings.CutSuffix(inner, "}")
		}
		s := segment{text: part}
		if braced {
			s.param = true
			s.text, s.rest = strings.CutPrefix(inner, "*")
			s.text, s.optional = strings.CutSuffix(s.text, "?")
		}
		last := i == len(parts)-1
		switch {
		case s.text == "" || strings.ContainsAny(s.text, "{} ?*"):
			return t, fmt.Errorf("route %q: malformed segment %q", text, part)
		case s.param && strings.ContainsAny(s.text, ":="):
			return t, fmt.Errorf("route %q: constraints and defaults are not supported here: %q", text, part)
		case (s.optional || s.rest) && !last:
			return t, fmt.Errorf("route %q: %q must be the last segment", text, part)
		}
		t.segments = append(t.segments, s)
	}
	return t, nil
}

// match compares without regard to case and takes one slash too many at the
// end. The parameters are decoded, but for an encoded slash.
func (t template) match(path string) (params map[string]string, ok bool) {
	path = strings.TrimSuffix(strings.TrimPrefix(path, "/"), "/")
	var parts []string
	if path != "" {
		parts = strings.Split(path, "/")
	}
	params = map[string]string{}
	for i, s := range t.segments {
		switch {
		case s.rest:
			if i < len(parts) {
				params[s.text] = decode(strings.Join(parts[i:], "/"))
			}
			return params, true
		case i >= len(parts):
			return params, s.optional
		case s.param:
			if parts[i] == "" {
				return nil, false
			}
			params[s.text] = decode(parts[i])
		case !strings.EqualFold(s.text, decode(parts[i])):
			return nil, false
		}
	}
	return params, len(parts) == len(t.segments)
}

// decode undoes percent-encoding in a path, but for slashes.
func decode(escaped string) string {
	escaped = strings.NewReplacer("%2F", "%252F", "%2f", "%252f").Replace(escaped)
	if s, err := url.PathUnescape(escaped); err == nil {
		return s
	}
	return escaped
}

// find returns the function whose route and methods fit. There is none for a
// wrong path and for a wrong method alike.
func (a *app) find(method, escapedPath string) (*function, map[string]string) {
	for _, f := range a.functions {
		if !f.isHTTP() || f.disabled || !f.allows(method) {
			continue
		}
		if params, ok := f.route.match(escapedPath); ok {
			return f, params
		}
	}
	return nil, nil
}
