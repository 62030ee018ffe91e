package funchost

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// Headers that the host adds.
const (
	headerInvocationID = "X-Azure-Functions-Invocationid"
	headerHostVersion  = "X-Azure-Functions-Hostversion"
)

// maxBuffered is as much as .NET's client keeps of an answer.
const maxBuffered = 1<<31 - 1

// contentHeaders belong to a body in .NET's eyes. The host tries to set them on
// a request, where they can't be set, and so they are lost without a word.
// Content-Type and Content-Length come back with a body.
var contentHeaders = []string{
	"Allow", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Length",
	"Content-Location", "Content-Md5", "Content-Range", "Content-Type", "Expires", "Last-Modified",
}

// forward rebuilds the request, sends it and copies the answer: mode
// enableForwardingHttpRequest. Nothing streams, nothing is followed or decoded,
// and a client that goes away changes nothing for the handler.
func (inv *invocation) forward(ctx context.Context, w http.ResponseWriter) error {
	out, err := inv.rebuild(ctx)
	if err != nil {
		return err
	}
	res, err := inv.host.transport.RoundTrip(out)
	if err != nil {
		return fmt.Errorf("send to handler: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusSwitchingProtocols {
		return errors.New("the handler switched protocols, which forwarding can't")
	}
	if err := checkStatus(res); err != nil {
		return err
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxBuffered+1))
	if err != nil {
		return fmt.Errorf("read from handler: %w", err)
	}
	if len(body) > maxBuffered {
		return fmt.Errorf("the handler answered with more than %d bytes, which can't be buffered", maxBuffered)
	}
	for name, values := range res.Header {
		for _, v := range values {
			w.Header().Add(name, v)
		}
	}
	w.WriteHeader(res.StatusCode)
	_, _ = w.Write(body) // the client may be gone: the invocation counts as done
	return nil
}

// checkStatus refuses what .NET takes for no status.
func checkStatus(res *http.Response) error {
	if res.StatusCode < http.StatusContinue {
		return fmt.Errorf("the handler answered with the status %q", res.Status)
	}
	return nil
}

// rebuild makes the request that the handler gets.
func (inv *invocation) rebuild(ctx context.Context) (*http.Request, error) {
	in, h := inv.request, inv.host
	body, err := io.ReadAll(in.Body)
	if err != nil {
		return nil, fmt.Errorf("read request: %w", err)
	}
	if in.ContentLength < 0 {
		// The header is copied and the body is not, which .NET refuses to send.
		return nil, errors.New("transfer-encoding chunked without content")
	}
	target := h.handlerURL() + forwardedPath(in.URL.EscapedPath())
	if q := forwardedQuery(in.URL.RawQuery); q != "" {
		target += "?" + q
	}
	var content io.Reader
	if in.ContentLength > 0 {
		content = bytes.NewReader(body)
	}
	out, err := http.NewRequestWithContext(ctx, in.Method, target, content)
	if err != nil {
		return nil, fmt.Errorf("forward: %w", err)
	}
	out.GetBody = nil // a body is sent once
	out.Host = in.Host
	out.Header = in.Header.Clone()
	for _, name := range contentHeaders {
		out.Header.Del(name)
	}
	if t, ok := in.Header["Content-Type"]; ok && content != nil {
		out.Header["Content-Type"] = t
	}
	inv.identify(out.Header)
	if out.Header.Get("Traceparent") == "" && !h.config.NoTraceparent {
		out.Header.Set("Traceparent", newTraceparent())
	}
	return out, nil
}

// identify appends what the host says of itself, after what a client may have
// put there.
func (inv *invocation) identify(header http.Header) {
	header.Add(headerHostVersion, inv.host.config.HostVersion)
	header.Add(headerInvocationID, inv.id)
	product := "Azure-Functions-Host/" + inv.host.config.HostVersion
	header.Set("User-Agent", strings.TrimSpace(header.Get("User-Agent")+" "+product))
}

// forwardedPath decodes and encodes again, case kept. An encoded ? or # becomes
// a real one on the way and ends the path, and an encoded backslash becomes a
// slash, so that dots beside it climb.
func forwardedPath(escaped string) string {
	if i := strings.IndexAny(strings.NewReplacer("%3F", "???", "%3f", "???", "%23", "###").Replace(escaped), "?#"); i >= 0 {
		escaped = escaped[:i]
	}
	escaped = strings.NewReplacer("%5C", "/", "%5c", "/").Replace(escaped)
	var segments []string
	for s := range strings.SplitSeq(escaped, "/") {
		s = strings.NewReplacer("%252F", "%2F", "%252f", "%2f").Replace((&url.URL{Path: decode(s)}).EscapedPath())
		switch {
		case s == "..":
			segments = segments[:max(len(segments)-1, 1)]
		case s != ".":
			segments = append(segments, s)
		}
	}
	return strings.Join(segments, "/")
}

// forwardedQuery makes a dictionary of the query and encodes that: keys that
// differ in case are one, and their values are joined by commas.
func forwardedQuery(raw string) string {
	type pair struct{ key, value string }
	var pairs []pair
next:
	for part := range strings.SplitSeq(raw, "&") {
		if part == "" {
			continue
		}
		k, v, _ := strings.Cut(part, "=")
		key, value := queryText(k), queryText(v)
		for i := range pairs {
			if strings.EqualFold(pairs[i].key, key) {
				pairs[i].value += "," + value
				continue next
			}
		}
		pairs = append(pairs, pair{key, value})
	}
	var parts []string
	for _, p := range pairs {
		parts = append(parts, queryEscape(p.key)+"="+queryEscape(p.value))
	}
	return strings.Join(parts, "&")
}

func queryText(s string) string {
	if t, err := url.QueryUnescape(s); err == nil {
		return t
	}
	return s
}

func queryEscape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }
