package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"acsauth/internal/localcloud/entraid"
	"acsauth/internal/localcloud/funchost"
)

// serve runs everything until ctx ends or the host gives up.
func serve(ctx context.Context, o options, out io.Writer) error {
	printf(out, "Building the handler …\n")
	s, err := startStack(ctx, o, func(r funchost.Record) { printf(out, "%s\n", line(r)) })
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	defer s.stop()
	s.printWelcome(out)
	select {
	case <-ctx.Done():
		return nil
	case <-s.host.Done():
		return fmt.Errorf("the host gave up: %w", s.host.Err())
	}
}

// line is a record as the terminal has it: what is said of a function names it.
func line(r funchost.Record) string {
	if name, ok := strings.CutPrefix(r.Category, "Function."); ok {
		return strings.TrimSuffix(name, ".User") + ": " + r.Text
	}
	return r.Text
}

func (s *stack) printWelcome(out io.Writer) {
	printf(out, `
acsauth is running offline. %s

  the page               %s/
  the service            %s/api
  its contract           %s/api/openapi.yaml
  Entra ID stand-in      %s/%s/v2.0
  ACS stand-in           %s
  Graph stand-in         %s
  CA to trust for all    %s

Try it as %s, with a token that is good for about an hour:

curl -s -X POST %s/api/getToken -H "Authorization: Bearer %s"

Ctrl-C stops everything. The handler's log follows, a line a request.

`, s.folder.warning(), s.URL, s.URL, s.URL, s.cloud.EntraURL, entraid.SampleTenantID, s.cloud.ACSURL, s.cloud.GraphURL, s.cloud.CACertFile, entraid.SampleUsers()[0].Name, s.URL, s.token)
}
