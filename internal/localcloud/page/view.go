package page

import (
	"bytes"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"acsauth/internal/localcloud/entraid"
	"acsauth/internal/localcloud/funchost"
	"acsauth/internal/localcloud/knobs"
)

// view is what page.html shows.
type view struct {
	*Page
	Notice     notice
	Users      []userView
	Current    *session
	Token      *token // the current user's
	Calls      []callView
	Timers     []funchost.Function
	Last       *exchange
	Identities []identityView
	Traffic    []trafficView
	Knobs      []knobs.Set
	Targets    []string // of knobs: each service and each operation
	Clocks     []string // services that go by a clock
	Now        time.Time
}

type userView struct {
	ID       string // for the form
	Name     string
	UPN      string
	Detail   string
	SignedIn bool
	Current  bool
}

type callView struct {
	funchost.Function
	Path    string
	Methods []string // the likeliest first
	Teams   bool     // wants a Teams user's token beside
}

type identityView struct{ ID, State, Owner string }

type trafficView struct {
	Name     string
	Requests []knobs.Request
}

func (p *Page) show(w http.ResponseWriter, _ *http.Request) {
	var body bytes.Buffer
	if err := p.template.Execute(&body, p.view()); err != nil {
		panic(err) // the page and its data fit each other
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(body.Bytes())
}

func (p *Page) view() view {
	v := view{Page: p, Knobs: p.Cloud.Knobs.Knobs(), Now: time.Now()}
	for _, s := range p.Cloud.Knobs.Services() {
		v.Traffic = append(v.Traffic, trafficView{s.Name, s.Requests()})
		v.Targets = append(v.Targets, s.Name)
		for _, operation := range s.Operations {
			v.Targets = append(v.Targets, s.Name+"/"+operation)
		}
		if !s.NoClock {
			v.Clocks = append(v.Clocks, s.Name)
		}
	}
	for _, f := range p.Functions {
		switch {
		case f.Disabled:
		case f.Route != "":
			v.Calls = append(v.Calls, callOf(f))
		case f.Schedule != "":
			v.Timers = append(v.Timers, f)
		}
	}
	// What only looks comes first, what destroys last.
	slices.SortStableFunc(v.Calls, func(a, b callView) int { return rank(a) - rank(b) })

	p.mu.Lock()
	defer p.mu.Unlock()
	v.Notice, v.Current, v.Last = p.notice, p.current, p.last
	if p.current != nil {
		v.Token = decode("Access token for the service", p.current.Token)
	}
	for _, u := range p.Cloud.Entra.Users() {
		v.Users = append(v.Users, userView{
			ID: userID(u), Name: u.Name, UPN: u.UPN, Detail: detail(u),
			SignedIn: slices.ContainsFunc(p.sessions, func(s *session) bool { return userID(s.User) == userID(u) }),
			Current:  p.current != nil && userID(p.current.User) == userID(u),
		})
	}
	for _, id := range p.Cloud.ACS.Identities() {
		v.Identities = append(v.Identities, identityView{id, "exists", p.owner(id)})
	}
	for _, id := range p.Cloud.ACS.Deleted() {
		v.Identities = append(v.Identities, identityView{id, "deleted", p.owner(id)})
	}
	return v
}

// owner is the name of the user whose identity id is. With mu held.
func (p *Page) owner(id string) string {
	who := p.owners[id]
	for _, u := range p.Cloud.Entra.Users() {
		if userID(u) == who {
			return u.Name
		}
	}
	return who
}

func userID(u entraid.User) string { return u.TenantID + "." + u.ObjectID }

func detail(u entraid.User) string {
	switch {
	case u.HomeTenantID != "":
		return "guest from another tenant"
	case u.Teams:
		return "has a Teams licence"
	default:
		return "no Teams licence"
	}
}

// optional is a parameter of a route that may be left out.
var optional = regexp.MustCompile(`/?\{(\*[^}]*|[^}]*\?)\}`)

// callOf guesses how a function is called first: most route every method to the
// handler, so that it can say itself which it takes.
func callOf(f funchost.Function) callView {
	c := callView{Function: f, Path: "/" + optional.ReplaceAllString(f.Route, ""), Methods: f.Methods}
	if len(c.Methods) == 0 {
		c.Methods = []string{"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"}
	}
	first := "GET"
	switch name := strings.ToLower(f.Name); {
	case strings.HasPrefix(name, "delete"):
		first = "DELETE"
	case strings.HasPrefix(name, "refresh"), strings.HasPrefix(name, "exchange"), strings.HasPrefix(name, "revoke"):
		first = "POST"
	}
	c.Teams = strings.HasPrefix(strings.ToLower(f.Name), "exchange")
	if i := slices.Index(c.Methods, first); i > 0 {
		c.Methods = slices.Concat([]string{first}, c.Methods[:i], c.Methods[i+1:])
	}
	return c
}

func rank(c callView) int { return -slices.Index([]string{"DELETE", "POST", "GET"}, c.Methods[0]) }

// since tells a time of today.
func since(t time.Time) string { return t.Format("15:04:05.000") }

func took(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000) }
