package acsidentity

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"acsauth/internal/localcloud/wire"
)

const (
	schemeKey    = "HMAC-SHA256"
	schemeBearer = "Bearer"
)

// authenticate lets in who holds the access key, or an Entra token that the
// hook accepts. The error says why not; it holds no secret.
func (s *Server) authenticate(r *http.Request, body []byte) error {
	scheme, credential, err := authorization(r)
	if err != nil {
		return err
	}
	switch {
	case strings.EqualFold(scheme, schemeKey):
		wire.SetCaller(r, "access key")
		return s.checkSignature(r, credential, body)
	case strings.EqualFold(scheme, schemeBearer):
		wire.SetCaller(r, "Entra app")
		return s.verifyBearer(credential)
	}
	return fmt.Errorf("authorization scheme: expected %s or %s, got %q", schemeKey, schemeBearer, scheme)
}

func authorization(r *http.Request) (scheme, credential string, err error) {
	values := r.Header.Values("Authorization")
	if len(values) != 1 {
		return "", "", fmt.Errorf("expected one Authorization header, got %d", len(values))
	}
	scheme, credential, _ = strings.Cut(values[0], " ")
	return scheme, strings.TrimSpace(credential), nil
}

// checkSignature checks a request against the access key, as
// https://learn.microsoft.com/rest/api/communication/authentication describes.
// The same signature is good any number of times within the window: the
// official clients send a retry as it was.
func (s *Server) checkSignature(r *http.Request, credential string, body []byte) error {
	var signedHeaders, signature string
	for parameter := range strings.SplitSeq(credential, "&") {
		name, value, _ := strings.Cut(parameter, "=")
		switch name {
		case "SignedHeaders":
			signedHeaders = value
		case "Signature":
			signature = value
		}
	}
	names := strings.Split(strings.ToLower(signedHeaders), ";")
	dated := ""
	for _, name := range []string{"date", "x-ms-date"} { // the second has precedence
		if slices.Contains(names, name) {
			dated = name
		}
	}
	if dated == "" || !slices.Contains(names, "host") || !slices.Contains(names, "x-ms-content-sha256") {
		return fmt.Errorf("signed headers: expected a date, host and x-ms-content-sha256, got %q", signedHeaders)
	}

	// Assumed: SignedHeaders may name the headers in any order, and they count in
	// that order; the clients all use one.
	values := make([]string, len(names))
	for i, name := range names {
		value, err := headerValue(r, name)
		if err != nil {
			return err
		}
		values[i] = value
		switch name {
		case dated:
			if err := s.checkDate(value); err != nil {
				return err
			}
		case "x-ms-content-sha256":
			sum := sha256.Sum256(body)
			if !hmac.Equal([]byte(value), []byte(base64.StdEncoding.EncodeToString(sum[:]))) {
				return errors.New("x-ms-content-sha256 is not the hash of the body")
			}
		}
	}
	mac := hmac.New(sha256.New, s.account.Load().key)
	// The target as it was sent: another escaping is another signature.
	_, _ = mac.Write([]byte(r.Method + "\n" + r.RequestURI + "\n" + strings.Join(values, ";")))
	if !hmac.Equal([]byte(signature), []byte(base64.StdEncoding.EncodeToString(mac.Sum(nil)))) {
		return errors.New("the signature does not match: another access key, or another method, target, date or host than was signed")
	}
	return nil
}

// headerValue reads a header that was signed. net/http keeps Host by itself.
func headerValue(r *http.Request, name string) (string, error) {
	if name == "host" {
		return r.Host, nil
	}
	values := r.Header.Values(name)
	if len(values) != 1 {
		return "", fmt.Errorf("signed header %s: expected it once, got it %d times", name, len(values))
	}
	return values[0], nil
}

func (s *Server) checkDate(value string) error {
	date, err := http.ParseTime(value)
	if err != nil {
		return fmt.Errorf("date: expected the form %q", http.TimeFormat)
	}
	if off := s.now().Sub(date).Abs(); off > s.skew {
		return fmt.Errorf("date is off by %s, more than %s", off, s.skew)
	}
	return nil
}
