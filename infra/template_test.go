package infra

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// This file turns a bicep into an ARM template with symbolic names, as the Bicep
// compiler does.

type template struct {
	Schema          string  `json:"$schema"`
	LanguageVersion string  `json:"languageVersion"`
	ContentVersion  string  `json:"contentVersion"`
	Parameters      ordered `json:"parameters"`
	Variables       ordered `json:"variables"`
	Resources       ordered `json:"resources"`
	Outputs         ordered `json:"outputs"`
}

// ordered is a JSON object that keeps its order, so that the portal asks for
// parameters in the order of the Bicep.
type ordered []entry

type entry struct {
	key   string
	value any
}

func (o *ordered) add(key string, value any) { *o = append(*o, entry{key, value}) }

func (o ordered) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	for i, e := range o {
		key, err := encode(e.key)
		if err != nil {
			return nil, err
		}
		value, err := encode(e.value)
		if err != nil {
			return nil, err
		}
		b.WriteByte("{,"[min(i, 1)])
		b.Write(key)
		b.WriteByte(':')
		b.Write(value)
	}
	if len(o) == 0 {
		b.WriteByte('{')
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// encode leaves < and > as they are.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(v)
	return b.Bytes(), err
}

// compiler knows what a name stands for.
type compiler struct {
	params, vars, lambdas map[string]bool
	resources             map[string]declaration
	used                  map[string]bool // resources referred to since it was last emptied
}

func compile(b bicep) (out []byte, err error) {
	defer func() {
		if problem := recover(); problem != nil {
			err = fmt.Errorf("%v", problem)
		}
	}()
	c := &compiler{params: map[string]bool{}, vars: map[string]bool{}, lambdas: map[string]bool{}, resources: map[string]declaration{}, used: map[string]bool{}}
	for _, d := range b.params {
		c.params[d.name] = true
	}
	for _, d := range b.vars {
		c.vars[d.name] = true
	}
	for _, d := range b.resources {
		c.resources[d.name] = d
	}
	t := template{
		Schema:          "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
		LanguageVersion: "2.0", ContentVersion: "1.0.0.0",
	}
	for _, d := range b.params {
		t.Parameters.add(d.name, c.parameter(d))
	}
	for _, d := range b.vars {
		t.Variables.add(d.name, c.value(d.value))
	}
	for _, d := range b.resources {
		t.Resources.add(d.name, c.resource(d))
	}
	for _, d := range b.outputs {
		t.Outputs.add(d.name, ordered{{"type", d.kind}, {"value", c.value(d.value)}})
	}
	return encode(t)
}

func (c *compiler) parameter(d declaration) ordered {
	p := ordered{{"type", d.kind}}
	if d.value != nil {
		p.add("defaultValue", c.value(d.value))
	}
	for _, decorator := range slices.Sorted(maps.Keys(d.decorators)) {
		switch value := c.value(d.decorators[decorator]); decorator {
		case "description":
			p.add("metadata", ordered{{"description", value}})
		case "allowed":
			p.add("allowedValues", value)
		case "minLength", "maxLength", "minValue", "maxValue":
			p.add(decorator, value)
		default:
			panic("unknown decorator " + decorator)
		}
	}
	return p
}

func (c *compiler) resource(d declaration) ordered {
	clear(c.used)
	t, version := d.typeAndVersion()
	r := ordered{}
	if d.condition != nil {
		r.add("condition", c.value(d.condition))
	}
	r.add("type", t)
	r.add("apiVersion", version)
	r.add("name", c.value(c.fullName(d)))
	for _, p := range d.value.(object) {
		switch key := p.key.(string); key {
		case "name":
		case "parent":
			c.used[string(p.value.(name))] = true
		case "scope":
			r.add("scope", c.value(member{p.value, "id"}))
		case "dependsOn":
			for _, other := range p.value.(array) {
				c.used[string(other.(name))] = true
			}
		default:
			r.add(key, c.value(p.value))
		}
	}
	if len(c.used) > 0 {
		r.add("dependsOn", slices.Sorted(maps.Keys(c.used)))
	}
	return r
}

