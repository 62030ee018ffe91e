package acs

import (
	"context"
	"encoding/base64"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"acsauth/internal/identity"
)

const (
	assignedTenant = "c70d068c-2f32-484d-9455-73070cd5aadd"
	assignedObject = "b27b64b9-39d2-44a3-869d-67700b74e805"
	assignedClient = "1b1b1b1b-0000-4000-8000-00000000001b"
	assignedPath   = "/access/teamsExtension/tenants/" + assignedTenant + "/assignments/" + assignedObject + "?api-version=2026-09-23"
)

func TestAssignmentRequests(t *testing.T) {
	user := Assignment{TenantID: assignedTenant, ObjectID: assignedObject, ClientIDs: []string{assignedClient}}
	account := Assignment{TenantID: assignedTenant, ObjectID: assignedObject, ResourceAccount: true}
	const userAnswer = `{"objectId":"` + assignedObject + `","tenantId":"` + assignedTenant + `","principalType":"user","clientIds":["` + assignedClient + `"]}`
	for _, row := range []struct {
		name         string
		call         func(context.Context, *Client) error
		method, body string
		status       int
		answer       string
	}{
		{"a user", func(ctx context.Context, c *Client) error { return c.Assign(ctx, user) },
			"PUT", `{"principalType":"user","clientIds":["` + assignedClient + `"]}`, 201, userAnswer},
		{"a user again", func(ctx context.Context, c *Client) error { return c.Assign(ctx, user) },
			"PUT", `{"principalType":"user","clientIds":["` + assignedClient + `"]}`, 200, userAnswer},
		{"a resource account", func(ctx context.Context, c *Client) error { return c.Assign(ctx, account) },
			"PUT", `{"principalType":"resourceAccount"}`, 201, `{}`},
		{"show", func(ctx context.Context, c *Client) error {
			got, err := c.Assignment(ctx, assignedTenant, assignedObject)
			assert.Equal(t, user, got)
			return err
		}, "GET", "", 200, userAnswer},
		{"show a resource account", func(ctx context.Context, c *Client) error {
			got, err := c.Assignment(ctx, assignedTenant, assignedObject)
			assert.Equal(t, account, got)
			return err
		}, "GET", "", 200, `{"objectId":"` + assignedObject + `","tenantId":"` + assignedTenant + `","principalType":"teamsResourceAccount"}`},
		{"unassign", func(ctx context.Context, c *Client) error { return c.Unassign(ctx, assignedTenant, assignedObject) },
			"DELETE", "", 204, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			var got *http.Request
			var body []byte
			c := newTestClient(t, func(w http.ResponseWriter, r *http.Request) {
				got = r
				body, _ = io.ReadAll(r.Body)
				status(row.status, "", "", row.answer)(w, r)
			})
			require.NoError(t, row.call(t.Context(), c))
			assert.Equal(t, row.method, got.Method)
			assert.Equal(t, assignedPath, got.RequestURI)
			assert.Equal(t, row.body, string(body))
			assert.Contains(t, got.Header.Get("Authorization"), "HMAC-SHA256 ")
			hash, err := base64.StdEncoding.DecodeString(got.Header.Get("x-ms-content-sha256"))
			require.NoError(t, err)
			assert.Len(t, hash, 32)
		})
	}
}

func TestAssignmentFaults(t *testing.T) {
	show := func(ctx context.Context, c *Client) error {
		_, err := c.Assignment(ctx, assignedTenant, assignedObject)
		return err
	}
	unassign := func(ctx context.Context, c *Client) error { return c.Unassign(ctx, assignedTenant, assignedObject) }
	assign := func(ctx context.Context, c *Client) error {
		return c.Assign(ctx, Assignment{TenantID: assignedTenant, ObjectID: assignedObject})
	}
	const notFound = `{"error":{"code":"NotFound","message":"?"}}`
	for _, row := range []struct {
		name   string
		call   func(context.Context, *Client) error
		answer http.HandlerFunc
		code   identity.Code
		is     error
	}{
		{"show, none", show, status(404, "", "", notFound), identity.CodeInternal, ErrNotAssigned},
		{"unassign, none", unassign, status(404, "", "", notFound), identity.CodeInternal, ErrNotAssigned},
		{"show, a gateway's 404", show, status(404, "", "", "<html>"), identity.CodeUpstreamRejected, nil},
		{"show, somebody else's", show, status(200, "", "", `{"objectId":"`+assignedTenant+`","tenantId":"`+assignedTenant+`","principalType":"user"}`), identity.CodeUpstreamRejected, nil},
		{"show, nonsense", show, status(200, "", "", "<html>"), identity.CodeUpstreamRejected, nil},
		{"assign, denied", assign, status(401, "", "", `{"error":{"code":"Denied","message":"?"}}`), identity.CodeUpstreamRejected, nil},
		{"assign, an old version", assign, status(400, "", "", `{"error":{"code":"UnsupportedApiVersion","message":"?"}}`), identity.CodeUpstreamRejected, nil},
		{"assign, throttled", assign, status(429, "", "", ""), identity.CodeUpstreamUnavailable, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			err := row.call(t.Context(), newTestClient(t, row.answer))
			require.Error(t, err)
			assert.Equal(t, row.code, identity.CodeOf(err))
			if row.is != nil {
				assert.ErrorIs(t, err, row.is)
			} else {
				assert.NotErrorIs(t, err, ErrNotAssigned)
			}
		})
	}
	c := newTestClient(t, func(http.ResponseWriter, *http.Request) { t.Error("a request was made") })
	assert.Error(t, c.Unassign(t.Context(), assignedTenant, "../x"))
	assert.Error(t, c.Unassign(t.Context(), "", assignedObject))
}
