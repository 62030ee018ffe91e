package functions

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// RouteTable is what host.json and the folders of functions say about paths.
type RouteTable struct {
	prefix string            // extensions.http.routePrefix
	routes map[string]string // route by name of the function
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

// ReadRouteTable reads host.json and */function.json of an app folder.
func ReadRouteTable(folder fs.FS) (RouteTable, error) {
	var host hostFile
	if err := readJSON(folder, "host.json", &host); err != nil {
		return RouteTable{}, err
	}
	if host.Version != "2.0" {
		return RouteTable{}, fmt.Errorf("host.json: version is %q, want 2.0", host.Version)
	}
	t := RouteTable{prefix: "api", routes: map[string]string{}}
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
		i := slices.IndexFunc(f.Bindings, func(b struct {
			Type  string  `json:"type"`
			Route *string `json:"route"`
		}) bool {
			return strings.EqualFold(b.Type, "httpTrigger")
		})
		if i < 0 {
			return RouteTable{}, fmt.Errorf("%s: has no httpTrigger", file)
		}
		t.routes[name] = name
		if route := f.Bindings[i].Route; route != nil && *route != "" {
			t.routes[name] = strings.Trim(*route, "/")
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
func (t RouteTable) bind(functions []function) (map[string]function, error) {
	var errs []error
	paths := map[string]function{}
	seen := map[string]bool{}
	for _, f := range functions {
		seen[f.name] = true
		route, ok := t.routes[f.name]
		if !ok {
			if !f.hero {
				errs = append(errs, fmt.Errorf("function %s has no folder with a function.json", f.name))
			}
			continue
		}
		fixed, err := f.cutParameter(route)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		key := routeKey(path.Join("/", t.prefix, fixed))
		if other, taken := paths[key]; taken {
			errs = append(errs, fmt.Errorf("functions %s and %s have the same route", other.name, f.name))
		}
		paths[key] = f
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

// path is that of a function in the table.
func (t RouteTable) path(function string) string {
	return path.Join("/", t.prefix, t.routes[function])
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
