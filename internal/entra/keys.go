package entra

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// How keys are kept fresh. The intervals are those that Microsoft gives for
// signing key rollover:
// https://learn.microsoft.com/entra/identity-platform/signing-key-rollover
const (
	keysRefresh    = time.Hour        // then fetched again in the background, when a token comes
	keysExpire     = 24 * time.Hour   // then no longer trusted
	unknownPause   = 5 * time.Minute  // between fetches because of unknown key ids
	failedPause    = 30 * time.Second // the same, and in the background, after a fetch that failed
	maxColdPause   = 2 * time.Second  // between fetches while there are no keys at all
	firstColdPause = 250 * time.Millisecond
	fetchTimeout   = 5 * time.Second
	maxKeysSize    = 1 << 20
	maxKeyID       = 128
)

// keySet holds the signing keys of one issuer and fetches them from its JWKS
// endpoint. It implements oidc.KeySet, and differs from go-oidc's own in what an
// attacker can make it do: next to nothing. A bad signature never causes a fetch,
// and unknown key ids cause one in five minutes, one in 30 seconds while the
// endpoint fails, however many arrive. Good keys outlive any failure of the
// endpoint for a day. The price: a key that Entra ID puts to use at once, without
// publishing it first, may be refused for up to five minutes.
type keySet struct {
	url      string
	issuers  []string // what a key's own issuer may be
	tenantID string
	client   *http.Client
	log      *slog.Logger
	now      func() time.Time

	current atomic.Pointer[keys]

	mu          sync.Mutex
	underway    *fetch
	nextCold    time.Time
	coldPause   time.Duration
	nextRefresh time.Time
	nextUnknown time.Time
}

// keys is one good answer of the endpoint.
type keys struct {
	byID    map[string][]key
	fetched time.Time
}

var (
	errNoKeys       = errors.New("there are no signing keys")
	errUnknownKey   = errors.New("the key id is not known")
	errBadSignature = errors.New("the signature is wrong")
)

// newKeySet makes no network call. Keys whose own issuer is none of issuers,
// after {tenantid} has been replaced, are left out.
func newKeySet(url string, issuers []string, tenantID string, client *http.Client, log *slog.Logger, now func() time.Time) *keySet {
	return &keySet{url: url, issuers: issuers, tenantID: tenantID, client: client, log: log, now: now}
}

// signatureCheck goes through go-oidc's verifier to the keySet and back. It
// saves taking the token apart again, and brings what go-oidc does not hand on:
// the keys that were used and the keySet's error.
type signatureCheck struct {
	token token
	keys  *keys
	err   error
}

type signatureCheckKey struct{}

func (s *signatureCheck) context(ctx context.Context) context.Context {
	return context.WithValue(ctx, signatureCheckKey{}, s)
}

// VerifySignature implements oidc.KeySet: it returns the payload of a compact
// JWS that one of the keys has signed with RS256.
func (k *keySet) VerifySignature(ctx context.Context, jwt string) ([]byte, error) {
	s, ok := ctx.Value(signatureCheckKey{}).(*signatureCheck)
	if !ok || s.token.raw != jwt {
		s = &signatureCheck{}
		if s.token, s.err = parseToken(jwt); s.err != nil {
			return nil, s.err
		}
	}
	if s.keys, s.err = k.verify(ctx, s.token); s.err != nil {
		return nil, s.err
	}
	return s.token.payload, nil
}

// verify returns the keys of which one has signed t.
func (k *keySet) verify(ctx context.Context, t token) (*keys, error) {
	set, candidates, err := k.find(ctx, t.header.kid)
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256([]byte(t.raw[:strings.LastIndexByte(t.raw, '.')]))
	for _, key := range candidates {
		if x5t := t.header.x5t; x5t != "" && x5t != t.header.kid && x5t != key.thumbprint {
			continue // the header names two keys
		}
		if rsa.VerifyPKCS1v15(key.public, crypto.SHA256, digest[:], t.signature) == nil {
			return set, nil
		}
	}
	return nil, errBadSignature
}

// find returns the keys of that id, and the set they are of; errNoKeys or
// errUnknownKey.
func (k *keySet) find(ctx context.Context, kid string) (*keys, []key, error) {
	set, err := k.fresh(ctx)
	if err != nil {
		return nil, nil, err
	}
	// Twice, because the first fetch joined may have begun before the key was
	// published.
	for range 2 {
		if found, ok := set.byID[kid]; ok {
			return set, found, nil
		}
		f := k.begin(&k.nextUnknown)
		if f == nil {
			break
		}
		if err := f.wait(ctx); err != nil {
			break
		}
		set = k.current.Load()
	}
	if found, ok := set.byID[kid]; ok {
		return set, found, nil
	}
	return nil, nil, errUnknownKey
}

// fresh returns keys that may be trusted, and sees to it that they stay fresh.
func (k *keySet) fresh(ctx context.Context) (*keys, error) {
	set := k.current.Load()
	if k.trusted(set) {
		if k.now().Sub(set.fetched) > keysRefresh {
			k.begin(&k.nextRefresh)
		}
		return set, nil
	}
	f := k.begin(&k.nextCold)
	if f == nil {
		return nil, errNoKeys
	}
	if err := f.wait(ctx); err != nil {
		return nil, fmt.Errorf("%w: %w", errNoKeys, err)
	}
	return k.current.Load(), nil
}

func (k *keySet) trusted(set *keys) bool {
	return set != nil && k.now().Sub(set.fetched) <= keysExpire
}

// warm fetches the keys unless there are some.
func (k *keySet) warm(ctx context.Context) error {
	_, err := k.fresh(ctx)
	return err
}
