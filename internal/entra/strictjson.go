package entra

import (
	"bytes"
	"errors"
	"io"
	"math"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// members reads the JSON object b and calls each for every member, which reads
// the value. A name that stands twice, in nested objects too, invalid UTF-8 and
// anything after the object are errors. No error quotes the text.
func members(b []byte, each func(name []byte, value *jsontext.Decoder) error) error {
	d := jsontext.NewDecoder(bytes.NewBuffer(b))
	if t, err := d.ReadToken(); err != nil || t.Kind() != '{' {
		return errors.New("not a JSON object")
	}
	for d.PeekKind() == '"' {
		name, err := d.ReadValue() // not a Token, whose String would be a copy
		if err == nil {
			err = each(unquote(name), d)
		}
		if err != nil {
			return plainError(err)
		}
	}
	if t, err := d.ReadToken(); err != nil || t.Kind() != '}' {
		return errors.New("not valid JSON")
	}
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
		return errors.New("there is something after the JSON object")
	}
	return nil
}

// unquote returns the text of a JSON string, which is known to be valid.
func unquote(quoted jsontext.Value) []byte {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return quoted[1 : len(quoted)-1]
	}
	text, err := jsontext.AppendUnquote(nil, quoted)
	if err != nil {
		return nil
	}
	return text
}

// plainError drops the decoder's words, which quote the text.
func plainError(err error) error {
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		return errors.New("a name stands twice")
	case errors.As(err, new(*jsontext.SyntacticError)), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("not valid JSON")
	}
	return err
}

// text reads a string, or null as if the member were absent.
func text(value *jsontext.Decoder, into *string) error {
	t, err := value.ReadToken()
	switch {
	case err != nil:
		return err
	case t.Kind() == '"':
		*into = t.String()
		return nil
	case t.Kind() == 'n':
		return nil
	}
	return errors.New("a value is not a string")
}

// texts reads an array of strings.
func texts(value *jsontext.Decoder, into *[]string) error {
	if t, err := value.ReadToken(); err != nil || t.Kind() != '[' {
		return errors.New("a value is not an array")
	}
	for value.PeekKind() == '"' {
		t, err := value.ReadToken()
		if err != nil {
			return err
		}
		*into = append(*into, t.String())
	}
	if t, err := value.ReadToken(); err != nil || t.Kind() != ']' {
		return errors.New("a value is not an array of strings")
	}
	return nil
}

// numericDate reads seconds since 1970, with or without a fraction (RFC 7519 §2).
func numericDate(value *jsontext.Decoder, into *time.Time) error {
	t, err := value.ReadToken()
	if err != nil {
		return err
	}
	if t.Kind() != '0' {
		return errors.New("a time is not a number")
	}
	seconds, err := t.Float()
	if err != nil || !(seconds >= 1 && seconds <= 1e11) {
		return errors.New("a time is out of range")
	}
	whole, fraction := math.Modf(seconds)
	*into = time.Unix(int64(whole), int64(fraction*1e9))
	return nil
}
