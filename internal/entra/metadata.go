package entra

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
)

// CheckMetadata asks each tenant's OpenID configuration for the issuer, and
// whether it is the one that is expected. Nothing else needs the document: issuer
// and keys follow from the tenant's id. It finds a tenant that does not exist, an
// authority of another cloud, and a proxy that answers in Entra ID's place.
func (v *Verifier) CheckMetadata(ctx context.Context) error {
	var errs []error
	seen := map[string]bool{}
	for _, iss := range slices.Sorted(maps.Keys(v.issuers)) {
		if url := v.issuers[iss].metadataURL; !seen[url] {
			seen[url] = true
			errs = append(errs, v.checkMetadata(ctx, url))
		}
	}
	return errors.Join(errs...)
}

func (v *Verifier) checkMetadata(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := v.client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return &StatusError{url, resp.StatusCode}
	}
	var document struct {
		Issuer string `json:"issuer"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxKeysSize)).Decode(&document); err != nil {
		return fmt.Errorf("%s is no OpenID configuration", url)
	}
	if v.issuers[document.Issuer] == nil {
		return fmt.Errorf("%s names the issuer %s, and expected is %v", url, quoted(document.Issuer), v.Issuers())
	}
	return nil
}

// StatusError is an answer of Entra ID that is not 200.
type StatusError struct {
	From   string
	Status int
}

func (e *StatusError) Error() string { return fmt.Sprintf("%s answered %d", e.From, e.Status) }
