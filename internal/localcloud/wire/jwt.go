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
	certificate []byte // DER
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
	thumbprint := sha1.Sum(der)
	return &Key{ID: b64.EncodeToString(thumbprint[:]), private: private, certificate: der}, nil
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
		"x5c": []string{base64.StdEncoding.EncodeToString(k.certificate)},
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
// RS256.
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
	if header.Alg != "RS256" || public == nil {
		return nil, fmt.Errorf("%w: alg %q, kid %q", ErrSignature, header.Alg, header.Kid)
	}
	signature, err := b64.Strict().DecodeString(parts[2])
	if err != nil {
		return nil, fmt.Errorf("%w: signature: %w", ErrSignature, err)
	}
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err := rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], signature); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSignature, err)
	}
	if err := open(parts[1], &claims); err != nil {
		return nil, fmt.Errorf("%w: claims: %w", ErrSignature, err)
	}
	return claims, nil
}

func open(part string, v any) error {
	text, err := b64.Strict().DecodeString(part)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, v)
}
