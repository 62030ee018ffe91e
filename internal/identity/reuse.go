package identity

import (
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

	mu       sync.Mutex
	underway map[string]*issuing // by ACS user id
	began    uint64
}

type kept struct {
	kind  string
	token Token
	until time.Time
}

// issuing stands for the tokens of one identity that are being issued and may be
// kept. A drop puts it out of underway, and so they are not.
type issuing struct {
	name  string // unlike that of any other
	kinds map[string]bool
}

func newReuse(lasting time.Duration, now func() time.Time) *reuse {
	tokens, err := lru.New[string, []kept](reuseSize)
	if err != nil {
		panic(err) // only a size below one is an error
	}
	return &reuse{lasting: lasting, now: now, tokens: tokens, underway: map[string]*issuing{}}
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

// begin is called before a token is issued that may be kept.
func (r *reuse) begin(acsUserID, kind string) *issuing {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := r.underway[acsUserID]
	if i == nil {
		r.began++
		i = &issuing{name: acsUserID + " " + strconv.FormatUint(r.began, 10), kinds: map[string]bool{}}
		r.underway[acsUserID] = i
	}
	i.kinds[kind] = true
	return i
}

// end is called once a token has been issued, or has not: then err is set.
func (r *reuse) end(i *issuing, acsUserID, kind string, token Token, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.underway[acsUserID] != i {
		return
	}
	if delete(i.kinds, kind); len(i.kinds) == 0 {
		delete(r.underway, acsUserID)
	}
	now := r.now()
	until := now.Add(r.lasting)
	if last := token.ExpiresOn.Add(-reuseLeft); last.Before(until) {
		until = last
	}
	if err != nil || !now.Before(until) {
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
	delete(r.underway, acsUserID)
}
