package identity

import (
	"hash/maphash"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

const (
	// reuseSize is what ACS grants in a minute: 1,000 tokens in 30 seconds.
	reuseSize = 2000
	// reusePerIdentity is how many kinds of token are kept of one identity.
	reusePerIdentity = 4
	// reuseLeft is how much longer a token lives that is handed out again.
	reuseLeft = 10 * time.Minute
)

// reuse keeps tokens for a short time, to hand them to the same user again.
type reuse struct {
	lasting time.Duration
	now     func() time.Time
	tokens  *lru.Cache[string, []kept] // by ACS user id, newest first
	seed    maphash.Seed

	mu sync.Mutex
	// drops counts what has been dropped, by a hash of the ACS user id. A token
	// whose issue began at another count is not kept. That two identities share
	// a count costs the odd token that could have been.
	drops [256]uint64
}

type kept struct {
	kind  string
	token Token
	until time.Time
}

func newReuse(lasting time.Duration, now func() time.Time) *reuse {
	return &reuse{lasting: lasting, now: now, tokens: newLRU[string, []kept](reuseSize), seed: maphash.MakeSeed()}
}

// kindOf tells requests apart whose tokens must not stand in for one another.
func kindOf(req TokenRequest) string {
	scopes := slices.Sorted(slices.Values(req.Scopes))
	return strings.Join(scopes, " ") + " " + strconv.FormatInt(int64(req.ExpiresIn/time.Minute), 10)
}

func (r *reuse) get(acsUserID, kind string) (Token, bool) {
	tokens, _ := r.tokens.Get(acsUserID)
	now := r.now()
	for _, k := range tokens {
		if k.kind == kind && now.Before(k.until) {
			return k.token, true
		}
	}
	return Token{}, false
}

// count is taken before a token is issued that may be kept.
func (r *reuse) count(acsUserID string) uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return *r.dropsOf(acsUserID)
}

func (r *reuse) dropsOf(acsUserID string) *uint64 {
	return &r.drops[maphash.String(r.seed, acsUserID)%uint64(len(r.drops))]
}

// keep keeps a token whose issue began at count, unless there was a drop since.
func (r *reuse) keep(acsUserID string, count uint64, kind string, token Token) {
	now := r.now()
	until := now.Add(r.lasting)
	if last := token.ExpiresOn.Add(-reuseLeft); last.Before(until) {
		until = last
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if *r.dropsOf(acsUserID) != count || !now.Before(until) {
		return
	}
	earlier, _ := r.tokens.Peek(acsUserID)
	tokens := []kept{{kind, token, until}}
	for _, k := range earlier {
		if k.kind != kind && len(tokens) < reusePerIdentity {
			tokens = append(tokens, k)
		}
	}
	r.tokens.Add(acsUserID, tokens)
}

// drop forgets the tokens of an identity, also those that are being issued.
func (r *reuse) drop(acsUserID string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tokens.Remove(acsUserID)
	*r.dropsOf(acsUserID)++
}