// segments are the names of a resource's parents and its own.
func (c *compiler) segments(d declaration) []any {
	body := d.value.(object)
	var segments []any
	if parent, ok := body.get("parent").(name); ok {
		segments = c.segments(c.resources[string(parent)])
	}
	return append(segments, body.get("name"))
}

func (c *compiler) fullName(d declaration) any {
	segments := c.segments(d)
	if len(segments) == 1 {
		return segments[0]
	}
	full := interpolation{""}
	for i, s := range segments {
		if i > 0 {
			full = append(full, "/")
		}
		full = append(full, s, "")
	}
	return joined(full)
}

// joined brings texts that follow one another together.
func joined(parts interpolation) interpolation {
	out := interpolation{""}
	for _, p := range parts {
		last, isText := out[len(out)-1].(string)
		if s, ok := p.(string); ok && isText {
			out[len(out)-1] = last + s
		} else {
			out = append(out, p)
		}
	}
	return out
}

// value is an expression where JSON stands.
func (c *compiler) value(e any) any {
	switch e := e.(type) {
	case int, bool:
		return e
	case string:
		if strings.HasPrefix(e, "[") {
			return "[" + e
		}
		return e
	case array:
		list := []any{}
		for _, item := range e {
			list = append(list, c.value(item))
		}
		return list
	case object:
		o := ordered{}
		for _, p := range e {
			o.add(c.value(p.key).(string), c.value(p.value))
		}
		return o
	}
	return "[" + c.expression(e) + "]"
}

// expression is an expression inside brackets.
func (c *compiler) expression(e any) string {
	switch e := e.(type) {
	case int, bool:
		if b, ok := e.(bool); ok {
			return fmt.Sprintf("%t()", b)
		}
		return fmt.Sprint(e)
	case string:
		return "'" + strings.ReplaceAll(e, "'", "''") + "'"
	case interpolation:
		format, args := "", []any{}
		for _, part := range e {
			if s, ok := part.(string); ok {
				format += strings.NewReplacer("{", "{{", "}", "}}").Replace(s)
			} else {
				format += fmt.Sprintf("{%d}", len(args))
				args = append(args, part)
			}
		}
		return c.expression(call{"format", append([]any{format}, args...)})
	case array:
		return c.expression(call{"createArray", e})
	case object:
		var args []any
		for _, p := range e {
			args = append(args, p.key, p.value)
		}
		return c.expression(call{"createObject", args})
	case call:
		var args []string
		for _, arg := range e.args {
			args = append(args, c.expression(arg))
		}
		return e.function + "(" + strings.Join(args, ", ") + ")"
	case lambda:
		c.lambdas[e.param] = true
		defer delete(c.lambdas, e.param)
		return "lambda('" + e.param + "', " + c.expression(e.body) + ")"
	case member:
		return c.member(e)
	case name:
		switch n := string(e); {
		case c.lambdas[n]:
			return "lambdaVariables('" + n + "')"
		case c.params[n]:
			return "parameters('" + n + "')"
		case c.vars[n]:
			return "variables('" + n + "')"
		}
		panic("nothing is named " + string(e))
	}
	panic(fmt.Sprintf("an expression of type %T", e))
}

func (c *compiler) member(m member) string {
	n, ok := m.of.(name)
	d, isResource := c.resources[string(n)]
	if !ok || !isResource {
		return c.expression(m.of) + "." + m.name
	}
	c.used[d.name] = true
	switch m.name {
	case "id":
		t, _ := d.typeAndVersion()
		return c.expression(call{"resourceId", append([]any{t}, c.segments(d)...)})
	case "name":
		return c.expression(d.value.(object).get("name"))
	case "properties":
		return "reference('" + d.name + "')"
	}
	panic("a resource's " + m.name)
}
