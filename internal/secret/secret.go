// Package secret holds values that must never reach a log, an error or a
// response by accident: access keys, connection strings, tokens.
//
// A String prints as [redacted] through fmt, encoding/json and log/slog.
// Reveal is the one way to its text, so a search for Reveal finds every place
// where a secret leaves.
package secret

import (
	"crypto/subtle"
	"fmt"
	"log/slog"
)

const redacted = "[redacted]"

// String is a secret text. The zero value is the empty secret. Compare with
// Equal, not with ==.
type String struct {
	// A pointer, because fmt calls no methods on an unexported field of
	// somebody's struct: it would print a plain string there.
	text *string
}

// New wraps text.
func New(text string) String { return String{&text} }

// Reveal returns the text itself.
func (s String) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// Empty reports whether there is no text.
func (s String) Empty() bool { return s.Reveal() == "" }

// Equal compares in constant time for texts of the same length.
func (s String) Equal(other String) bool {
	return subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(other.Reveal())) == 1
}

// String implements fmt.Stringer without the text.
func (s String) String() string { return redacted }

// GoString implements fmt.GoStringer without the text.
func (s String) GoString() string { return redacted }

// Format answers every fmt verb, %x and %q among them, without the text.
func (s String) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// MarshalText answers encoding/json and its like without the text.
func (s String) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue implements slog.LogValuer without the text.
func (s String) LogValue() slog.Value { return slog.StringValue(redacted) }
