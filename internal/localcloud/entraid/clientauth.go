package entraid

import (
	"net/http"
	"net/url"
	"strings"

	"acsauth/internal/secret"
)

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// authenticate finds out which client app calls the token endpoint and how it
// has proved that: by a secret in the form or in the Authorization header, by an
// assertion, or, when it is a public client, not at all.
func (s *Server) authenticate(r *http.Request) (client Client, auth string, _ *stsError) {
	id, given := r.PostFormValue("client_id"), r.PostFormValue("client_secret")
	if user, password, ok := r.BasicAuth(); ok {
		// RFC 6749 §2.3.1 has both form-encoded before base64.
		id, given = formDecoded(user), formDecoded(password)
	}
	if id == "" {
		return Client{}, "", missing("client_id")
	}
	client, ok := s.client(id)
	if !ok {
		return Client{}, "", &stsError{code: "unauthorized_client", number: 700016,
			message: "Application with identifier '" + id + "' was not found in the directory."}
	}
	if assertion := r.PostFormValue("client_assertion"); assertion != "" {
		if t := r.PostFormValue("client_assertion_type"); t != assertionType {
			return Client{}, "", missing("client_assertion_type")
		}
		if s.checkAssertion == nil {
			return Client{}, "", invalidClient(700213, "No matching federated identity record found for presented assertion.")
		}
		if err := s.checkAssertion(client.ID, assertion); err != nil {
			return Client{}, "", invalidClient(700027, "The assertion was refused: "+err.Error()+".")
		}
		return client, authAssertion, nil
	}
	switch {
	case given != "" && !client.Secret.Empty() && client.Secret.Equal(secret.New(given)):
		return client, authSecret, nil
	case given != "" && client.Secret.Empty():
		return Client{}, "", invalidClient(700025, "Client is public so neither 'client_assertion' nor 'client_secret' should be presented.")
	case given != "":
		return Client{}, "", invalidClient(7000215, "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID.")
	case !client.Secret.Empty():
		return Client{}, "", credentialsMissing()
	}
	return client, authNone, nil
}

func credentialsMissing() *stsError {
	return invalidClient(7000218, "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.")
}

func invalidClient(number int, message string) *stsError {
	return &stsError{status: http.StatusUnauthorized, code: "invalid_client", number: number, message: message}
}

func formDecoded(s string) string {
	if decoded, err := url.QueryUnescape(s); err == nil {
		return decoded
	}
	return strings.TrimSpace(s)
}
