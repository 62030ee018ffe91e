package entraid

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"
)

// How the client proved who it is: claims azpacr and appidacr.
const (
	authNone      = "0"
	authSecret    = "1"
	authAssertion = "2"
)

const idTokenLifetime = time.Hour

// subject is whom a token is about: a user, or else the client app itself.
type subject struct {
	user      User
	isUser    bool
	tenant    string
	client    Client
	auth      string // authNone, authSecret or authAssertion
	steppedUp bool   // the user has given a second factor
	capable   bool   // the client app understands claims challenges
}

// AccessToken returns the access token that user would get through a client
// app, as a public one, for scopes such as
// "api://<client id of the API>/access_as_user". The user need not be one of the
// directory.
func (s *Server) AccessToken(user User, clientID string, scopes ...string) (string, error) {
	client, ok := s.client(clientID)
	if !ok {
		return "", fmt.Errorf("no client %q", clientID)
	}
	ss, err := s.parseScopes(scopes)
	if err != nil {
		return "", err
	}
	if user.TenantID == "" {
		user.TenantID = s.tenants[0].ID
	}
	token, _ := s.accessToken(subject{user: user, isUser: true, tenant: user.TenantID, client: client, auth: authNone}, ss)
	return token, nil
}

// accessToken makes the token and tells how long it lives: a random time of 60
// to 90 minutes, as Entra's default is.
func (s *Server) accessToken(who subject, ss scopeSet) (token string, lifetime time.Duration) {
	lifetime = time.Hour + time.Duration(randomInt(30*60+1))*time.Second
	claims := s.commonClaims(who, ss.resource.appID, lifetime)
	claims["aud"] = ss.audience()
	if who.isUser {
		claims["scp"] = strings.Join(ss.granted, " ")
		claims["sub"] = pairwise(who.user, ss.resource.appID)
	}
	ss.resource.addOptional(claims, who)
	key := s.keyOf(who.tenant)
	if ss.resource.version == 1 {
		claims["ver"] = "1.0"
		claims["iss"] = issuerV1(who.tenant)
		claims["appid"], claims["appidacr"] = who.client.ID, who.auth
		if !who.isUser {
			claims["idp"] = claims["iss"]
		} else {
			addVersion1(claims, who)
		}
		// Version 1.0 tokens name the key twice.
		return key.Sign(map[string]any{"x5t": key.ID}, claims), lifetime
	}
	claims["azp"], claims["azpacr"] = who.client.ID, who.auth
	if who.isUser {
		claims["preferred_username"] = who.user.UPN
	}
	return key.Sign(nil, claims), lifetime
}

// addVersion1 adds what version 1.0 tokens say of a user.
func addVersion1(claims map[string]any, who subject) {
	claims["acr"] = "1"
	claims["amr"] = []string{"pwd"}
	if who.steppedUp {
		claims["amr"] = []string{"pwd", "mfa"}
	}
	claims["ipaddr"] = "127.0.0.1"
	claims["unique_name"], claims["upn"] = who.user.UPN, who.user.UPN
}

// addOptional adds the claims that the resource's registration asks for.
func (res resource) addOptional(claims map[string]any, who subject) {
	for _, name := range res.optional {
		switch {
		case name == "idtyp" && who.isUser:
			claims[name] = "user"
		case name == "idtyp":
			claims[name] = "app"
		case name == "xms_cc" && who.capable:
			claims[name] = []string{"cp1"}
		case (name == "upn" || name == "email") && who.isUser:
			claims[name] = who.user.UPN
		}
	}
}

// asksCapability reports whether parameter claims says that the client app
// understands claims challenges.
func asksCapability(claims string) bool {
	var asked struct {
		AccessToken struct {
			XMSCC struct {
				Values []string `json:"values"`
			} `json:"xms_cc"`
		} `json:"access_token"`
	}
	return json.Unmarshal([]byte(claims), &asked) == nil &&
		slices.ContainsFunc(asked.AccessToken.XMSCC.Values, func(v string) bool { return strings.EqualFold(v, "cp1") })
}

// idToken makes the token that tells the client app who signed in.
func (s *Server) idToken(who subject, ss scopeSet, nonce string) string {
	claims := s.commonClaims(who, who.client.ID, idTokenLifetime)
	claims["aud"] = who.client.ID
	claims["sub"] = pairwise(who.user, who.client.ID)
	claims["preferred_username"] = who.user.UPN
	if nonce != "" {
		claims["nonce"] = nonce
	}
	if ss.has("email") {
		claims["email"] = who.user.UPN
	}
	return s.keyOf(who.tenant).Sign(nil, claims)
}

// commonClaims are those that access tokens and ID tokens share, with version
// 2.0's issuer. appID is the app that the token is meant for.
func (s *Server) commonClaims(who subject, appID string, lifetime time.Duration) map[string]any {
	now := s.now()
	// Entra dates tokens back by five minutes, for APIs whose clock is slow.
	issued := now.Add(-5 * time.Minute).Unix()
	claims := map[string]any{
		"iss": s.issuerV2(who.tenant),
		"iat": issued,
		"nbf": issued,
		"exp": now.Add(lifetime).Unix(),
		"tid": who.tenant,
		"uti": randomText(16),
		"rh":  "1." + randomText(36) + ".",
		"aio": aio(who.steppedUp),
		"ver": "2.0",
	}
	if !who.isUser {
		id := servicePrincipal(who.tenant, who.client.ID)
		claims["oid"], claims["sub"] = id, id
		if len(who.client.AppRoles) > 0 {
			claims["roles"] = who.client.AppRoles
		}
		return claims
	}
	claims["oid"] = who.user.ObjectID
	claims["name"] = who.user.Name
	if _, ours := s.client(appID); ours && len(who.user.Roles) > 0 {
		claims["roles"] = who.user.Roles
	}
	if who.user.guest() {
		claims["idp"] = issuerV1(who.user.HomeTenantID)
	}
	return claims
}

// Claim aio is for Entra's own use. Here it tells On-Behalf-Of whether the user
// has given a second factor.
const steppedUpMark = "AVQAq"

func aio(steppedUp bool) string {
	if steppedUp {
		return steppedUpMark + randomText(60)
	}
	return "AUQAu" + randomText(60)
}

// clientInfo names the account to MSAL: as it is at home, for a guest.
func clientInfo(user User) string {
	info := map[string]string{"uid": user.ObjectID, "utid": user.TenantID}
	if user.guest() {
		info = map[string]string{"uid": guidOf("home", user.TenantID, user.ObjectID), "utid": user.HomeTenantID}
	}
	text, err := json.Marshal(info)
	if err != nil {
		panic(err) // two strings
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

// pairwise is the user's subject at one app: another app sees another one.
func pairwise(user User, appID string) string {
	sum := sha256.Sum256([]byte("sub\x00" + user.TenantID + "\x00" + user.ObjectID + "\x00" + strings.ToLower(appID)))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// servicePrincipal is the object id of a client app in a tenant.
func servicePrincipal(tenant, clientID string) string { return guidOf("sp", tenant, clientID) }

// guidOf makes an id that is always the same for the same parts.
func guidOf(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return fmt.Sprintf("%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}

func randomText(bytes int) string {
	b := make([]byte, bytes)
	_, _ = rand.Read(b) // never fails
	return base64.RawURLEncoding.EncodeToString(b)
}

func randomInt(below int64) int64 {
	n, err := rand.Int(rand.Reader, big.NewInt(below))
	if err != nil {
		panic(err) // never fails
	}
	return n.Int64()
}
