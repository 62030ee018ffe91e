package localcloud

import (
	"net/http"
	"strings"
	"time"

	"acsauth/internal/localcloud/acsidentity"
	"acsauth/internal/localcloud/entraid"
	"acsauth/internal/localcloud/funchost"
	"acsauth/internal/localcloud/knobs"
	"acsauth/internal/localcloud/msgraph"
	"acsauth/internal/localcloud/wire"
)

// The names of the stand-ins, as the knobs have them.
const (
	EntraService = "entra"
	ACSService   = "acs"
	GraphService = "graph"
	// HTTPServiceName is that of the service under development itself.
	HTTPServiceName = "service"
)

func entraService() *knobs.Service {
	return &knobs.Service{
		Name: EntraService, Operations: entraid.EndpointNames(), Operation: entraid.Endpoint,
		Refuse: func(w http.ResponseWriter, r *http.Request, status int, text string) {
			code := "temporarily_unavailable"
			if status < http.StatusInternalServerError && status != http.StatusTooManyRequests {
				code = "invalid_request"
			}
			wire.CORS(w, r, "") // a page sees the status
			wire.WriteJSON(w, status, "application/json; charset=utf-8", map[string]any{
				"error": code, "error_description": "AADSTS90033: " + text, "error_codes": []int{90033},
			})
		},
	}
}

func acsService() *knobs.Service {
	return &knobs.Service{
		Name: ACSService, Operations: acsidentity.OperationNames(), Operation: acsidentity.Operation,
		Refuse: func(w http.ResponseWriter, r *http.Request, status int, text string) {
			if acsidentity.Operation(r) == acsidentity.OpExchangeTeamsExtension { // the one for pages
				wire.CORS(w, r, "")
			}
			code := strings.ReplaceAll(http.StatusText(status), " ", "")
			wire.WriteJSON(w, status, "application/json", map[string]any{
				"error": map[string]any{"code": code, "message": text},
			})
		},
	}
}

// HTTPService is the service itself, as its clients see it: a fault of it never
// gets to the handler, and pages see it as far as cors lets them.
func HTTPService(functions []funchost.Function, functionOf func(*http.Request) string, cors funchost.CORS) *knobs.Service {
	s := &knobs.Service{
		Name: HTTPServiceName, Operation: functionOf, NoClock: true,
		Refuse: func(w http.ResponseWriter, r *http.Request, status int, text string) {
			cors.Handle(w, r)
			wire.WriteJSON(w, status, "application/problem+json", map[string]any{
				"type": "about:blank", "title": http.StatusText(status), "status": status, "detail": text, "code": "local_cloud_knob",
			})
		},
	}
	for _, f := range functions {
		if f.Route != "" {
			s.Operations = append(s.Operations, f.Name)
		}
	}
	return s
}

func graphService() *knobs.Service {
	return &knobs.Service{
		Name: GraphService, Operations: msgraph.OperationNames(), Operation: msgraph.Operation,
		Refuse: func(w http.ResponseWriter, r *http.Request, status int, text string) {
			wire.CORS(w, r, "")
			id := wire.NewGUID()
			code := strings.ReplaceAll(http.StatusText(status), " ", "")
			msgraph.WriteError(w, status, code, text, id, id, time.Now())
		},
	}
}
