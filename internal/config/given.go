package config

import "acsauth/internal/secret"

// Given is how one setting stands in an environment.
type Given struct {
	Setting
	Set     bool
	Value   string // as it may be shown: of a secret, or of a value at fault, only that there is one
	Problem string // as in Fault; empty where the setting is right
}

// Inspect returns every setting as it stands in environ, in the order of
// Settings. faults are what Load found.
func Inspect(environ []string, faults Faults) []Given {
	r := newReader(environ)
	problems := map[string]string{}
	for _, f := range faults {
		if problems[f.Setting] != "" {
			problems[f.Setting] += "; "
		}
		problems[f.Setting] += f.Problem
	}
	var list []Given
	for _, s := range Settings() {
		g := Given{Setting: s, Set: r.has(s.Name), Problem: problems[s.Name]}
		switch {
		case !g.Set:
		case s.Secret:
			g.Value = secret.New(r.get(s.Name)).String()
		case g.Problem != "":
			g.Value = "[not shown]" // it may be a secret in the wrong place
		default:
			g.Value = r.get(s.Name)
		}
		list = append(list, g)
	}
	return list
}
