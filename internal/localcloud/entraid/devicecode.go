package entraid

import (
	"net/http"
	"strings"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"acsauth/internal/localcloud/wire"
)

const (
	grantDeviceCode    = "urn:ietf:params:oauth:grant-type:device_code"
	grantDeviceCodeOld = "device_code" // MSAL still says so
	deviceCodeLifetime = 15 * time.Minute
	deviceInterval     = 5 // seconds
	// devicesRemembered bounds how many codes can be waiting to be entered.
	devicesRemembered = 1000
)

// device is a device code: what the device polls with. Whether its user code has
// been entered is in Server.devices.
type device struct {
	ClientID, Authority, UserCode string
	Scopes                        []string
	Expires                       time.Time
}

// entered is what became of a user code; the zero value is still waiting.
type entered struct {
	user     userKey
	declined bool
}

func newDevices() *lru.Cache[string, entered] {
	cache, err := lru.New[string, entered](devicesRemembered)
	if err != nil {
		panic(err) // the size is above zero
	}
	return cache
}

// deviceCode begins a sign-in of a device that has no browser, RFC 8628.
func (s *Server) deviceCode(w http.ResponseWriter, r *http.Request, authority string) {
	if err := r.ParseForm(); err != nil {
		s.refuse(w, r, malformedRequest())
		return
	}
	id, scopes := r.PostFormValue("client_id"), strings.Fields(r.PostFormValue("scope"))
	if id == "" {
		s.refuse(w, r, missing("client_id"))
		return
	}
	client, ok := s.client(id)
	if !ok {
		s.refuse(w, r, s.unknownClient(id, authority))
		return
	}
	if len(scopes) == 0 {
		s.refuse(w, r, missing("scope"))
		return
	}
	if _, refusal := s.parseScopes(scopes); refusal != nil {
		s.refuse(w, r, refusal)
		return
	}
	d := device{ClientID: client.ID, Authority: authority, UserCode: strings.ToUpper(strings.ReplaceAll(wire.NewGUID(), "-", "")[:9]),
		Scopes: scopes, Expires: s.now().Add(deviceCodeLifetime)}
	s.devices.Add(d.UserCode, entered{})
	where := s.baseURL + "/" + authority + "/oauth2/deviceauth"
	s.setHeaders(w, r, wire.NewGUID())
	wire.WriteJSON(w, http.StatusOK, "application/json; charset=utf-8", map[string]any{
		"user_code": d.UserCode, "device_code": s.seal(sealedDevice, d), "verification_uri": where,
		"expires_in": int(deviceCodeLifetime / time.Second), "interval": deviceInterval,
		"message": "To sign in, use a web browser to open the page " + where + " and enter the code " + d.UserCode + " to authenticate.",
	})
}

// codeField is the form field that the user enters the code in.
const codeField = "otc"

// deviceAuth is the page where the user enters the code and chooses an account.
func (s *Server) deviceAuth(w http.ResponseWriter, r *http.Request, authority string) {
	if err := r.ParseForm(); err != nil {
		s.showError(w, r, malformedRequest())
		return
	}
	code := strings.ToUpper(strings.TrimSpace(r.Form.Get(codeField)))
	_, waiting := s.devices.Get(code)
	switch {
	case !waiting:
		p := page{Title: "Enter code", Message: "Enter the code that the app or device shows.", Action: r.URL.Path, Ask: codeField, Choices: []choice{{Label: "Next"}}}
		if code != "" {
			p.Message = "That code didn’t work. Check the code and try again."
		}
		s.showPage(w, http.StatusOK, p)
		return
	case !r.PostForm.Has(choiceField):
		s.showUsers(w, r, authorization{client: Client{Name: "the device"}}, s.usersAt(authority))
		return
	}
	user, ok := find(s.usersAt(authority), func(u User) bool { return u.choice() == r.PostForm.Get(choiceField) })
	s.devices.Add(code, entered{user: user.key(), declined: !ok})
	s.showPage(w, http.StatusOK, page{Title: "You may close this window", Message: "The device has been told."})
}

// redeemDeviceCode answers the device that asks whether the user is done.
func (s *Server) redeemDeviceCode(r tokenRequest) (issue, *stsError) {
	var d device
	if r.PostFormValue("device_code") == "" {
		return issue{}, missing("device_code")
	}
	if err := s.unseal(sealedDevice, r.PostFormValue("device_code"), &d); err != nil || d.ClientID != r.client.ID {
		return issue{}, invalidGrant(70000, "The provided value for the input parameter 'device_code' is not valid.")
	}
	if refusal := checkOrigin(r.Request, platformNative); refusal != nil {
		return issue{}, refusal
	}
	state, known := s.devices.Get(d.UserCode)
	switch {
	case s.expired(d.Expires) || !known:
		return issue{}, &stsError{code: "expired_token", number: 70020, message: "The provided value for the input parameter 'device_code' is not valid. This device code has expired."}
	case state == entered{}:
		return issue{}, &stsError{code: "authorization_pending", number: 70016, message: "OAuth 2.0 device flow error. Authorization is pending. Continue polling."}
	case state.declined:
		return issue{}, &stsError{code: "authorization_declined", number: 70018, message: "User declined to continue with the sign-in."}
	}
	s.devices.Remove(d.UserCode)
	user, ok := s.User(state.user.tenantID, state.user.objectID)
	if !ok {
		return issue{}, unknownUser()
	}
	g := s.newGrant(user, r.client.ID, d.Scopes, refreshLifetime)
	g.Platform = platformNative
	return s.continued(r, g, "")
}
