package faulttest

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/stretchr/testify/assert"
)

// The operations of the API.
const (
	getUser       = "getUser"
	getToken      = "getToken"
	refreshToken  = "refreshToken"
	exchangeToken = "exchangeToken"
	revokeTokens  = "revokeTokens"
	deleteUser    = "deleteUser"
)

// call is what one call asked and what it was told.
type call struct {
	user         *person
	operation    string
	process      *process
	began, ended time.Time
	status       int // 0 where the process was killed meanwhile
	code         string
	id           string // communication user id
	retryAfter   string
}

func (c call) ok() bool { return c.status >= 200 && c.status < 300 }

// kill is the end of a process.
type kill struct {
	process *process
	at      time.Time // when it had ended
}

// do calls, checks that the answer is one that may be given, and keeps it.
func (w *world) do(p *process, operation string, u *person) call {
	c := call{user: u, operation: operation, process: p, began: time.Now()}
	resp, body, err := p.ask(operation, u)
	c.ended = time.Now()
	switch {
	case err == nil:
		w.read(&c, resp, body)
	case !p.killed.Load():
		assert.NoError(w, err, "%s got no answer after %v", operation, c.ended.Sub(c.began))
	case errors.Is(err, syscall.ECONNREFUSED):
		return c // it reached nobody
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls = append(w.calls, c)
	return c
}

func (p *process) ask(operation string, u *person) (*http.Response, []byte, error) {
	method := http.MethodPost
	if operation == deleteUser {
		method = http.MethodDelete
	}
	r, err := http.NewRequest(method, p.url+"/api/"+operation, nil)
	if err != nil {
		return nil, nil, err
	}
	r.Header.Set("Authorization", "Bearer "+u.token)
	if operation == exchangeToken {
		r.Header.Set("teams-user-aad-token", u.teams())
	}
	resp, err := p.client.Do(r)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	return resp, body, err
}

// read takes the answer apart. The client has held it against openapi.yaml; this
// is what that document leaves open.
func (w *world) read(c *call, resp *http.Response, body []byte) {
	var answer struct {
		Code string
		User struct{ CommunicationUserID string }
	}
	if len(body) > 0 {
		assert.NoError(w, json.Unmarshal(body, &answer))
	}
	c.status, c.code, c.id, c.retryAfter = resp.StatusCode, answer.Code, answer.User.CommunicationUserID, resp.Header.Get("Retry-After")
	assert.NotContains(w, string(body), upstreamWords)
	if !documented(*c) {
		log, _ := c.process.log.read()
		i := strings.LastIndex(log, resp.Header.Get("X-Request-Id"))
		line, _, _ := strings.Cut(log[max(i, 0):], "\n")
		assert.Fail(w, "not an answer for this", "%s answered %d %s: %s", c.operation, c.status, c.code, line)
	}
}

// documented reports whether a call of a user with a good token may be answered
// so. A fault of this program itself, 500, may not.
func documented(c call) bool {
	switch c.status {
	case http.StatusBadGateway:
		return c.code == "upstream_rejected"
	case http.StatusServiceUnavailable:
		return c.code == "upstream_unavailable"
	case http.StatusNotFound:
		return c.code == "identity_not_found" && slices.Contains([]string{refreshToken, revokeTokens}, c.operation)
	case http.StatusCreated:
		return c.operation == getUser
	case http.StatusOK:
		return slices.Contains([]string{getUser, getToken, refreshToken, exchangeToken}, c.operation)
	case http.StatusNoContent:
		return slices.Contains([]string{revokeTokens, deleteUser}, c.operation)
	}
	return false
}

// crash kills p in the middle of what it does.
func (w *world) crash(p *process) {
	p.kill()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.kills = append(w.kills, kill{p, time.Now()})
}
