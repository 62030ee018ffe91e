package page

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"acsauth/internal/localcloud"
	"acsauth/internal/localcloud/entraid"
	"acsauth/internal/localcloud/funchost"
)

const (
	callTimeout = 2 * time.Minute
	maxAnswer   = 1 << 20
)

// exchange is one call of a function and what came of it.
type exchange struct {
	Function string
	Caller   string
	Request  string // as curl would send it
	Method   string
	Target   string
	Sent     []field
	Body     string

	Status int // zero: there was no answer
	Reason string
	Got    []field
	Answer string // made readable
	Error  string
	Took   time.Duration
	Tokens []*token
}

type field struct{ Name, Value string }

func (p *Page) signIn(r *http.Request) (string, error) {
	i := slices.IndexFunc(p.Cloud.Entra.Users(), func(u entraid.User) bool { return userID(u) == r.PostForm.Get("user") })
	if i < 0 {
		return "", errors.New("there is no such user")
	}
	user := p.Cloud.Entra.Users()[i]
	raw, err := p.Cloud.SignIn(r.Context(), user, localcloud.APIScope)
	if err != nil {
		return "", fmt.Errorf("%s could not be signed in: %w", user.Name, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.current = &session{user, raw}
	p.sessions = append(slices.DeleteFunc(p.sessions, func(s *session) bool { return userID(s.User) == userID(user) }), p.current)
	return user.Name + " is signed in.", nil
}

// credentials that a call can be made with.
const (
	withToken  = "token"
	withNone   = "none"
	withForged = "forged"
)

func (p *Page) call(r *http.Request) (string, error) {
	i := slices.IndexFunc(p.Functions, func(f funchost.Function) bool { return f.Name == r.PostForm.Get("function") })
	if i < 0 {
		return "", errors.New("there is no such function")
	}
	e, req, err := p.request(r, p.Functions[i])
	if err != nil {
		return "", err
	}
	p.send(e, req)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = e
	if e.Status == 0 {
		return "", fmt.Errorf("%s gave no answer", e.Function)
	}
	return fmt.Sprintf("%s answered %d %s.", e.Function, e.Status, e.Reason), nil
}

// request makes the request that the form describes. Its context outlives the
// form's: a call has a life of its own.
func (p *Page) request(r *http.Request, f funchost.Function) (*exchange, *http.Request, error) {
	form := r.PostForm
	path, err := url.Parse(form.Get("path"))
	if err != nil || path.Host != "" || path.Scheme != "" || !strings.HasPrefix(path.Path, "/") {
		return nil, nil, errors.New("path: expected one that begins with /")
	}
	e := &exchange{Function: f.Name, Method: form.Get("method"), Target: p.Service + path.RequestURI(), Body: form.Get("body")}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), callTimeout)
	context.AfterFunc(ctx, cancel)
	req, err := http.NewRequestWithContext(ctx, e.Method, e.Target, strings.NewReader(e.Body))
	if err != nil {
		return nil, nil, err
	}
	if e.Body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if f.Keyed {
		req.Header.Set("x-functions-key", p.Key.Reveal())
	}
	p.mu.Lock()
	caller := p.current
	p.mu.Unlock()
	if caller == nil || form.Get("as") == withNone {
		e.Caller = "nobody"
	} else {
		e.Caller = caller.User.Name
		bearer := caller.Token
		if form.Get("as") == withForged {
			e.Caller = "somebody with a forged token"
			bearer = bearer[:strings.LastIndexByte(bearer, '.')+1] + strings.Repeat("A", 342)
		}
		req.Header.Set("Authorization", "Bearer "+bearer)
		e.show("Access token that was sent", bearer)
		if form.Get("teams") != "" {
			teams, err := p.Cloud.SignIn(ctx, caller.User, entraid.TeamsURI+"/Teams.ManageCalls", entraid.TeamsURI+"/Teams.ManageChats")
			if err != nil {
				return nil, nil, fmt.Errorf("a token for Teams: %w", err)
			}
			req.Header.Set("teams-user-aad-token", teams)
			e.show("Token for Teams that was sent", teams)
		}
	}
	e.Sent = fields(req.Header)
	e.Request = curl(req, e.Body)
	return e, req, nil
}

func (p *Page) send(e *exchange, req *http.Request) {
	began := time.Now()
	resp, err := p.client.Do(req)
	if err != nil {
		e.Error = err.Error()
		return
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	e.Took = time.Since(began)
	e.Status, e.Reason = resp.StatusCode, http.StatusText(resp.StatusCode)
	e.Got, e.Answer = fields(resp.Header), readable(body)
	if err != nil {
		e.Error = "the answer broke off: " + err.Error()
	}
	var issued struct {
		Token string `json:"token"`
	}
	if json.Unmarshal(body, &issued) == nil {
		e.show("ACS token that came back", issued.Token)
	}
}

func (e *exchange) show(title, raw string) {
	if t := decode(title, raw); t != nil {
		e.Tokens = append(e.Tokens, t)
	}
}

func fields(header http.Header) (all []field) {
	for name, values := range header {
		for _, value := range values {
			all = append(all, field{name, value})
		}
	}
	slices.SortFunc(all, func(a, b field) int { return strings.Compare(a.Name, b.Name) })
	return all
}

func readable(body []byte) string {
	var out bytes.Buffer
	if json.Indent(&out, body, "", "  ") == nil {
		return out.String()
	}
	return strings.ToValidUTF8(string(body), "\uFFFD")
}

// curl is the line that sends the same request.
func curl(r *http.Request, body string) string {
	line := []string{"curl", "-i", "-X", r.Method, quote(r.URL.String())}
	for _, f := range fields(r.Header) {
		line = append(line, "-H", quote(f.Name+": "+f.Value))
	}
	if body != "" {
		line = append(line, "-d", quote(body))
	}
	return strings.Join(line, " ")
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

func (p *Page) restart(*http.Request) (string, error) {
	if p.Restart == nil {
		return "", errNotOurs
	}
	if err := p.Restart(); err != nil {
		return "", err
	}
	return "The handler was killed and started again.", nil
}

func (p *Page) trigger(r *http.Request) (string, error) {
	if p.Trigger == nil {
		return "", errNotOurs
	}
	name := r.PostForm.Get("function")
	if err := p.Trigger(r.Context(), name); err != nil {
		return "", err
	}
	return name + " ran.", nil
}

var errNotOurs = errors.New("the functions are run by somebody else")

// turn makes a line of the form's fields: the name of each is the name of a
// setting.
func (p *Page) turn(r *http.Request) (string, error) {
	var settings []string
	for _, name := range []string{"latency", "status", "retry-after", "reset", "probability", "times", "skew", "rollover", "limits"} {
		if value := strings.TrimSpace(r.PostForm.Get(name)); value != "" {
			settings = append(settings, name+"="+value)
		}
	}
	if len(settings) == 0 {
		return "", errors.New("nothing is set: fill in what the fault is to be")
	}
	set, err := p.Cloud.Knobs.Turn(r.PostForm.Get("target") + ":" + strings.Join(settings, ","))
	if err != nil {
		return "", err
	}
	return "Set: " + set.Knob.String(), nil
}

func (p *Page) clear(r *http.Request) (string, error) {
	which := r.PostForm.Get("id")
	if err := p.Cloud.Knobs.Clear(which); err != nil {
		return "", err
	}
	if _, err := strconv.Atoi(which); err == nil {
		return "That knob is cleared.", nil
	}
	return "All knobs are cleared.", nil
}
