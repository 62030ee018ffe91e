package funchost

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// payload is what a function gets whose bindings are more, or other, than one
// httpTrigger and one http output.
type payload struct {
	Data     map[string]any
	Metadata map[string]any
}

// reply is what such a function answers.
type reply struct {
	Outputs     map[string]json.RawMessage
	Logs        []string
	ReturnValue json.RawMessage
}

// Trigger fires a function that has a timerTrigger, as its schedule would in
// Azure, and waits for its answer. The error tells that the function failed, or
// that there is none of that name with a timerTrigger. The end of ctx ends the
// request.
//
// The real host's payload for timers could not be read; a handler does well to
// rely on nothing in it.
func (h *Host) Trigger(ctx context.Context, functionName string) error {
	fn := h.app.timer(functionName)
	if fn == nil {
		return fmt.Errorf("trigger %s: no function of that name has a timerTrigger and is enabled", functionName)
	}
	err := h.run(ctx, fn, func(limited context.Context) error {
		limited, cancel := context.WithCancel(limited)
		defer cancel()
		defer context.AfterFunc(ctx, cancel)()
		_, err := h.call(limited, fn, newGUID(), payload{
			Data: map[string]any{fn.trigger.Name: map[string]any{
				"Schedule":       map[string]any{"AdjustForDST": true},
				"ScheduleStatus": nil,
				"IsPastDue":      false,
			}},
			Metadata: map[string]any{"sys": systemData(fn)},
		})
		return err
	})
	if err != nil {
		return fmt.Errorf("trigger %s: %w", functionName, err)
	}
	return nil
}

func (a *app) timer(name string) *function {
	for _, f := range a.functions {
		if strings.EqualFold(f.name, name) && f.isTimer() && !f.disabled {
			return f
		}
	}
	return nil
}

// call posts in to the function and takes its reply. The path is the function's
// name, without a prefix. Redirects are followed in this mode.
func (h *Host) call(ctx context.Context, fn *function, id string, in payload) (reply, error) {
	var out reply
	body, err := json.Marshal(in)
	if err != nil {
		return out, fmt.Errorf("payload: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, h.handlerURL()+"/"+fn.name, bytes.NewReader(body))
	if err != nil {
		return out, fmt.Errorf("payload: %w", err)
	}
	r.Header.Set("Content-Type", "application/json; charset=utf-8")
	(&invocation{host: h, id: id}).identify(r.Header)
	res, err := (&http.Client{Transport: h.transport}).Do(r)
	if err != nil {
		return out, fmt.Errorf("send to handler: %w", err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return out, fmt.Errorf("read from handler: %w", err)
	}
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return out, fmt.Errorf("expected 2xx from the handler, got %s", res.Status)
	}
	kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	if kind != "application/json" {
		return out, fmt.Errorf("expected application/json from the handler, got %q", res.Header.Get("Content-Type"))
	}
	if err := json.Unmarshal(answer, &out); err != nil {
		return out, fmt.Errorf("answer of the handler: %w", err)
	}
	for _, line := range out.Logs {
		h.console.add(slog.LevelInfo, "Function."+fn.name+".User", line)
	}
	return out, nil
}

// post runs an HTTP function that gets a payload: what its http output says is
// the response, other outputs go nowhere here.
func (inv *invocation) post(ctx context.Context, w http.ResponseWriter) error {
	in, err := inv.payload()
	if err != nil {
		return err
	}
	out, err := inv.host.call(ctx, inv.fn, inv.id, in)
	if err != nil {
		return err
	}
	result := out.Outputs[inv.fn.output]
	if inv.fn.output == "$return" {
		result = out.ReturnValue
	}
	switch {
	case inv.fn.output == "":
		w.WriteHeader(http.StatusOK)
		return nil
	case len(result) == 0 || string(result) == "null":
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		_, _ = io.WriteString(w, "{}")
		return nil
	default:
		return writeResult(w, result)
	}
}

// writeResult maps the value of an http output to a response.
func writeResult(w http.ResponseWriter, result json.RawMessage) error {
	var out struct {
		StatusCode any
		Status     any
		Headers    map[string]any
		Body       json.RawMessage
	}
	if err := json.Unmarshal(result, &out); err != nil {
		return fmt.Errorf("failed while trying to deserialize to an http output: %w", err)
	}
	status := http.StatusOK
	for _, v := range []any{out.Status, out.StatusCode} { // the latter wins
		if text := fmt.Sprint(v); v != nil && text != "" {
			if _, err := fmt.Sscan(text, &status); err != nil || status < 200 || status > 999 {
				return fmt.Errorf("http output: expected a status, got %q", text)
			}
		}
	}
	body := []byte(out.Body)
	var text string
	switch {
	case string(body) == "null":
		body = nil
	case json.Unmarshal(body, &text) == nil:
		body = []byte(text)
	}
	if len(body) > 0 {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	}
	for name, v := range out.Headers {
		w.Header().Set(name, fmt.Sprint(v))
	}
	w.WriteHeader(status)
	_, _ = w.Write(body)
	return nil
}

// payload describes the request.
func (inv *invocation) payload() (payload, error) {
	r := inv.request
	query, joined := map[string]string{}, map[string]string{}
	metadata := map[string]any{"sys": systemData(inv.fn), "Query": query, "Headers": joined}
	for key, values := range r.URL.Query() {
		query[key] = strings.Join(values, ",")
		if !strings.EqualFold(key, "code") {
			metadata[key] = quoted(query[key])
		}
	}
	for key, value := range inv.params {
		metadata[key] = quoted(value)
	}
	headers := map[string][]string{"Host": {r.Host}}
	for key, values := range r.Header {
		headers[key] = values
		joined[key] = strings.Join(values, ",")
	}

	public := url.URL{Scheme: "http", Host: r.Host, Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery}
	if r.TLS != nil {
		public.Scheme = "https"
	}
	data := map[string]any{
		"Url":        public.String(),
		"Method":     r.Method,
		"Query":      query,
		"Headers":    headers,
		"Params":     inv.params,
		"Identities": []any{},
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return payload{}, fmt.Errorf("read request: %w", err)
	}
	if r.ContentLength > 0 {
		data["Body"] = string(body)
		kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
		if kind == "application/octet-stream" || strings.HasPrefix(kind, "multipart/") {
			data["Body"] = base64.StdEncoding.EncodeToString(body)
		}
	}
	return payload{map[string]any{inv.fn.trigger.Name: data}, metadata}, nil
}

// quoted is how most values of the metadata look: JSON in a string.
func quoted(s string) string {
	b, _ := json.Marshal(s) // of a string: never fails
	return string(b)
}

func systemData(fn *function) map[string]any {
	return map[string]any{
		"MethodName": fn.name,
		"UtcNow":     time.Now().UTC().Format(time.RFC3339Nano),
		"RandGuid":   newGUID(),
	}
}
