package functions

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// RouteTable is what host.json and the folders of functions say about paths.
type RouteTable struct {
	prefix string           // extensions.http.routePrefix
	routes map[string]route // by name of the function
}

// route is what triggers a function.
type route struct {
	path  string // below the prefix, as function.json has it
	timer bool   // no path: a timer of the Functions host does
}

type hostFile struct {
	Version    string `json:"version"`
	Extensions struct {
		HTTP struct {
			RoutePrefix *string `json:"routePrefix"`
		} `json:"http"`
	} `json:"extensions"`
}

type functionFile struct {
	Bindings []struct {
		Type  string  `json:"type"`
		Route *string `json:"route"`
	} `json:"bindings"`
}

// route is that of the function with this name.
func (f functionFile) route(name string) (route, error) {
	for _, b := range f.Bindings {
		switch {
		case strings.EqualFold(b.Type, "timerTrigger"):
			return route{timer: true}, nil
		case !strings.EqualFold(b.Type, "httpTrigger"):
		case b.Route == nil || *b.Route == "":
			return route{path: name}, nil
		default:
			return route{path: strings.Trim(*b.Route, "/")}, nil
		}
	}
	return route{}, errors.New("has neither an httpTrigger nor a timerTrigger")
}

// ReadRouteTable reads host.json and */function.json of an app folder.
func ReadRouteTable(folder fs.FS) (RouteTable, error) {
	var host hostFile
	if err := readJSON(folder, "host.json", &host); err != nil {
		return RouteTable{}, err
	}
	if host.Version != "2.0" {
		return RouteTable{}, fmt.Errorf("host.json: version is %q, want 2.0", host.Version)
	}
	t := RouteTable{prefix: "api", routes: map[string]route{}}
	if p := host.Extensions.HTTP.RoutePrefix; p != nil {
		t.prefix = strings.Trim(*p, "/")
	}
	files, err := fs.Glob(folder, "*/function.json")
	if err != nil {
		return RouteTable{}, err
	}
	for _, file := range files {
		var f functionFile
		if err := readJSON(folder, file, &f); err != nil {
			return RouteTable{}, err
		}
		name := path.Dir(file)
		if t.routes[name], err = f.route(name); err != nil {
			return RouteTable{}, fmt.Errorf("%s: %w", file, err)
		}
	}
	return t, nil
}

func readJSON(folder fs.FS, file string, into any) error {
	b, err := fs.ReadFile(folder, file)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, into); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

// bind gives each function its path, without the parameter at its end. A folder
// without a function, a function without a folder, one path for two, or a
// parameter that the function does not know is an error. Only the folders of the
// hero samples' functions may be missing.
//
// The Functions host calls a timer's function by its name, without the prefix.
// No client gets there: the host hands on what matches the route of a function
// that has one (byHost sees to the rest), and without the host there is no such
// path.
func (t RouteTable) bind(functions []function, underHost bool) (map[string]function, error) {
	var errs []error
	paths := map[string]function{}
	seen := map[string]bool{}
	for _, f := range functions {
		seen[f.name] = true
		route, ok := t.routes[f.name]
		if !ok || route.timer != f.timer {
			if !f.hero || ok {
				errs = append(errs, fmt.Errorf("function %s has no folder with a function.json for its kind of trigger", f.name))
			}
			continue
		}
		fixed, err := f.cutParameter(route.path)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		key := routeKey(path.Join("/", t.prefix, fixed))
		if f.timer {
			key = routeKey("/" + f.name)
		}
		if other, taken := paths[key]; taken {
			errs = append(errs, fmt.Errorf("functions %s and %s have the same route", other.name, f.name))
		}
		if !f.timer || underHost {
			paths[key] = f
		}
	}
	for name := range t.routes {
		if !seen[name] {
			errs = append(errs, fmt.Errorf("folder %s has a function.json but there is no function of that name", name))
		}
	}
	return paths, errors.Join(errs...)
}

// cutParameter returns route without the parameter that f takes at its end.
func (f function) cutParameter(route string) (string, error) {
	fixed, ok := route, true
	if f.parameter != "" {
		fixed, ok = strings.CutSuffix(route, "/{"+f.parameter+"?}")
	}
	if !ok || strings.ContainsAny(fixed, "{}") {
		return "", fmt.Errorf("function %s does not take the parameters of route %q", f.name, route)
	}
	return fixed, nil
}

// has reports whether a function has a folder.
func (t RouteTable) has(function string) bool {
	_, ok := t.routes[function]
	return ok
}

// path is that of a function in the table.
func (t RouteTable) path(function string) string {
	return path.Join("/", t.prefix, t.routes[function].path)
}

// routeKey makes of a path what routes are compared by: the Functions host
// disregards case and a slash at the end, and hands paths on as they came.
func routeKey(path string) string {
	return lower(strings.TrimSuffix(path, "/"))
}

// lower folds ASCII alone: a path must not match by a letter that only Unicode
// takes for another.
func lower(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, s)
}
