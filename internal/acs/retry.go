package acs

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"acsauth/internal/upstream"
)

// retryOptions keeps tries short: a person waits for the answer. The caller's
// deadline bounds them all together. A Retry-After above MaxRetryDelay is not
// waited for but handed on.
func (b *retryBudget) retryOptions() policy.RetryOptions {
	return policy.RetryOptions{
		MaxRetries:    9, // where three tries in ten fail, one call in 170,000 does
		TryTimeout:    6 * time.Second,
		RetryDelay:    5 * time.Millisecond, // doubled each time: five seconds all told
		MaxRetryDelay: 2 * time.Second,
		ShouldRetry: func(resp *http.Response, err error) bool {
			return worthRepeating(resp, err) && b.allows()
		},
	}
}

func (b *retryBudget) createRetryOptions() policy.RetryOptions {
	o := b.retryOptions()
	o.TryTimeout = 0 // to give up early would only lose the answer
	o.ShouldRetry = func(resp *http.Response, err error) bool {
		return worthRepeating(resp, err) && !outcomeUnknown(resp, err) && b.allows()
	}
	return o
}

func worthRepeating(resp *http.Response, err error) bool {
	if err != nil {
		return true
	}
	switch resp.StatusCode {
	case http.StatusTooManyRequests:
		// Each try counts against what ACS grants, so not before it says when.
		return upstream.RetryAfter(resp.Header) > 0
	case http.StatusRequestTimeout, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// retryBudget keeps retries from making an outage worse. Each failed try takes
// one from it and each good one puts half back: a third of all tries may fail
// and be repeated for ever, but when ACS is down, calls soon try once.
type retryBudget struct {
	mu   sync.Mutex
	left float64
}

const maxRetryBudget = 100

func newRetryBudget() *retryBudget { return &retryBudget{left: maxRetryBudget} }

func (b *retryBudget) count(resp *http.Response, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil || resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests {
		b.left = max(b.left-1, 0)
		return
	}
	b.left = min(b.left+0.5, maxRetryBudget)
}

func (b *retryBudget) allows() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.left > 0
}

// outcomeUnknown reports whether ACS may have done what it was asked, going by a
// failed try: 429 and 503 say that it has not, and so does a connection that
// broke before the request was on it.
func outcomeUnknown(resp *http.Response, err error) bool {
	if err != nil {
		return !errors.As(err, new(*notSentError))
	}
	switch resp.StatusCode {
	case http.StatusRequestTimeout, http.StatusInternalServerError, http.StatusBadGateway, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// tryPolicy looks at each try: it counts the outcome, and marks a transport error
// as *notSentError when no byte of the request had been written.
type tryPolicy struct{ budget *retryBudget }

// Do implements policy.Policy.
func (p tryPolicy) Do(req *policy.Request) (*http.Response, error) {
	var sent atomic.Bool
	ctx := httptrace.WithClientTrace(req.Raw().Context(), &httptrace.ClientTrace{
		WroteHeaderField: func(string, []string) { sent.Store(true) },
	})
	resp, err := req.WithContext(ctx).Next()
	if !errors.Is(context.Cause(req.Raw().Context()), context.Canceled) { // a caller who leaves says nothing of ACS
		p.budget.count(resp, err)
	}
	if err != nil && !sent.Load() {
		return nil, &notSentError{err}
	}
	return resp, err
}

type notSentError struct{ err error }

func (e *notSentError) Error() string { return "not sent: " + e.err.Error() }
func (e *notSentError) Unwrap() error { return e.err }
