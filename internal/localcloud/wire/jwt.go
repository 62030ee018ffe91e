package wire

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"strings"
	"time"
)

var b64 = base64.RawURLEncoding

// Key is a signing key: 2048-bit RSA with a self-signed certificate, whose
// thumbprint is the key's id, as it is at Microsoft.
type Key struct {
	ID          string // kid and x5t
	private     *rsa.PrivateKey
	certificate *x509.Certificate
}

// NewKey makes a random key, valid from the given time.
func NewKey(notBefore time.Time) (*Key, error) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, fmt.Errorf("generate a signing key: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "local cloud, not for production"},
		NotBefore:    notBefore,
		NotAfter:     notBefore.AddDate(5, 0, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		return nil, fmt.Errorf("certify the signing key: %w", err)
	}
	return newKey(private, der)
}

func newKey(private *rsa.PrivateKey, der []byte) (*Key, error) {
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	thumbprint := sha1.Sum(der)
	return &Key{ID: b64.EncodeToString(thumbprint[:]), private: private, certificate: certificate}, nil
}

// Certificate is the key's own.
func (k *Key) Certificate() *x509.Certificate { return k.certificate }

// Export returns the key as PEM, its private half in clear text. ImportKey reads
// it.
func (k *Key) Export() string {
	private, err := x509.MarshalPKCS8PrivateKey(k.private)
	if err != nil {
		panic(err) // an RSA key always fits
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})) +
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: k.certificate.Raw}))
}

// ImportKey reads what Export has written.
func ImportKey(text string) (*Key, error) {
	first, rest := pem.Decode([]byte(text))
	second, _ := pem.Decode(rest)
	if first == nil || second == nil {
		return nil, errors.New("signing key: expected a private key and a certificate in PEM")
	}
	private, err := x509.ParsePKCS8PrivateKey(first.Bytes)
	if err != nil {
		return nil, errors.New("signing key: expected a private key in PKCS #8")
	}
	key, ok := private.(*rsa.PrivateKey)
	if !ok {
		return nil, errors.New("signing key: expected an RSA key")
	}
	return newKey(key, second.Bytes)
}

// Public returns the public half.
func (k *Key) Public() *rsa.PublicKey { return &k.private.PublicKey }

// JWK returns the public half as a JSON Web Key.
func (k *Key) JWK() map[string]any {
	return map[string]any{
		"kty": "RSA",
		"use": "sig",
		"kid": k.ID,
		"x5t": k.ID,
		"n":   b64.EncodeToString(k.private.N.Bytes()),
		"e":   b64.EncodeToString(big.NewInt(int64(k.private.E)).Bytes()),
		"x5c": []string{base64.StdEncoding.EncodeToString(k.certificate.Raw)},
	}
}

// Sign returns a compact JWT. The header members alg, typ and kid are filled in
// where absent; a header member that is nil is left out altogether. The
// signature is RS256 whatever alg says. Sign panics on a value that JSON can't
// hold.
func (k *Key) Sign(header, claims map[string]any) string {
	h := map[string]any{"alg": "RS256", "typ": "JWT", "kid": k.ID}
	maps.Copy(h, header)
	maps.DeleteFunc(h, func(_ string, v any) bool { return v == nil })
	signed := segment(h) + "." + segment(claims)
	digest := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, k.private, crypto.SHA256, digest[:])
	if err != nil {
		panic(err) // the key and the digest always fit each other
	}
	return signed + "." + b64.EncodeToString(signature)
}

func segment(v map[string]any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b64.EncodeToString(text)
}

// ErrSignature: the token is not a JWT that one of the keys has signed with
// RS256 or PS256.
var ErrSignature = errors.New("not a token signed with a known key")

// Verify returns the claims of a JWT that the key named in its header has
// signed. It checks the signature and nothing else: not expiry, issuer or
// audience. Its only error is one that Is ErrSignature.
func Verify(token string, key func(kid string) *rsa.PublicKey) (claims map[string]any, err error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, fmt.Errorf("%w: expected 3 parts, got %d", ErrSignature, len(parts))
	}
	var header struct {
		Alg string `json:"alg"`
		Kid string `json:"kid"`
	}
	if err := open(parts[0], &header); err != nil {
		return nil, fmt.Errorf("%w: header: %w", ErrSignature, err)
	}
	public := key(header.Kid)
	if public == nil {
		return nil, fmt.Errorf("%w: kid %q", ErrSignature, header.Kid)
	}
	signature, err := b64.Strict().DecodeString(parts[2])
	if err != nil {
		return nil, fmt.Errorf("%w: signature: %w", ErrSignature, err)
	}
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	switch header.Alg {
	case "RS256":
		err = rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], signature)
	case "PS256":
		err = rsa.VerifyPSS(public, crypto.SHA256, digest[:], signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
	default:
		err = fmt.Errorf("alg %q", header.Alg)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSignature, err)
	}
	if err := open(parts[1], &claims); err != nil {
		return nil, fmt.Errorf("%w: claims: %w", ErrSignature, err)
	}
	return claims, nil
}

// Peek returns the header and the claims of a JWT without looking at its
// signature: nothing in them can be relied on.
func Peek(token string) (header, claims map[string]any, err error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, nil, fmt.Errorf("%w: expected 3 parts, got %d", ErrSignature, len(parts))
	}
	if err := errors.Join(open(parts[0], &header), open(parts[1], &claims)); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrSignature, err)
	}
	return header, claims, nil
}

func open(part string, v any) error {
	text, err := b64.Strict().DecodeString(part)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, v)
}
