package acs

import (
	"errors"
	"fmt"
	"time"

	json "github.com/go-json-experiment/json"

	"acsauth/internal/identity"
	"acsauth/internal/secret"
)

type identityAnswer struct {
	Identity struct {
		ID string `json:"id"`
	} `json:"identity"`
	AccessToken tokenAnswer `json:"accessToken"`
}

type tokenAnswer struct {
	Token     string `json:"token"`
	ExpiresOn string `json:"expiresOn"` // RFC 3339 with seven digits of fraction
}

func (a tokenAnswer) token() (identity.Token, error) {
	expiresOn, err := time.Parse(time.RFC3339, a.ExpiresOn)
	if err != nil {
		return identity.Token{}, unexpected(errors.New("expiresOn is not a time"))
	}
	if a.Token == "" {
		return identity.Token{}, unexpected(errors.New("the token is empty"))
	}
	return identity.Token{Value: secret.New(a.Token), ExpiresOn: expiresOn.UTC()}, nil
}

type errorAnswer struct {
	Error struct {
		Code   string `json:"code"`
		Target string `json:"target"`
	} `json:"error"`
}

// unmarshal reads an answer of ACS. Its error says nothing of the content, which
// may be a token.
func unmarshal(body []byte, into any) error {
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("the answer of %d bytes is not the JSON expected", len(body))
	}
	return nil
}
