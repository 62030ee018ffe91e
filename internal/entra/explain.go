package entra

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"acsauth/internal/identity"
)

// Finding is what a token is under one rule.
type Finding struct {
	Rule  string // what is looked at, in a word or two
	Found string // what the token says of it, or what is wrong with it
	Cure  string // what to do about it; empty where the rule is fulfilled
}

// Broken reports that a token is refused for this.
func (f Finding) Broken() bool { return f.Cure != "" }

// Explain judges a token as Verify does, but under every rule, for a person who
// looks into why it is refused. It returns what each rule found, as far as the
// token can be read, and Verify's error. Claims are shown, cut short and quoted,
// but not the signature, nor the person's name or address.
func (v *Verifier) Explain(ctx context.Context, raw string) ([]Finding, error) {
	_, verdict := v.Verify(ctx, raw)
	e := &explanation{Verifier: v, now: v.now()}
	e.explain(ctx, raw)
	if verdict != nil && !slices.ContainsFunc(e.findings, Finding.Broken) {
		e.add("token", reason(verdict), "Get a new token. If that is refused too, it was not made by Entra ID.")
	}
	return e.findings, verdict
}

type explanation struct {
	*Verifier
	now      time.Time
	findings []Finding
}

func (e *explanation) add(rule, found, cure string) {
	e.findings = append(e.findings, Finding{rule, found, cure})
}

// judge adds a finding that is a cure's only where err is one.
func (e *explanation) judge(rule, found string, err error, cure string) {
	if err == nil {
		e.add(rule, found, "")
		return
	}
	problem := reason(err)
	if found != "" {
		problem = found + ": " + problem
	}
	e.add(rule, problem, cure)
}

func (e *explanation) explain(ctx context.Context, raw string) {
	head, payload, signature, err := segments(raw)
	e.judge("form", "three parts in base64url", err,
		"Send the access token as Entra ID gave it: whole, and without quotes, line ends or the word Bearer.")
	if err != nil {
		return
	}
	h, headErr := parseHeader(head)
	if headErr == nil {
		headErr = h.check()
	}
	e.judge("header", "algorithm "+quoted(h.alg)+", key "+quoted(h.kid), headErr,
		"This is no access token for an API of yours. A token for Microsoft Graph, for one, is for Graph's eyes alone: ask Entra ID for "+e.wantedScope()+".")
	c, err := parseClaims(payload)
	e.judge("claims", "can be read, each name once", err, "This is no access token of Entra ID.")
	if err != nil {
		return
	}
	iss, known := e.issuers[c.issuer]
	if known && iss.policy != "" {
		c = c.ofB2C(iss.tenantID)
	}
	e.issuer(c, known)
	e.audience(c)
	if headErr == nil && known {
		_, err := iss.keys.verify(ctx, token{raw: raw, header: h, payload: payload, signature: signature})
		e.judge("signature", "by a key of the issuer", err,
			"The token was changed on its way, or comes from somebody else than Entra ID. If there are no signing keys, this machine does not reach Entra ID.")
	}
	if !known {
		iss = &issuer{issuerForm: issuerForm{tenantID: c.tenantID, version: c.version}} // so that the other rules can be looked at
	}
	for _, rule := range claimRules {
		if rule.name == "user flow" && iss.policy == "" || rule.name == "scope" && c.scope == "" {
			continue // there is nothing to look at
		}
		found, cure := e.told(rule.name, c, iss)
		e.judge(rule.name, found, rule.check(e.Verifier, c, iss, e.now), cure)
	}
}

func (e *explanation) issuer(c claims, known bool) {
	switch v1 := strings.HasPrefix(c.issuer, v1IssuerHost(e.expected.AuthorityHost)+"/"); {
	case known:
		e.add("issuer", quoted(c.issuer), "")
	case v1 && !e.expected.AcceptV1 && slices.ContainsFunc(e.expected.Tenants, func(id string) bool { return strings.EqualFold(id, c.tenantID) }):
		e.add("issuer", quoted(c.issuer)+" makes v1.0 tokens, which are not accepted",
			"Set requestedAccessTokenVersion to 2 in the manifest of the API's registration, or ENTRA_ACCEPT_V1_TOKENS=true.")
	default:
		e.add("issuer", quoted(c.issuer)+" is none of "+strings.Join(e.Issuers(), ", "),
			"Sign in to a tenant that ENTRA_TENANT_ID lists, or list the token's there; ENTRA_AUTHORITY_HOST must be the cloud that the tenant is in.")
	}
}

func (e *explanation) audience(c claims) {
	if slices.Contains(e.expected.Audiences, c.audience) {
		e.add("audience", quoted(c.audience), "")
		return
	}
	e.add("audience", quoted(c.audience)+" is none of "+strings.Join(e.expected.Audiences, ", "),
		"The client asked for a token of another API. It must ask Entra ID for "+e.wantedScope()+". If the audience is this API's all the same, list it in ENTRA_AUDIENCES.")
}

func (e *explanation) wantedScope() string {
	return "the scope " + e.expected.Scope + " of this API (api://<client id>/" + e.expected.Scope + ")"
}

// told is what a token says of a claim rule, and what to do where it is broken.
func (e *explanation) told(rule string, c claims, iss *issuer) (found, cure string) {
	switch rule {
	case "expiry":
		return "at " + stamp(c.expires) + ", " + distance(c.expires.Sub(e.now)), "Get a new token. If a new one has expired too, set this machine's clock."
	case "beginning":
		return "issued " + stamp(c.issuedAt) + ", " + distance(c.issuedAt.Sub(e.now)), "Set this machine's clock: Entra ID's is right."
	case "lifetime":
		return c.expires.Sub(c.issuedAt).String(), "This is no access token of Entra ID."
	case "version":
		return quoted(c.version), "Set requestedAccessTokenVersion to 2 in the manifest of the API's registration."
	case "user flow":
		return quoted(c.policy()), "Sign in with the user flow " + iss.policy + ", or set ENTRA_B2C_POLICY."
	case "tenant":
		return quoted(c.tenantID), "This is no access token of Entra ID."
	case "kind":
		return "idtyp " + quoted(c.identityType) + ", scp " + quoted(c.scope),
			"Sign a user in, and send the access token, not the ID token. Applications can't call this API for themselves."
	case "scope":
		return quoted(c.scope), "The client must ask Entra ID for " + e.wantedScope() + ", and the user or an administrator must consent."
	case "user":
		return "tid " + quoted(c.tenantID) + ", oid " + quoted(c.objectID), "The client must ask Entra ID for the scope profile too, which brings the claim oid."
	default: // client
		return quoted(c.client()), "List the application in ENTRA_ALLOWED_CLIENT_IDS, or call with one that is listed."
	}
}

func reason(err error) string {
	var e *identity.Error
	if errors.As(err, &e) {
		return e.Detail
	}
	return err.Error()
}

// quoted makes what a stranger wrote fit to be shown.
func quoted(s string) string {
	if r := []rune(s); len(r) > 100 {
		s = string(r[:100]) + "…"
	}
	return strconv.Quote(s)
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func distance(d time.Duration) string {
	if d < 0 {
		return fmt.Sprintf("%v ago", -d.Round(time.Second))
	}
	return fmt.Sprintf("in %v", d.Round(time.Second))
}
