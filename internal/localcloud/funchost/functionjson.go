package funchost

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Levels of authorization that a function can ask for.
const (
	authAnonymous = "anonymous"
	authFunction  = "function"
	authAdmin     = "admin"
)

// Function is what a function.json says, for those who list an app.
type Function struct {
	Name     string
	Route    string   // with the prefix, without a slash before it; empty unless it has an httpTrigger
	Methods  []string // in capitals; empty: all
	Keyed    bool     // it wants a key
	Schedule string   // of a timerTrigger
	Disabled bool
}

// ReadFunctions lists the functions of the app below root, in alphabetical
// order. env is as in Config.
func ReadFunctions(root string, env []string) ([]Function, error) {
	a, err := readApp(root, settings(env))
	if err != nil {
		return nil, err
	}
	return a.list(), nil
}

func (a *app) list() (functions []Function) {
	for _, f := range a.functions {
		functions = append(functions, Function{
			Name: f.name, Route: f.route.text, Methods: f.methods, Disabled: f.disabled,
			Keyed: f.isHTTP() && f.authLevel != authAnonymous, Schedule: f.trigger.Schedule,
		})
	}
	return functions
}

// function is one function of the app.
type function struct {
	name     string
	disabled bool
	trigger  binding
	output   string // name of its http output binding; empty when it has none

	// direct tells that the bindings are one httpTrigger and one http output:
	// only then can a request be passed on as it is.
	direct bool

	// Of an HTTP function:
	route     template
	methods   []string // in capitals; empty: all
	authLevel string

	schedule schedule // of a timer
}

func (f *function) isHTTP() bool { return strings.EqualFold(f.trigger.Type, "httpTrigger") }

func (f *function) isTimer() bool { return strings.EqualFold(f.trigger.Type, "timerTrigger") }

func (f *function) allows(method string) bool {
	return len(f.methods) == 0 || slices.Contains(f.methods, strings.ToUpper(method))
}

// binding is an entry of function.json's bindings.
type binding struct {
	Type      string
	Direction string
	Name      string
	AuthLevel string
	Methods   []string
	Route     string

	Schedule     string
	RunOnStartup bool
}

func (b binding) isOutput() bool { return strings.EqualFold(b.Direction, "out") }

// functionName is the rule for the name of a function, that is of its folder.
var functionName = regexp.MustCompile(`(?i)^[a-z][a-z0-9_\-]{0,127}$`)

// readFunctions reads each folder of root that holds a function.json, in
// alphabetical order. The error names every fault.
func readFunctions(root, prefix string, settings map[string]string) ([]*function, error) {
	entries, err := os.ReadDir(root)
	if err != nil {
		return nil, fmt.Errorf("read app: %w", err)
	}
	var functions []*function
	var faults []error
	for _, entry := range entries {
		path := filepath.Join(root, entry.Name(), "function.json")
		if _, err := os.Stat(path); err != nil {
			continue // not the folder of a function
		}
		f, err := readFunction(path, prefix, settings)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		for _, other := range functions {
			if f.isHTTP() && other.isHTTP() && f.overlaps(other) {
				faults = append(faults, fmt.Errorf("%s: route %q with the same method belongs to function %s already", path, f.route.text, other.name))
			}
		}
		functions = append(functions, f)
	}
	return functions, errors.Join(faults...)
}

// overlaps tells whether both have the same route and a method in common.
func (f *function) overlaps(other *function) bool {
	if !strings.EqualFold(f.route.text, other.route.text) {
		return false
	}
	return len(f.methods) == 0 || len(other.methods) == 0 || slices.ContainsFunc(f.methods, other.allows)
}

func readFunction(path, prefix string, settings map[string]string) (*function, error) {
	var file struct {
		Disabled json.RawMessage // true, or the name of an app setting
		Bindings []binding
	}
	if err := readJSON(path, &file); err != nil {
		return nil, err
	}
	f := &function{name: filepath.Base(filepath.Dir(path))}
	if !functionName.MatchString(f.name) || strings.EqualFold(f.name, "host") {
		return nil, fmt.Errorf("%s: %q can't be the name of a function", path, f.name)
	}
	f.disabled = isDisabled(f.name, file.Disabled, settings)

	var inputs, outputs int
	for _, b := range file.Bindings {
		if b.isOutput() {
			outputs++
			if strings.EqualFold(b.Type, "http") {
				f.output = b.Name
			}
			continue
		}
		inputs++
		if !strings.HasSuffix(strings.ToLower(b.Type), "trigger") {
			continue
		}
		if f.trigger.Type != "" {
			return nil, fmt.Errorf("%s: expected one trigger binding, got more", path)
		}
		f.trigger = b
	}
	if f.trigger.Type == "" {
		return nil, fmt.Errorf("%s: expected one trigger binding, got none", path)
	}
	if f.isTimer() {
		return f, f.readTimer(path, settings)
	}
	if !f.isHTTP() {
		return f, nil
	}
	f.direct = inputs == 1 && outputs == 1 && f.output != ""
	return f, f.readTrigger(path, prefix)
}

// readTimer takes what a timerTrigger says. The schedule may be the name of an
// app setting between percent signs.
func (f *function) readTimer(path string, settings map[string]string) (err error) {
	if f.schedule, err = parseSchedule(expand(f.trigger.Schedule, settings)); err != nil {
		return fmt.Errorf("%s: schedule: %w", path, err)
	}
	return nil
}

// readTrigger takes what an httpTrigger says about requests.
func (f *function) readTrigger(path, prefix string) error {
	for _, m := range f.trigger.Methods {
		f.methods = append(f.methods, strings.ToUpper(m))
	}
	switch level := strings.ToLower(f.trigger.AuthLevel); level {
	case "":
		f.authLevel = authFunction
	case authAnonymous, authFunction, authAdmin:
		f.authLevel = level
	default:
		return fmt.Errorf("%s: authLevel: expected anonymous, function or admin, got %q", path, f.trigger.AuthLevel)
	}
	route := strings.Trim(f.trigger.Route, "/")
	if route == "" {
		route = f.name
	}
	first, _, _ := strings.Cut(strings.ToLower(route), "/")
	if first == "admin" || first == "runtime" {
		return fmt.Errorf("%s: route %q is reserved for the host", path, route)
	}
	if prefix != "" {
		route = prefix + "/" + route
	}
	var err error
	if f.route, err = parseTemplate(route); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func isDisabled(name string, inFile json.RawMessage, settings map[string]string) bool {
	if isTrue(settings["AzureWebJobs."+name+".Disabled"]) || string(inFile) == "true" {
		return true
	}
	var setting string
	_ = json.Unmarshal(inFile, &setting) // absent or false: not the name of a setting
	return setting != "" && isTrue(settings[setting])
}
