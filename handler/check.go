package main

import (
	"context"
	"log/slog"
	"time"

	"acsauth/internal/config"
)

const (
	checkTimeout = 15 * time.Second
	acsCure      = "Compare ACS_CONNECTION_STRING with the portal, or give the managed identity a role on the ACS resource."
)

// check tries everything that the settings name and says what to mend. It
// changes nothing upstream; the embedded store's file is made where it is missing.
func (p *Program) check(ctx context.Context, cfg config.Config, _ *slog.Logger) error {
	p.printf(p.Stdout, "ok    settings\n")
	for _, name := range cfg.UnknownNames {
		p.printf(p.Stdout, "warn  %s looks like a setting but is none\n", name)
	}
	quiet := slog.New(slog.DiscardHandler)
	s, err := open(cfg, quiet)
	if err != nil {
		p.printf(p.Stdout, "fail  %v\n", err)
		return errReported
	}
	defer s.close()

	type step struct {
		name string
		try  func(context.Context) error
		cure string
	}
	steps := []step{
		{"signing keys of Entra ID", s.verifier.Warm, "Is ENTRA_TENANT_ID the directory id of your tenant, and can this machine reach the authority host?"},
		{"communication service", s.acs.CheckAccess, acsCure},
		{"mapping store", s.store.Ping, "Compare the TABLES_ settings with the storage account, or give the managed identity the role Storage Table Data Contributor."},
	}
	if s.onBehalfOf != nil {
		steps = append(steps, step{"credential for On-Behalf-Of",
			func(ctx context.Context) error { return s.onBehalfOf.CheckCredential(ctx, cfg.GraphURL) },
			"Compare the secret, the certificate or the federated credential with the app registration, and see whether it has expired."})
	}
	failed := false
	for _, step := range steps {
		ctx, cancel := context.WithTimeout(ctx, checkTimeout)
		err := step.try(ctx)
		cancel()
		if err == nil {
			p.printf(p.Stdout, "ok    %s\n", step.name)
			continue
		}
		failed = true
		p.printf(p.Stdout, "fail  %s: %v\n      %s\n", step.name, err, step.cure)
	}
	if failed {
		return errReported
	}
	return nil
}
