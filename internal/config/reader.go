package config

import (
	"log/slog"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"acsauth/internal/identity"
	"acsauth/internal/upstream"
)

// Fault is what is wrong with one setting. Problem continues its name to a
// sentence and never holds its value.
type Fault struct{ Setting, Problem string }

// Faults are all the faults of the settings.
type Faults []Fault

// Error has one line for each fault.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, fault := range f {
		lines[i] = fault.Setting + " " + fault.Problem
	}
	return strings.Join(lines, "\n")
}

// reader reads settings one by one and gathers their faults.
type reader struct {
	values map[string]string
	faults Faults
}

func newReader(environ []string) *reader {
	r := &reader{values: map[string]string{}}
	for _, pair := range environ {
		name, value, _ := strings.Cut(pair, "=")
		r.values[name] = strings.TrimSpace(value)
	}
	return r
}

func (r *reader) fault(setting, problem string) {
	r.faults = append(r.faults, Fault{setting, problem})
}

func (r *reader) err() error {
	if len(r.faults) == 0 {
		return nil
	}
	return r.faults
}

func (r *reader) get(name string) string { return r.values[name] }
func (r *reader) has(name string) bool   { return r.values[name] != "" }

func (r *reader) list(name string) []string {
	list := splitList(r.get(name))
	if list == nil && r.has(name) {
		r.fault(name, "has no entry between its commas")
	}
	return list
}

func splitList(s string) []string {
	var list []string
	for entry := range strings.SplitSeq(s, ",") {
		if entry = strings.TrimSpace(entry); entry != "" {
			list = append(list, entry)
		}
	}
	return list
}

func (r *reader) guid(name string) string {
	v := strings.ToLower(r.get(name))
	if v != "" && !identity.IsGUID(v) {
		r.fault(name, "is not a GUID such as 11111111-2222-3333-4444-555555555555")
	}
	return v
}

func (r *reader) guids(name string) []string {
	list := r.list(name)
	for i, v := range list {
		list[i] = strings.ToLower(v)
	}
	if !slices.ContainsFunc(list, func(v string) bool { return !identity.IsGUID(v) }) {
		return list
	}
	r.fault(name, "is not a GUID, or a comma-separated list of them")
	return nil
}

func (r *reader) integer(name string, fallback, lowest, highest int) int {
	if !r.has(name) {
		return fallback
	}
	n, err := strconv.Atoi(r.get(name))
	if err != nil || n < lowest || n > highest {
		r.fault(name, "is not a whole number from "+strconv.Itoa(lowest)+" to "+strconv.Itoa(highest))
	}
	return n
}

func (r *reader) boolean(name string) bool {
	return r.choice(name, "false", "true", "false") == "true"
}

// choice takes its values in any case.
func (r *reader) choice(name, fallback string, values ...string) string {
	v := strings.ToLower(r.get(name))
	if v == "" {
		return fallback
	}
	if !slices.Contains(values, v) {
		r.fault(name, "is not "+strings.Join(values, " or "))
	}
	return v
}

func (r *reader) level(name string) slog.Level {
	var level slog.Level
	_ = level.UnmarshalText([]byte(r.choice(name, "info", "debug", "info", "warn", "error")))
	return level
}

// origin takes scheme, host and port, in https or on loopback.
func (r *reader) origin(name, fallback string) string {
	v := strings.ToLower(strings.TrimRight(r.get(name), "/"))
	if v == "" {
		return fallback
	}
	u, err := url.Parse(v)
	if err != nil || !isOrigin(v) || u.Scheme == "http" && !upstream.IsLoopback(u.Hostname()) {
		r.fault(name, "is not an address of the form https://<host>")
	}
	return v
}

func isOrigin(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && hostAndPort.MatchString(u.Host) && s == u.Scheme+"://"+u.Host
}

var hostAndPort = regexp.MustCompile(`^([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?$`)

// unknown returns the variables that begin like settings and are none.
func (r *reader) unknown() []string {
	known := map[string]bool{}
	for _, s := range Settings() {
		known[s.Name] = true
	}
	var names []string
	for name := range r.values {
		for _, prefix := range []string{"ENTRA_", "ACS_", "TABLES_", "TEAMS_", "GRAPH_", "LOCAL_STORE", "IDENTITY_STORE"} {
			if strings.HasPrefix(strings.ToUpper(name), prefix) && !known[name] {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return names
}
