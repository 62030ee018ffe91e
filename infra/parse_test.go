package infra

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
)

// This file reads as much of the Bicep language as main.bicep uses: parameters
// with decorators, variables, resources, outputs, and expressions. Modules, loops
// and user-defined types are not in it.

// bicep is a file taken apart, each kind in the order of the file.
type bicep struct {
	params, vars, outputs, resources []declaration
}

// declaration is one named thing. kind is the type of a parameter or an output,
// and type@version of a resource.
type declaration struct {
	name, kind string
	value      any // an expression; nil for a parameter without a default
	condition  any
	decorators map[string]any
}

func (d declaration) typeAndVersion() (string, string) {
	t, version, _ := strings.Cut(d.kind, "@")
	return t, version
}

// Expressions are string, int, bool, and:
type (
	interpolation []any  // string and expression in turn
	name          string // of a parameter, a variable, a resource or a function
	member        struct {
		of   any
		name string
	}
	call struct {
		function string
		args     []any
	}
	lambda struct {
		param string
		body  any
	}
	array  []any
	object []property
)

type property struct{ key, value any } // key is string or interpolation

func (o object) get(key string) any {
	for _, p := range o {
		if p.key == key {
			return p.value
		}
	}
	return nil
}

type parser struct {
	src string
	pos int
}

// parse returns an error that says where the file can't be read.
func parse(src string) (b bicep, err error) {
	p := &parser{src: src}
	defer func() {
		if problem := recover(); problem != nil {
			err = fmt.Errorf("line %d: %v", 1+strings.Count(p.src[:p.pos], "\n"), problem)
		}
	}()
	for p.space(true); p.pos < len(p.src); p.space(true) {
		p.declaration(&b)
	}
	return b, nil
}

func (p *parser) declaration(b *bicep) {
	d := declaration{decorators: map[string]any{}}
	for p.take("@") {
		c := p.expression().(call)
		d.decorators[c.function] = c.args[0]
		p.space(true)
	}
	keyword := p.word()
	if keyword == "targetScope" {
		p.expect("=")
		p.expression()
		return
	}
	d.name = p.word()
	switch keyword {
	case "param":
		d.kind = p.word()
		if p.take("=") {
			d.value = p.expression()
		}
		b.params = append(b.params, d)
	case "var":
		p.expect("=")
		d.value = p.expression()
		b.vars = append(b.vars, d)
	case "output":
		d.kind = p.word()
		p.expect("=")
		d.value = p.expression()
		b.outputs = append(b.outputs, d)
	case "resource":
		d.kind = p.expression().(string)
		p.expect("=")
		if p.take("if") {
			p.expect("(")
			d.condition = p.expression()
			p.expect(")")
		}
		d.value = p.expression()
		b.resources = append(b.resources, d)
	default:
		panic("expected a declaration, got " + keyword)
	}
}

// space skips blanks and comments, and line ends where they mean nothing.
func (p *parser) space(lines bool) {
	for p.pos < len(p.src) {
		rest := p.src[p.pos:]
		switch {
		case strings.HasPrefix(rest, "//"), strings.HasPrefix(rest, "#disable"):
			if end := strings.IndexByte(rest, '\n'); end >= 0 {
				p.pos += end
			} else {
				p.pos = len(p.src)
			}
		case rest[0] == ' ', lines && (rest[0] == '\n' || rest[0] == '\r'):
			p.pos++
		default:
			return
		}
	}
}

// take skips s if it comes next on this line.
func (p *parser) take(s string) bool {
	p.space(false)
	if !strings.HasPrefix(p.src[p.pos:], s) {
		return false
	}
	p.pos += len(s)
	return true
}

func (p *parser) expect(s string) {
	if !p.take(s) {
		panic("expected " + s)
	}
}

func (p *parser) word() string {
	p.space(false)
	start := p.pos
	for p.pos < len(p.src) && (p.src[p.pos] == '_' || unicode.IsLetter(rune(p.src[p.pos])) || unicode.IsDigit(rune(p.src[p.pos]))) {
		p.pos++
	}
	if p.pos == start {
		panic("expected a name")
	}
	return p.src[start:p.pos]
}

func (p *parser) expression() any {
	left := p.operand()
	if p.take("==") {
		left = call{"equals", []any{left, p.operand()}}
	}
	if p.take("?") {
		yes := p.expression()
		p.expect(":")
		return call{"if", []any{left, yes, p.expression()}}
	}
	return left
}

func (p *parser) operand() any {
	if p.take("!") {
		return call{"not", []any{p.operand()}}
	}
	e := p.primary()
	for p.take(".") {
		e = member{e, p.word()}
	}
	return e
}

func (p *parser) primary() any {
	p.space(false)
	switch c := rune(p.src[p.pos]); {
	case c == '\'':
		return p.text()
	case c == '[':
		return array(p.list("[", "]"))
	case c == '{':
		return p.object()
	case unicode.IsDigit(c):
		n, err := strconv.Atoi(p.word())
		if err != nil {
			panic(err)
		}
		return n
	}
	w := p.word()
	switch {
	case w == "true", w == "false":
		return w == "true"
	case strings.HasPrefix(p.src[p.pos:], "("):
		return call{w, p.list("(", ")")}
	case p.take("=>"):
		return lambda{w, p.expression()}
	}
	return name(w)
}

// list reads expressions between commas or line ends.
func (p *parser) list(open, end string) (items []any) {
	p.expect(open)
	for p.space(true); !p.take(end); p.space(true) {
		items = append(items, p.expression())
		p.take(",")
	}
	return items
}

func (p *parser) object() object {
	o := object{}
	p.expect("{")
	for p.space(true); !p.take("}"); p.space(true) {
		var key any
		if p.src[p.pos] == '\'' {
			key = p.text()
		} else {
			key = p.word()
		}
		p.expect(":")
		o = append(o, property{key, p.expression()})
		p.take(",")
	}
	return o
}

func (p *parser) text() any {
	p.expect("'")
	var parts interpolation
	var b strings.Builder
	for {
		switch rest := p.src[p.pos:]; {
		case strings.HasPrefix(rest, "'"):
			p.pos++
			if parts == nil {
				return b.String()
			}
			return append(parts, b.String())
		case strings.HasPrefix(rest, "${"):
			p.pos += 2
			parts = append(parts, b.String(), p.expression())
			b.Reset()
			p.expect("}")
		case strings.HasPrefix(rest, `\`):
			b.WriteByte(rest[1]) // \' and \\ alone are used
			p.pos += 2
		case rest[0] == '\n':
			panic("a string has no end")
		default:
			b.WriteByte(rest[0])
			p.pos++
		}
	}
}
