package msgraph

import (
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"acsauth/internal/localcloud/wire"
)

// maxBody is far above what any operation takes.
const maxBody = 1 << 20

// call is a request that has been let in.
type call struct {
	owner  owner // whose profile it is about
	user   User
	client string // the application that calls
	name   string // of the extension
	query  map[string][]string
	body   []byte
}

// answer is what a call that succeeded is told.
type answer struct {
	status   int
	body     map[string]any // nil for none
	location string         // of what was made
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if wire.CORS(w, r, "GET, POST, PATCH, DELETE, OPTIONS") {
		return
	}
	t, refusal := route(r.Method, r.URL)
	if t.op.name != "" {
		s.calls.Add(t.op.name)
	}
	if s.fault.Handled(w, r) {
		return
	}
	requestID := wire.NewGUID()
	clientRequestID := r.Header.Get("client-request-id")
	if clientRequestID == "" {
		clientRequestID = requestID
	}
	h := w.Header()
	h.Set("request-id", requestID)
	h.Set("client-request-id", clientRequestID)
	h.Set("Cache-Control", "no-cache")
	h.Set("x-ms-ags-diagnostic", `{"ServerInfo":{"DataCenter":"Local Cloud","Slice":"E","Ring":"0","ScaleUnit":"000","RoleInstance":"LOCAL"}}`)

	var got answer
	if claims, unauthorized := s.authenticate(r); unauthorized != nil {
		refusal = unauthorized // the token comes before the path
	} else if refusal == nil {
		got, refusal = s.serve(w, r, t, claims)
	}
	if refusal != nil {
		s.log.LogAttrs(r.Context(), slog.LevelInfo, "graph refused a request", slog.String("operation", t.op.name),
			slog.Int("status", refusal.status), slog.String("code", refusal.code), slog.String("message", refusal.message))
		s.refuse(w, refusal, requestID, clientRequestID)
		return
	}
	s.log.LogAttrs(r.Context(), slog.LevelDebug, "graph request", slog.String("operation", t.op.name), slog.Int("status", got.status))
	if s.faultAfter.Handled(w, r) {
		return
	}
	if got.location != "" {
		h.Set("Location", s.baseURL+"/v1.0/"+got.location)
	}
	if got.body == nil {
		w.WriteHeader(got.status)
		return
	}
	h.Set("OData-Version", "4.0")
	wire.WriteJSON(w, got.status, "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8", got.body)
}

func (s *Server) authenticate(r *http.Request) (Claims, *apiError) {
	scheme, raw, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || strings.TrimSpace(raw) == "" {
		return Claims{}, noToken()
	}
	claims, err := s.verify(strings.TrimSpace(raw))
	if err != nil {
		s.log.LogAttrs(r.Context(), slog.LevelInfo, "graph refused a token", slog.String("reason", err.Error()))
		return Claims{}, badToken()
	}
	return claims, nil
}

// serve does the work, for the user's own profile alone: other users' want a
// permission that this stand-in does not have.
func (s *Server) serve(w http.ResponseWriter, r *http.Request, t target, claims Claims) (answer, *apiError) {
	if len(claims.Scopes) == 0 {
		if t.user == "" {
			return answer{}, badRequest("/me request is only valid with delegated authentication flow.")
		}
		return answer{}, denied()
	}
	user, ok := s.user(claims.TenantID, claims.ObjectID)
	if !ok {
		return answer{}, noUser(claims.ObjectID)
	}
	mayWrite := slices.Contains(claims.Scopes, "User.ReadWrite")
	switch {
	case !mayWrite && (t.op.writes || !slices.Contains(claims.Scopes, "User.Read")):
		return answer{}, denied()
	case t.user != "" && !strings.EqualFold(t.user, claims.ObjectID) && !strings.EqualFold(t.user, user.UPN):
		return answer{}, denied()
	case t.op.writes && user.Guest:
		// Assumed: of their own profile, guests may change the mobile phone
		// number alone, and so no extension.
		return answer{}, denied()
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return answer{}, badRequest("Unable to read JSON request payload.")
	}
	return t.op.run(s, call{
		owner: owner{claims.TenantID, claims.ObjectID}, user: user, client: claims.ClientID,
		name: t.name, query: r.URL.Query(), body: body,
	})
}
