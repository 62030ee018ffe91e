// Package page is the local cloud's face: a web page on which to sign in as a
// sample user, call the functions, see what the stand-ins know and were asked,
// and turn their knobs; and beside it the same by plain HTTP requests, for
// scripts.
//
// Start with New and serve the Page at / and below /local/ (Owns tells which
// requests are its own); Observe has to see the requests to the service.
//
// FOR DEVELOPMENT ONLY. It obeys whoever reaches it on this machine, but no web
// page of another origin: not one that sends requests across, and not one that
// has its host name point here.
package page

import (
	"context"
	"embed"
	"html/template"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"acsauth/internal/localcloud"
	"acsauth/internal/localcloud/entraid"
	"acsauth/internal/localcloud/funchost"
	"acsauth/internal/secret"
)

//go:embed page.html page.css page.js icon.svg
var files embed.FS

// Config says what the page shows. Restart and Trigger are nil where the
// functions are run by somebody else.
type Config struct {
	Cloud     *localcloud.Cloud
	URL       string // of the page: http://localhost:<port>
	Service   string // where the functions are called
	Functions []funchost.Function
	Key       secret.String // for functions that want one
	Restart   func() error
	Trigger   func(ctx context.Context, function string) error
}

// Page is an http.Handler. Make one with New.
type Page struct {
	Config
	template *template.Template
	handler  http.Handler
	client   *http.Client

	mu       sync.Mutex
	sessions []*session        // who has signed in, one a user
	current  *session          // whom the functions are called as
	last     *exchange         // the last call
	notice   notice            // what the last action came to
	owners   map[string]string // whose an identity is, as the service has told
}

// session is a user with their tokens.
type session struct {
	User  entraid.User
	Token string // for the service
}

// notice is one sentence for the person at the page.
type notice struct {
	Text   string
	Error  bool
	Answer bool // there is an answer to see
}

// New makes the page.
func New(config Config) *Page {
	p := &Page{
		Config:   config,
		template: template.Must(template.New("page.html").Funcs(template.FuncMap{"since": since, "took": took}).ParseFS(files, "page.html")),
		client: &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		}},
		owners: map[string]string{},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", p.show)
	mux.HandleFunc("POST /local/signin", p.action(p.signIn))
	mux.HandleFunc("POST /local/call", p.action(p.call))
	mux.HandleFunc("POST /local/turn", p.action(p.turn))
	mux.HandleFunc("POST /local/clear", p.action(p.clear))
	mux.HandleFunc("POST /local/restart", p.action(p.restart))
	mux.HandleFunc("POST /local/trigger", p.action(p.trigger))
	for _, name := range []string{"page.css", "page.js", "icon.svg"} {
		mux.HandleFunc("GET /local/"+name, func(w http.ResponseWriter, r *http.Request) { http.ServeFileFS(w, r, files, name) })
	}
	p.manage(mux)
	p.handler = guard(config.URL, mux)
	return p
}

// Owns tells the page's own requests from those of the service.
func Owns(r *http.Request) bool {
	return strings.HasPrefix(r.URL.Path, "/local/") || r.URL.Path == "/" && (r.Method == http.MethodGet || r.Method == http.MethodHead)
}

// ServeHTTP implements http.Handler.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) { p.handler.ServeHTTP(w, r) }

// guard keeps out what a stranger's web page could send through the browser of
// the person at this machine.
func guard(self string, next http.Handler) http.Handler {
	own, err := url.Parse(self)
	if err != nil {
		panic(err) // made by this program
	}
	hosts := map[string]bool{}
	for _, name := range []string{"localhost", "127.0.0.1", "[::1]"} {
		hosts[name+":"+own.Port()] = true
		if own.Port() == "80" {
			hosts[name] = true
		}
	}
	safe := http.NewCrossOriginProtection().Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "+
			"form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if !hosts[strings.ToLower(r.Host)] {
			http.Error(w, "The local cloud is at "+self+" and answers to no other name.", http.StatusForbidden)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, 1<<20)
		safe.ServeHTTP(w, r)
	})
}

// action does what a form asks for and leads back to the page, which tells what
// came of it.
func (p *Page) action(do func(*http.Request) (done string, err error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		said := notice{Answer: r.URL.Path == "/local/call"}
		if err := r.ParseForm(); err != nil {
			said = notice{Text: err.Error(), Error: true}
		} else if said.Text, err = do(r); err != nil {
			said = notice{Text: err.Error(), Error: true}
		}
		p.mu.Lock()
		p.notice = said
		p.mu.Unlock()
		http.Redirect(w, r, "/", http.StatusSeeOther)
	}
}
