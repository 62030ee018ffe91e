package acs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"

	"acsauth/internal/identity"
	"acsauth/internal/secret"
	"acsauth/internal/upstream"
)

// operation is one request and what its failures mean.
type operation struct {
	method, path string
	body         any
	bearer       secret.String // the user's token, in place of this service's own authority
	unknown      error         // what ACS's 404 says of what the path names; nil: nothing
	erases       bool          // so only a 404 in ACS's own words counts as done
	creates      bool          // not to be repeated once sent
	exchanges    bool          // 400 and 401 may be about the user's token
	quota        *throttle     // nil: not held back, whatever the pressure
	user         string        // whose turn it takes; empty: a user of its own
}

// call makes the request when its turn has come.
func (c *Client) call(ctx context.Context, pipeline runtime.Pipeline, op operation, answer any) error {
	if op.quota == nil {
		return c.send(ctx, pipeline, op, answer)
	}
	if err := op.quota.check(); err != nil {
		return err
	}
	if op.user == "" {
		op.user = strconv.FormatUint(c.unnamed.Add(1), 10)
	}
	done, err := c.gate.pass(ctx, op.user)
	if err != nil {
		return err
	}
	defer done()
	return c.send(ctx, pipeline, op, answer)
}

// lateAnswer is how long beyond its deadline a create may be answered. A process
// that was suspended wakes up to find the deadline passed and the answer there.
const lateAnswer = time.Second

func (c *Client) send(ctx context.Context, pipeline runtime.Pipeline, op operation, answer any) error {
	if op.creates {
		if err := ctx.Err(); err != nil {
			return unavailable(err, 0) // the pipeline would not tell that nothing was sent
		}
		longer, cancel := outlast(ctx, lateAnswer)
		defer cancel()
		ctx = longer
	}
	req, err := c.newRequest(ctx, op)
	if err != nil {
		return unexpected(err)
	}
	sent := c.now()
	resp, err := pipeline.Do(req)
	if err != nil {
		return transportError(ctx, op, err)
	}
	if op.quota != nil {
		op.quota.observe(resp, sent)
	}
	body, err := runtime.Payload(resp) // which upstream.Guard has read
	if err != nil {
		return transportError(ctx, op, err)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return refusal(op, resp, body)
	}
	if answer == nil {
		return nil
	}
	if err := unmarshal(body, answer); err != nil {
		return op.afterwards(unexpected(err))
	}
	return nil
}

// outlast returns a context that ends d after ctx, from the same cause.
func outlast(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	longer, end := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		time.AfterFunc(d, func() { end(context.Cause(ctx)) })
	})
	return longer, func() { stop(); end(nil) }
}

func (c *Client) newRequest(ctx context.Context, op operation) (*policy.Request, error) {
	req, err := runtime.NewRequest(ctx, op.method, c.endpoint+op.path+"?api-version="+url.QueryEscape(c.version))
	if err != nil {
		return nil, err
	}
	req.Raw().Header.Set("Accept", "application/json")
	if op.body != nil {
		b, err := json.Marshal(op.body)
		if err != nil {
			return nil, err
		}
		if err := req.SetBody(streaming.NopCloser(bytes.NewReader(b)), "application/json"); err != nil {
			return nil, err
		}
	} else if op.creates {
		// The official clients say so of their empty body too.
		req.Raw().Header.Set("Content-Type", "application/json")
	}
	if !op.bearer.Empty() {
		req.Raw().Header.Set("Authorization", "Bearer "+op.bearer.Reveal())
	}
	return req, nil
}

// Connect opens a connection ahead of the first request. It needs no authority
// and does nothing: any answer will do.
func (c *Client) Connect(ctx context.Context) error {
	req, err := runtime.NewRequest(policy.WithRetryOptions(ctx, policy.RetryOptions{MaxRetries: -1}), http.MethodHead, c.endpoint+"/")
	if err != nil {
		return err
	}
	resp, err := c.bare.Do(req)
	if err != nil {
		return upstream.Brief(err)
	}
	return resp.Body.Close()
}

// CheckAccess finds out whether ACS takes this service's authority, with a call
// that changes nothing: it revokes the tokens of an identity that there is not.
func (c *Client) CheckAccess(ctx context.Context) error {
	const nobody = "8:acs:00000000-0000-0000-0000-000000000000_00000000-0000-0000-0000-000000000000"
	err := c.RevokeTokens(ctx, nobody)
	var refused *Error
	switch {
	case errors.Is(err, identity.ErrUnknownIdentity):
		return nil
	case errors.As(err, &refused) && refused.Status == http.StatusBadRequest && refused.Code != "UnsupportedApiVersion": // which is said to anybody
		return nil
	}
	return err
}
