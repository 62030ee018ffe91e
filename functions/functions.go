// Package functions is the HTTP side of the service: the functions that clients
// call, the router that finds them, and the one form that all errors take.
// Start with New.
//
// A request passes, in this order: its route and method; the bound on its size;
// the caller's access token (Authenticator); the caller's rate limit; its body.
// Then its function runs, with a deadline. Every request leaves one line in the
// log, without its query, body, tokens or the name of its user.
//
// The contract is openapi.yaml, beside this file and served by function openapi.
// What is not done here: TLS, and CORS, which are the platform's or the
// server's in front.
package functions

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"acsauth/internal/identity"
	"acsauth/internal/secret"
	"acsauth/internal/upstream"
)

// requestTimeout is how long a request may take. The Functions host waits for
// minutes; a person does not.
const requestTimeout = 15 * time.Second

// Authenticator names the caller of a request. Its errors are *identity.Error.
type Authenticator interface {
	Authenticate(*http.Request) (identity.Caller, error)
}

// TeamsTokens checks a Teams user's Entra token before it is exchanged. Its
// errors are *identity.Error with a teams_token_ code.
type TeamsTokens interface {
	Check(raw string, caller identity.Caller) (identity.TeamsExchange, error)
}

// Check is one thing that readiness depends on.
type Check struct {
	Name  string
	Ready func(context.Context) error
}

// Options are the parts that the functions work with. All but TeamsOnBehalfOf
// and Checks are required.
type Options struct {
	Identities    *identity.Service
	Authenticator Authenticator
	TeamsTokens   TeamsTokens
	// TeamsOnBehalfOf gets a Teams user's token for a caller who sent none. Nil:
	// such a call is refused.
	TeamsOnBehalfOf func(context.Context, identity.Caller) (secret.String, error)
	Checks          []Check

	TokenPolicy   identity.TokenPolicy
	RequiredScope string // named in the challenge for callers who lack it
	RateLimit     int    // calls a minute and user; 0 is no limit
	Resource      Resource

	UnderHost bool // the Functions host is in front, so its headers can be trusted
	UserHash  func(identity.User) string
	Log       *slog.Logger
	Now       func() time.Time
}

// function is one Azure function.
type function struct {
	name      string
	methods   []string
	public    bool   // needs no access token
	parameter string // its route ends in it, as in token/{kind?}; empty for none
	hero      bool   // answers as the hero samples do; its folder may be missing
	timer     bool   // for the Functions host's timer, not for clients
	serve     func(*app, *call) error
}

// all lists the functions. Each has a folder of its name with a function.json.
func all() []function {
	get, post, head := http.MethodGet, http.MethodPost, http.MethodHead
	return []function{
		{name: "getUser", methods: []string{get, post}, serve: (*app).getUser},
		{name: "getToken", methods: []string{get, post}, serve: (*app).getToken},
		{name: "refreshToken", methods: []string{post}, serve: (*app).refreshToken},
		{name: "exchangeToken", methods: []string{post}, serve: (*app).exchangeToken},
		{name: "revokeTokens", methods: []string{post}, serve: (*app).revokeTokens},
		{name: "deleteUser", methods: []string{http.MethodDelete, post}, serve: (*app).deleteUser},
		{name: "user", methods: []string{get, post, http.MethodDelete}, hero: true, serve: (*app).heroUser},
		{name: "token", methods: []string{get}, parameter: "kind", hero: true, serve: (*app).heroToken},
		{name: "health", methods: []string{get, head}, public: true, serve: (*app).health},
		{name: "openapi", methods: []string{get, head}, public: true, serve: (*app).openapi},
		{name: "resourceMetadata", methods: []string{get, head}, public: true, serve: (*app).resourceMetadata},
		{name: "sweepIdentities", methods: []string{post}, public: true, timer: true, serve: (*app).sweepIdentities},
	}
}

// app is the handler of all functions.
type app struct {
	Options
	paths     map[string]function // by lower-case path
	limits    *limiter
	readiness readiness
	metadata  metadata
	document  []byte
}

// New returns the handler of the functions at the paths of table. It also
// answers GET / at once, which is how the Functions host finds out that this
// process is up.
func New(o Options, table RouteTable) (http.Handler, error) {
	paths, err := table.bind(all(), o.UnderHost)
	if err != nil {
		return nil, err
	}
	a := &app{Options: o, paths: paths, limits: newLimiter(o.RateLimit, o.Now),
		metadata: o.Resource.metadata(table.prefix, o.UnderHost), document: table.document()}
	if a.metadata.path != "" {
		paths[routeKey(a.metadata.path)] = paths[routeKey(table.path("resourceMetadata"))]
	}
	return a, nil
}

// ServeHTTP implements http.Handler.
func (a *app) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/" && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte("acsauth is up\n"))
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
	defer cancel()
	c := a.newCall(ctx, w, r)
	defer a.finish(c)
	if err := a.serve(c); err != nil {
		c.fail(a, err)
	}
}

func (a *app) serve(c *call) error {
	f, parameter, ok := a.find(c.r.URL.Path)
	if !ok || f.timer && !byHost(c.r) {
		return noFunction()
	}
	c.function, c.hero, c.parameter = f.name, f.hero, parameter
	if !slices.Contains(f.methods, c.r.Method) {
		return c.otherMethod(f)
	}
	var err error
	if c.values, err = url.ParseQuery(c.r.URL.RawQuery); err != nil {
		// What can't be read may hide a second access token.
		return identity.Errorf(identity.CodeInvalidRequest, "The query can't be read.")
	}
	if c.r.ContentLength > maxBody {
		return tooLarge()
	}
	if !f.public {
		if c.caller, err = a.Authenticator.Authenticate(c.r); err != nil {
			return err
		}
		if err := a.limits.take(c.caller.User); err != nil {
			return err
		}
		c.r = c.r.WithContext(identity.WithCaller(c.r.Context(), c.caller))
	}
	if err := c.readBody(); err != nil {
		return err
	}
	return f.serve(a, c)
}

// find returns the function at a path, and the last segment of the path where
// the function's route takes one.
func (a *app) find(path string) (f function, parameter string, ok bool) {
	key := routeKey(path)
	if f, ok := a.paths[key]; ok {
		return f, "", true
	}
	i := strings.LastIndexByte(key, '/')
	parameter = key[i+1:]
	if f = a.paths[key[:max(i, 0)]]; f.parameter != "" && parameter != "" {
		return f, parameter, true
	}
	return function{}, "", false
}

// byHost reports whether the Functions host made r itself, to this process's own
// address. It forwards a client's request with the name that the client used, and
// to a path that backslashes in the client's may have changed.
func byHost(r *http.Request) bool {
	host, _, err := net.SplitHostPort(r.Host)
	return err == nil && upstream.IsLoopback(host)
}

func noFunction() error {
	return identity.Errorf(identity.CodeNotFound, "There is no function at this address.")
}
