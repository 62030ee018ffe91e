package acs

import (
	"errors"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
)

// retryOptions keeps tries short: a person waits for the answer. The caller's
// deadline bounds them all together. A Retry-After above MaxRetryDelay is not
// waited for but handed on.
func retryOptions() policy.RetryOptions {
	return policy.RetryOptions{
		MaxRetries:    6,
		TryTimeout:    6 * time.Second,
		RetryDelay:    30 * time.Millisecond,
		MaxRetryDelay: 2 * time.Second,
		ShouldRetry:   worthRepeating,
	}
}

func createRetryOptions() policy.RetryOptions {
	o := retryOptions()
	o.TryTimeout = 0 // to give up early would only lose the answer
	o.ShouldRetry = func(resp *http.Response, err error) bool {
		return worthRepeating(resp, err) && !outcomeUnknown(resp, err)
	}
	return o
}

func worthRepeating(resp *http.Response, err error) bool {
	if err != nil {
		return true
	}
	switch resp.StatusCode {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
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

// sentPolicy marks a transport error as *notSentError when no byte of the
// request had been written.
type sentPolicy struct{}

// Do implements policy.Policy.
func (sentPolicy) Do(req *policy.Request) (*http.Response, error) {
	var sent atomic.Bool
	ctx := httptrace.WithClientTrace(req.Raw().Context(), &httptrace.ClientTrace{
		WroteHeaderField: func(string, []string) { sent.Store(true) },
	})
	resp, err := req.Clone(ctx).Next()
	if err != nil && !sent.Load() {
		return nil, &notSentError{err}
	}
	return resp, err
}

type notSentError struct{ err error }

func (e *notSentError) Error() string { return "not sent: " + e.err.Error() }
func (e *notSentError) Unwrap() error { return e.err }
