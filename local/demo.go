package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"acsauth/internal/localcloud"
	"acsauth/internal/localcloud/entraid"
	"acsauth/internal/localcloud/funchost"
)

const demoTimeout = 2 * time.Minute

// walk is one run of the demo: what it has come to know so far.
type walk struct {
	*stack
	out     io.Writer
	user    entraid.User
	began   time.Time
	records *records

	accessToken string
	identity    string
	acsTokens   []string
	teamsToken  string
	steps       int
	lastRequest string // id of the last call
}

// records keeps what the handler printed.
type records struct {
	mu    sync.Mutex
	lines []string
}

func (r *records) add(record funchost.Record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, record.Text)
}

func (r *records) last(n int) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.lines[max(0, len(r.lines)-n):])
}

// demo walks once through the whole job. Each step checks what it claims; the
// first that fails ends the demo.
func demo(ctx context.Context, o options, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, demoTimeout)
	defer cancel()
	w := &walk{out: out, user: entraid.SampleUsers()[0], began: time.Now(), records: &records{}}
	printf(out, "acsauth demo: the whole job, offline, with the binary that runs in Azure.\n\n")
	var err error
	if w.stack, err = startStack(ctx, o, w.records.add); err != nil {
		return w.failed(fmt.Errorf("start: %w", err))
	}
	defer w.stop()
	w.say("built the handler, started stand-ins for Entra ID and ACS, ran the handler as the Functions host does")

	for _, step := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"sign in", w.signIn},
		{"getUser", w.makeIdentity},
		{"getUser again", w.sameIdentity},
		{"getUser after a crash", w.sameIdentityAfterCrash},
		{"getToken", w.issue},
		{"refreshToken", w.refresh},
		{"exchangeToken", w.exchange},
		{"revokeTokens", w.revoke},
		{"bad tokens", w.refuse},
		{"deleteUser", w.erase},
		{"the log", w.inspectLog},
	} {
		if err := step.do(ctx); err != nil {
			return w.failed(fmt.Errorf("%s: %w", step.name, err))
		}
	}
	printf(out, "\nAll %d steps done in %.1f s. Next: go run ./local, and the README.\n", w.steps, time.Since(w.began).Seconds())
	return nil
}

func (w *walk) say(format string, args ...any) {
	w.steps++
	printf(w.out, "%2d. %s\n", w.steps, fmt.Sprintf(format, args...))
}

// failed adds the handler's last words to err.
func (w *walk) failed(err error) error {
	if lines := w.records.last(8); len(lines) > 0 {
		return fmt.Errorf("demo failed at %w\n\nThe handler's last lines:\n%s", err, strings.Join(lines, "\n"))
	}
	return fmt.Errorf("demo failed at %w", err)
}

// answer is what the service said to a call.
type answer struct {
	status int
	header http.Header
	body   struct {
		Token     string    `json:"token"`
		ExpiresOn time.Time `json:"expiresOn"`
		User      struct {
			CommunicationUserID  string `json:"communicationUserId"`
			MicrosoftTeamsUserID string `json:"microsoftTeamsUserId"`
		} `json:"user"`
		Code   string `json:"code"`
		Detail string `json:"detail"`
	}
}

// call makes a request of the service and fails unless the status is want.
func (w *walk) call(ctx context.Context, method, function, accessToken, body string, want int) (answer, error) {
	var a answer
	req, err := http.NewRequestWithContext(ctx, method, w.URL+"/api/"+function, strings.NewReader(body))
	if err != nil {
		return a, err
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if accessToken != "" {
		req.Header.Set("Authorization", "Bearer "+accessToken)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return a, err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return a, err
	}
	a.status, a.header = resp.StatusCode, resp.Header
	w.lastRequest = a.header.Get("X-Request-Id")
	if len(bytes.TrimSpace(text)) > 0 {
		if err := json.Unmarshal(text, &a.body); err != nil {
			return a, fmt.Errorf("%s %s answered %d with a body that is no JSON", method, function, resp.StatusCode)
		}
	}
	if a.status != want {
		return a, fmt.Errorf("%s %s answered %d %s, want %d. %s", method, function, a.status, a.body.Code, want, a.body.Detail)
	}
	return a, nil
}

var errSecretInLog = errors.New("a secret stands in the handler's log")

// inspectLog looks for every secret that was used in what the handler printed.
func (w *walk) inspectLog(ctx context.Context) error {
	var lines []string
	var log string
	for !strings.Contains(log, w.lastRequest) { // the log comes through a pipe
		select {
		case <-ctx.Done():
			return fmt.Errorf("the last request is not in it: %w", ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
		lines = w.records.last(1 << 20)
		log = strings.Join(lines, "\n")
	}
	secrets := slices.Concat(w.cloud.Secrets(), w.acsTokens, []string{w.accessToken, w.teamsToken, w.user.ObjectID, w.user.UPN})
	for _, secret := range secrets {
		if strings.Contains(log, secret) {
			return errSecretInLog
		}
	}
	w.say("the handler's log: %d lines, with none of the %d tokens, keys and names that were used", len(lines), len(secrets))
	return nil
}

// signIn gets Alice's access token in the way that her browser would.
func (w *walk) signIn(ctx context.Context) (err error) {
	if w.accessToken, err = w.cloud.SignIn(ctx, w.user, localcloud.APIScope); err != nil {
		return err
	}
	w.say("%s signed in at Entra ID with authorization code and PKCE: an access token with scope access_as_user", w.user.Name)
	return nil
}
