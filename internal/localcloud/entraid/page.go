package entraid

import (
	"bytes"
	_ "embed"
	"html/template"
	"net/http"
	"net/url"
	"strings"
)

//go:embed page.html
var pageSource string

// choiceField is the form field that carries the chosen user; empty means that
// the user declined.
const choiceField = "local_cloud_user"

// page is what page.html shows.
type page struct {
	Title   string
	Message string
	Action  string      // where the form goes
	Hidden  [][2]string // the request's parameters, sent along with the choice
	Choices []choice
}

type choice struct {
	Field, Value  string
	Label, Detail string
	Suggested     bool // by login_hint
}

func (s *Server) showUsers(w http.ResponseWriter, r *http.Request, a authorization, users []User) {
	name := a.client.Name
	if name == "" {
		name = a.client.ID
	}
	p := page{Title: "Pick an account", Message: "to continue to " + name, Action: r.URL.Path, Hidden: parameters(r.Form)}
	for _, u := range users {
		p.Choices = append(p.Choices, choice{
			Field: choiceField, Value: u.TenantID + "." + u.ObjectID,
			Label: u.Name, Detail: u.UPN,
			Suggested: strings.EqualFold(u.UPN, r.Form.Get("login_hint")),
		})
	}
	p.Choices = append(p.Choices, choice{Field: choiceField, Label: "Cancel"})
	s.showPage(w, http.StatusOK, p)
}

func parameters(form url.Values) (pairs [][2]string) {
	for name, values := range form {
		if name == choiceField {
			continue
		}
		for _, v := range values {
			pairs = append(pairs, [2]string{name, v})
		}
	}
	return pairs
}

func (s *Server) showError(w http.ResponseWriter, r *http.Request, e *stsError) {
	trace, correlation, at := s.traced(r)
	s.logRefusal(r, e, correlation)
	s.showPage(w, http.StatusBadRequest, page{Title: "Sign in: something went wrong", Message: describe(e, trace, correlation, at)})
}

func (s *Server) showPage(w http.ResponseWriter, status int, p page) {
	var body bytes.Buffer
	if err := template.Must(template.New("page").Parse(pageSource)).Execute(&body, p); err != nil {
		panic(err) // the page and its data fit each other
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	// No form-action: browsers hold the redirect after the form to it too.
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes())
}
