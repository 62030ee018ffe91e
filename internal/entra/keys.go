package entra

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
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

// KeySet holds the signing keys of one issuer and fetches them from its JWKS
// endpoint. It implements oidc.KeySet, and differs from go-oidc's own in what an
// attacker can make it do: nothing. A bad signature never causes a fetch, and
// unknown key ids cause one in five minutes, however many arrive. Good keys
// outlive any failure of the endpoint for a day.
type KeySet struct {
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
	byID    map[string][]*rsa.PublicKey
	fetched time.Time
}

// fetch is one request under way; err is set before done is closed.
type fetch struct {
	done chan struct{}
	err  error
}

var (
	errNoKeys       = errors.New("there are no signing keys")
	errUnknownKey   = errors.New("the key id is not known")
	errBadSignature = errors.New("the signature is wrong")
)

// NewKeySet makes no network call. Keys whose own issuer is none of issuers,
// after {tenantid} has been replaced, are left out.
func NewKeySet(url string, issuers []string, tenantID string, client *http.Client, log *slog.Logger, now func() time.Time) *KeySet {
	return &KeySet{url: url, issuers: issuers, tenantID: tenantID, client: client, log: log, now: now}
}

type errorSlotKey struct{}

// withErrorSlot lets a KeySet leave its error where the caller of go-oidc's
// verifier finds it.
func withErrorSlot(ctx context.Context, slot *error) context.Context {
	return context.WithValue(ctx, errorSlotKey{}, slot)
}

// VerifySignature implements oidc.KeySet: it returns the payload of a compact
// JWS that one of the keys has signed with RS256.
func (k *KeySet) VerifySignature(ctx context.Context, jwt string) ([]byte, error) {
	payload, err := k.verify(ctx, jwt)
	if slot, ok := ctx.Value(errorSlotKey{}).(*error); ok {
		*slot = err
	}
	return payload, err
}

func (k *KeySet) verify(ctx context.Context, jwt string) ([]byte, error) {
	head, payload, signature, err := segments(jwt)
	if err != nil {
		return nil, err
	}
	h, err := parseHeader(head)
	if err == nil {
		err = h.check()
	}
	if err != nil {
		return nil, err
	}
	candidates, err := k.find(ctx, h.kid)
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256([]byte(jwt[:strings.LastIndexByte(jwt, '.')]))
	for _, key := range candidates {
		if rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], signature) == nil {
			return payload, nil
		}
	}
	return nil, errBadSignature
}

// find returns the keys of that id; errNoKeys or errUnknownKey.
func (k *KeySet) find(ctx context.Context, kid string) ([]*rsa.PublicKey, error) {
	set, err := k.fresh(ctx)
	if err != nil {
		return nil, err
	}
	// Twice, because the first fetch joined may have begun before the key was
	// published.
	for range 2 {
		if found, ok := set.byID[kid]; ok {
			return found, nil
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
		return found, nil
	}
	return nil, errUnknownKey
}

// fresh returns keys that may be trusted, and sees to it that they stay fresh.
func (k *KeySet) fresh(ctx context.Context) (*keys, error) {
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

func (k *KeySet) trusted(set *keys) bool {
	return set != nil && k.now().Sub(set.fetched) <= keysExpire
}

func (k *KeySet) usable() bool { return k.trusted(k.current.Load()) }

// Warm fetches the keys unless there are some.
func (k *KeySet) Warm(ctx context.Context) error {
	_, err := k.fresh(ctx)
	return err
}

// begin returns the fetch under way, or starts one unless that is too early by
// gate: then nil.
func (k *KeySet) begin(gate *time.Time) *fetch {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.underway != nil {
		return k.underway
	}
	now := k.now()
	if now.Before(*gate) {
		return nil
	}
	f := &fetch{done: make(chan struct{})}
	k.underway = f
	go k.run(f, gate)
	return f
}

func (f *fetch) wait(ctx context.Context) error {
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// run fetches once and says when the next fetch of its kind may begin.
func (k *KeySet) run(f *fetch, gate *time.Time) {
	ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
	defer cancel()
	byID, err := k.get(ctx)

	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.now()
	if err == nil {
		k.current.Store(&keys{byID, now})
		k.coldPause = 0
	} else {
		k.log.LogAttrs(ctx, slog.LevelWarn, "signing keys could not be fetched", slog.Any("error", err))
		k.coldPause = min(max(2*k.coldPause, firstColdPause), maxColdPause)
	}
	switch {
	case gate == &k.nextCold:
		*gate = now.Add(k.coldPause)
	case err != nil:
		*gate = now.Add(failedPause)
	case gate == &k.nextUnknown:
		*gate = now.Add(unknownPause)
	}
	f.err = err
	k.underway = nil
	close(f.done)
}

// get asks the endpoint. Any answer that holds no usable key is an error.
func (k *KeySet) get(ctx context.Context) (map[string][]*rsa.PublicKey, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, k.url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	resp, err := k.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the keys endpoint answered %d", resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxKeysSize+1))
	if err != nil {
		return nil, err
	}
	if len(body) > maxKeysSize {
		return nil, errors.New("the keys endpoint's answer is too long")
	}
	return k.parse(body)
}
