package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"

	"acsauth/internal/acs"
	"acsauth/internal/config"
	"acsauth/internal/identity"
	"acsauth/internal/upstream"
)

const teamsUsage = `usage:
  handler teams assign   -user ID -client ID,ID [-tenant ID]
  handler teams assign   -resource-account ID [-tenant ID]
  handler teams unassign -user ID | -resource-account ID [-tenant ID]
  handler teams show     -user ID | -resource-account ID [-tenant ID]

An assignment lets a Teams user use Teams Phone Extensibility with the ACS
resource of the settings, through the client applications named; or lets a Teams
resource account.

  -user ID              object id of the user in Entra ID
  -resource-account ID  object id of the resource account
  -client ID,ID         application (client) ids that the user signs in with
  -tenant ID            their tenant; may be left out where ENTRA_TENANT_ID has one
`

// teamsCommand is what the arguments behind "handler teams" say.
type teamsCommand struct {
	verb            string
	user, account   string // object ids, of which one is given
	tenant, clients string
}

// teams reads, makes and takes away assignments of Teams Phone Extensibility.
func (p *Program) teams(ctx context.Context, args []string) int {
	cmd, err := parseTeamsCommand(args)
	if err != nil {
		return p.explainUsage("teams", teamsUsage, err)
	}
	return p.configured(ctx, func(ctx context.Context, cfg config.Config, _ *slog.Logger) error {
		ctx, cancel := context.WithTimeout(ctx, checkTimeout)
		defer cancel()
		return p.runTeamsCommand(ctx, cmd, cfg)
	})
}

func parseTeamsCommand(args []string) (c teamsCommand, err error) {
	flags := flag.NewFlagSet("teams", flag.ContinueOnError)
	flags.StringVar(&c.user, "user", "", "")
	flags.StringVar(&c.account, "resource-account", "", "")
	flags.StringVar(&c.clients, "client", "", "")
	flags.StringVar(&c.tenant, "tenant", "", "")
	if c.verb, err = parseVerb(flags, args, "assign", "unassign", "show"); err != nil {
		return c, err
	}
	return c, c.check(flags.Args())
}

func (c teamsCommand) check(rest []string) error {
	wrong := func(id string) bool { return id != "" && !identity.IsGUID(id) }
	switch {
	case len(rest) > 0:
		return fmt.Errorf("%q is one argument too many: the clients are one list, with commas and no spaces", rest[0])
	case (c.user == "") == (c.account == ""):
		return errors.New("say who it is about, with -user or -resource-account")
	case wrong(c.user), wrong(c.account), wrong(c.tenant), slices.ContainsFunc(c.clientIDs(), wrong):
		return errors.New("an id is not a GUID such as 11111111-2222-3333-4444-555555555555")
	case c.verb == "assign" && c.user != "" && len(c.clientIDs()) == 0:
		return errors.New("say with -client which applications the user signs in with")
	case c.clients != "" && (c.verb != "assign" || c.user == ""):
		return errors.New("-client is for the assignment of a user")
	}
	return nil
}

func (c teamsCommand) clientIDs() []string {
	return strings.FieldsFunc(c.clients, func(r rune) bool { return r == ',' })
}

// String names the principal.
func (c teamsCommand) String() string {
	if c.account != "" {
		return "resource account " + c.account
	}
	return "user " + c.user
}

func (p *Program) runTeamsCommand(ctx context.Context, cmd teamsCommand, cfg config.Config) error {
	if cmd.tenant == "" {
		if len(cfg.Entra.Tenants) != 1 {
			return errors.New("ENTRA_TENANT_ID has several tenants: say with -tenant which one it is about")
		}
		cmd.tenant = cfg.Entra.Tenants[0]
	}
	if cfg.ACS.APIVersion < acs.MinAssignmentVersion {
		return fmt.Errorf("ACS_API_VERSION is %s, but assignments came with %s: set a newer one, or none", cfg.ACS.APIVersion, acs.MinAssignmentVersion)
	}
	httpClient, err := upstream.NewClient(os.Getenv("SSL_CERT_FILE"))
	if err != nil {
		return err
	}
	defer httpClient.CloseIdleConnections()
	client, err := openACS(cfg, httpClient)
	if err != nil {
		return err
	}
	err = p.onAssignment(ctx, cmd, client)
	if identity.CodeOf(err) == identity.CodeUpstreamRejected {
		return fmt.Errorf("%w\n%s", err, acsCure(cfg, err))
	}
	return err
}

func (p *Program) onAssignment(ctx context.Context, cmd teamsCommand, client *acs.Client) error {
	objectID := cmd.user + cmd.account
	switch cmd.verb {
	case "assign":
		a := acs.Assignment{TenantID: cmd.tenant, ObjectID: objectID, ResourceAccount: cmd.account != "", ClientIDs: cmd.clientIDs()}
		if err := client.Assign(ctx, a); err != nil {
			return err
		}
		p.printf(p.Stdout, "ok    %s of tenant %s can use Teams Phone with %s\n", cmd, cmd.tenant, client.Resource())
		return nil
	case "unassign":
		err := client.Unassign(ctx, cmd.tenant, objectID)
		if err != nil && !errors.Is(err, acs.ErrNotAssigned) {
			return err
		}
		p.printf(p.Stdout, "ok    %s of tenant %s has no assignment at %s any more\n", cmd, cmd.tenant, client.Resource())
		return nil
	}
	a, err := client.Assignment(ctx, cmd.tenant, objectID)
	if errors.Is(err, acs.ErrNotAssigned) {
		return fmt.Errorf("%s of tenant %s has no assignment at %s: handler teams assign makes one", cmd, cmd.tenant, client.Resource())
	}
	if err != nil {
		return err
	}
	kind, clients := "user", strings.Join(a.ClientIDs, ", ")
	if a.ResourceAccount {
		kind = "resource account"
	}
	if clients == "" {
		clients = "none named"
	}
	p.printf(p.Stdout, "resource   %s\ntenant     %s\nobject id  %s\nkind       %s\nclients    %s\n", client.Resource(), a.TenantID, a.ObjectID, kind, clients)
	return nil
}
