package page

import (
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"

	"acsauth/internal/localcloud"
	"acsauth/internal/localcloud/entraid"
	"acsauth/internal/localcloud/knobs"
	"acsauth/internal/localcloud/wire"
)

// manage is what scripts use: no forms, and answers in JSON.
//
//	GET    /local/cloud           where everything is
//	GET    /local/requests        the last requests of each service
//	GET    /local/identities      those that ACS has, and whose they are
//	GET    /local/knobs           what is set
//	POST   /local/knobs           set what the body says, a knob a line
//	DELETE /local/knobs[/which]   clear one by its id, those of a service, or all
func (p *Page) manage(mux *http.ServeMux) {
	mux.HandleFunc("GET /local/cloud", p.getCloud)
	mux.HandleFunc("GET /local/requests", p.getRequests)
	mux.HandleFunc("GET /local/identities", p.getIdentities)
	mux.HandleFunc("GET /local/knobs", func(w http.ResponseWriter, _ *http.Request) { p.writeKnobs(w) })
	mux.HandleFunc("POST /local/knobs", p.postKnobs)
	mux.HandleFunc("DELETE /local/knobs", p.deleteKnobs)
	mux.HandleFunc("DELETE /local/knobs/{which}", p.deleteKnobs)
}

func (p *Page) getCloud(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, p.Where())
}

// Where says where everything is, and who clients are.
func (p *Page) Where() map[string]any {
	return map[string]any{
		"kind": localcloud.Kind, "processId": os.Getpid(), "page": p.URL, "service": p.Service,
		"acs":   p.Cloud.ACSURL,
		"graph": p.Cloud.GraphURL,
		"entra": p.Cloud.EntraURL, "authority": p.Cloud.EntraURL + "/" + entraid.SampleTenantID, "tenantId": entraid.SampleTenantID,
		"clientId": localcloud.SPAClientID, "desktopClientId": localcloud.DesktopClientID, "apiClientId": localcloud.APIClientID, "scope": localcloud.APIScope,
		"caCertificateFile": p.Cloud.CACertFile,
	}
}

func (p *Page) getRequests(w http.ResponseWriter, _ *http.Request) {
	services := map[string][]map[string]any{}
	for _, s := range p.Cloud.Knobs.Services() {
		services[s.Name] = []map[string]any{}
		for _, r := range s.Requests() {
			services[s.Name] = append(services[s.Name], map[string]any{
				"time": r.Time.UTC(), "method": r.Method, "path": r.Path, "operation": r.Operation,
				"status": r.Status, "milliseconds": float64(r.Took.Microseconds()) / 1000, "knob": r.Fault,
			})
		}
	}
	answer(w, http.StatusOK, services)
}

func (p *Page) getIdentities(w http.ResponseWriter, _ *http.Request) {
	list := []map[string]any{}
	for _, i := range p.view().Identities {
		list = append(list, map[string]any{"id": i.ID, "state": i.State, "user": i.Owner})
	}
	answer(w, http.StatusOK, list)
}

func (p *Page) postKnobs(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	var turned []knobs.Set
	for line := range strings.SplitSeq(strings.TrimSpace(string(body)), "\n") {
		set, err := p.Cloud.Knobs.Turn(line)
		if err != nil {
			for _, earlier := range turned { // all of the body or nothing
				_ = p.Cloud.Knobs.Clear(strconv.Itoa(earlier.ID))
			}
			refuse(w, http.StatusBadRequest, err)
			return
		}
		turned = append(turned, set)
	}
	p.writeKnobs(w)
}

func (p *Page) deleteKnobs(w http.ResponseWriter, r *http.Request) {
	if err := p.Cloud.Knobs.Clear(r.PathValue("which")); errors.Is(err, knobs.ErrUnknown) {
		refuse(w, http.StatusNotFound, err)
		return
	}
	p.writeKnobs(w)
}

func (p *Page) writeKnobs(w http.ResponseWriter) {
	list := []map[string]any{}
	for _, s := range p.Cloud.Knobs.Knobs() {
		list = append(list, map[string]any{"id": s.ID, "knob": s.Knob.String(), "hit": s.Hit})
	}
	answer(w, http.StatusOK, list)
}

func refuse(w http.ResponseWriter, status int, err error) {
	answer(w, status, map[string]any{"error": err.Error()})
}

func answer(w http.ResponseWriter, status int, v any) {
	wire.WriteJSON(w, status, "application/json; charset=utf-8", v)
}
