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
// assertion, or not at all. Whether it had to is the grant's to say.
func (s *Server) authenticate(r *http.Request, authority string) (client Client, auth string, _ *stsError) {
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
		return Client{}, "", s.unknownClient(id, authority)
	}
	if assertion := r.PostFormValue("client_assertion"); assertion != "" {
		if t := r.PostFormValue("client_assertion_type"); t != assertionType {
			return Client{}, "", missing("client_assertion_type")
		}
		return client, authAssertion, s.checkAssertion(client, assertion)
	}
	switch {
	case given == "":
		return client, authNone, nil
	case !client.confidential():
		return Client{}, "", invalidClient(700025, "Client is public so neither 'client_assertion' nor 'client_secret' should be presented.")
	case client.Secret.Empty() || !client.Secret.Equal(secret.New(given)):
		return Client{}, "", invalidClient(7000215, "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '"+client.ID+"'.")
	}
	return client, authSecret, nil
}

func credentialsMissing() *stsError {
	return invalidClient(7000218, "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.")
}

func invalidClient(number int, message string) *stsError {
	return &stsError{status: http.StatusUnauthorized, code: "invalid_client", number: number, message: message}
}

// checkOrigin holds an app to the way of redeeming that its redirect URI is
// registered for: scripts of other origins may redeem for single-page apps, and
// for those nobody else may.
func checkOrigin(r *http.Request, p platform) *stsError {
	origin := r.Header.Get("Origin")
	switch {
	case p == platformSPA && origin == "":
		return &stsError{code: "invalid_request", number: 9002327, message: "Tokens issued for the 'Single-Page Application' client-type may only be redeemed via cross-origin requests."}
	case p != platformSPA && origin != "":
		return &stsError{code: "invalid_request", number: 9002326, message: "Cross-origin token redemption is permitted only for the 'Single-Page Application' client-type. Request origin: '" + origin + "'."}
	}
	return nil
}

func formDecoded(s string) string {
	if decoded, err := url.QueryUnescape(s); err == nil {
		return decoded
	}
	return strings.TrimSpace(s)
}
