package entraid

import (
	"bytes"
	_ "embed"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

//go:embed page.html
var pageSource string

// page is what page.html shows.
type page struct {
	Title   string
	Message string
	List    []string
	Action  string      // where the form goes
	Hidden  [][2]string // sent along with the choice
	Ask     string      // name of a field to fill in
	Choices []choice
	Submit  bool     // the form sends itself
	Frames  []string // pages to load unseen
	Next    string   // where to go after that
	Script  string   // nonce of the page's script
}

type choice struct {
	Field, Value  string
	Label, Detail string
	Suggested     bool // by login_hint
}

// Choice is what the sign-in page sends, beside the request's own parameters,
// when user is chosen and agrees to everything.
func Choice(user User) url.Values {
	return url.Values{choiceField: {user.choice()}, factorField: {"approved"}, consentField: {"accept"}}
}

func (u User) choice() string { return u.TenantID + "." + u.ObjectID }

// showUsers lets the user choose an account.
func (s *Server) showUsers(w http.ResponseWriter, r *http.Request, a authorization, users []User) {
	p := page{Title: "Pick an account", Message: "to continue to " + a.client.Name, Action: r.URL.Path, Hidden: parameters(r.Form)}
	if domain := r.Form.Get("domain_hint"); domain != "" {
		ofDomain := slices.DeleteFunc(slices.Clone(users), func(u User) bool {
			return !strings.HasSuffix(strings.ToLower(u.UPN), "@"+strings.ToLower(domain))
		})
		if len(ofDomain) > 0 {
			users = ofDomain
		}
	}
	for _, u := range users {
		p.Choices = append(p.Choices, choice{
			Field: choiceField, Value: u.choice(),
			Label: u.Name, Detail: u.UPN,
			Suggested: strings.EqualFold(u.UPN, a.loginHint),
		})
	}
	if len(users) == 0 {
		p.Message = "Nobody here can sign in at this authority, not even to continue to " + a.client.Name + "."
	}
	p.Choices = append(p.Choices, choice{Field: choiceField, Label: "Cancel"})
	s.showPage(w, http.StatusOK, p)
}

// showSecondFactor asks for what a password alone does not give.
func (s *Server) showSecondFactor(w http.ResponseWriter, r *http.Request, user User) {
	s.showPage(w, http.StatusOK, page{
		Title: "Approve sign in request", Message: user.UPN + ": a second factor is required here.",
		Action: r.URL.Path, Hidden: append(parameters(r.Form), [2]string{choiceField, user.choice()}),
		Choices: []choice{{Field: factorField, Value: "approved", Label: "Approve"}, {Field: factorField, Label: "Cancel"}},
	})
}

// showConsent lists what the app asks for.
func (s *Server) showConsent(w http.ResponseWriter, r *http.Request, a authorization, user User, wanted []scopeSet) {
	p := page{
		Title: "Permissions requested", Message: user.UPN + ": " + a.client.Name + " would like to:",
		Action: r.URL.Path, Hidden: append(parameters(r.Form), [2]string{choiceField, user.choice()}),
		Choices: []choice{{Field: consentField, Value: "accept", Label: "Accept"}, {Field: consentField, Label: "Cancel"}},
	}
	if r.PostForm.Has(factorField) {
		p.Hidden = append(p.Hidden, [2]string{factorField, r.PostForm.Get(factorField)})
	}
	for _, ss := range wanted {
		for _, scope := range ss.granted {
			p.List = append(p.List, scope+", of "+ss.uri)
		}
		if api, bound := s.boundTo(a.client, ss); bound {
			p.List = append(p.List, "let "+api.Name+" have all that it needs on your behalf")
		}
	}
	s.showPage(w, http.StatusOK, p)
}

// parameters are those of the request itself.
func parameters(form url.Values) [][2]string {
	return slices.DeleteFunc(pairs(form), func(p [2]string) bool { return slices.Contains(pageFields(), p[0]) })
}

func pairs(values url.Values) (all [][2]string) {
	for name := range values {
		for _, v := range values[name] {
			all = append(all, [2]string{name, v})
		}
	}
	return all
}

func (s *Server) showError(w http.ResponseWriter, r *http.Request, e *stsError) {
	trace, correlation, at := s.traced(r)
	s.logRefusal(r, e, correlation)
	s.showPage(w, http.StatusBadRequest, page{Title: "Sorry, but we’re having trouble signing you in.", Message: describe(e, trace, correlation, at)})
}

func (s *Server) showPage(w http.ResponseWriter, status int, p page) {
	p.Script = randomText(16)
	var body bytes.Buffer
	if err := template.Must(template.New("page").Parse(pageSource)).Execute(&body, p); err != nil {
		panic(err) // the page and its data fit each other
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	// No form-action: browsers hold the redirect after the form to it too.
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'nonce-"+p.Script+"'; frame-src http: https:; frame-ancestors 'none'; base-uri 'none'")
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes())
}
