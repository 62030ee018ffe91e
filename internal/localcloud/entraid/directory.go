package entraid

import (
	"fmt"
	"slices"
	"strings"

	"acsauth/internal/identity"
)

// consumerTenant is where personal accounts live.
const consumerTenant = "9188040d-6c67-4c5b-b112-36a304b66dad"

// Authorities that are no one tenant.
const (
	common        = "common"        // any tenant
	organizations = "organizations" // any tenant but that of personal accounts
	consumers     = "consumers"     // that of personal accounts
)

// populate takes over tenants, apps and users.
func (s *Server) populate(cfg Config) error {
	if len(cfg.Tenants) == 0 {
		cfg.Tenants = []Tenant{SampleTenant()}
	}
	if len(cfg.Users) == 0 {
		cfg.Users = SampleUsers()
	}
	for _, t := range cfg.Tenants {
		if !identity.IsGUID(t.ID) {
			return fmt.Errorf("tenant id: expected a GUID, got %q", t.ID)
		}
		s.tenants = append(s.tenants, Tenant{ID: strings.ToLower(t.ID), Domains: t.Domains})
	}
	for _, c := range cfg.Clients {
		if err := s.addClient(c); err != nil {
			return err
		}
	}
	for _, u := range cfg.Users {
		if err := s.AddUser(u); err != nil {
			return err
		}
	}
	return nil
}

func (s *Server) addClient(c Client) error {
	if !identity.IsGUID(c.ID) {
		return fmt.Errorf("client %q: id: expected a GUID, got %q", c.Name, c.ID)
	}
	c.ID = strings.ToLower(c.ID)
	if _, ok := s.client(c.ID); ok {
		return fmt.Errorf("client %s is there twice", c.ID)
	}
	if c.AccessTokenVersion == 0 {
		c.AccessTokenVersion = 2
	}
	if c.AccessTokenVersion != 1 && c.AccessTokenVersion != 2 {
		return fmt.Errorf("client %s: access token version: expected 1 or 2, got %d", c.ID, c.AccessTokenVersion)
	}
	if c.Name == "" {
		c.Name = c.ID
	}
	s.clients = append(s.clients, c)
	return nil
}

// Clients returns the app registrations.
func (s *Server) Clients() []Client { return slices.Clone(s.clients) }

func (s *Server) client(id string) (Client, bool) {
	for _, c := range s.clients {
		if strings.EqualFold(c.ID, id) {
			return c, true
		}
	}
	return Client{}, false
}

// AddUser adds a user, or replaces the one with the same tenant and object id.
func (s *Server) AddUser(u User) error {
	if u.TenantID == "" {
		u.TenantID = s.tenants[0].ID
	}
	who, err := identity.NewUser(u.TenantID, u.ObjectID)
	if err != nil {
		return fmt.Errorf("user %q: %w", u.Name, err)
	}
	u.TenantID, u.ObjectID = who.TenantID, who.ObjectID
	if !s.hasTenant(u.TenantID) {
		return fmt.Errorf("user %q: no tenant %s here", u.Name, u.TenantID)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := s.indexOf(u.key()); i >= 0 {
		s.users[i] = u
	} else {
		s.users = append(s.users, u)
	}
	return nil
}

// UpdateUser changes a user who is there, such as their Roles or Policy.
func (s *Server) UpdateUser(tenantID, objectID string, change func(*User)) error {
	key := userKey{strings.ToLower(tenantID), strings.ToLower(objectID)}
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.indexOf(key)
	if i < 0 {
		return fmt.Errorf("no user %s in tenant %s", objectID, tenantID)
	}
	u := s.users[i]
	change(&u)
	u.TenantID, u.ObjectID = key.tenantID, key.objectID
	s.users[i] = u
	return nil
}

// RemoveUser deletes a user, if there is such a one.
func (s *Server) RemoveUser(tenantID, objectID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := s.indexOf(userKey{strings.ToLower(tenantID), strings.ToLower(objectID)}); i >= 0 {
		s.users = slices.Delete(s.users, i, i+1)
	}
}

// Users returns all users.
func (s *Server) Users() []User {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.users)
}

// User finds a user by tenant and object id.
func (s *Server) User(tenantID, objectID string) (User, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := s.indexOf(userKey{strings.ToLower(tenantID), strings.ToLower(objectID)}); i >= 0 {
		return s.users[i], true
	}
	return User{}, false
}

// userKey names a user.
type userKey struct{ tenantID, objectID string }

func (u User) key() userKey { return userKey{u.TenantID, u.ObjectID} }

// indexOf is the user's place, or -1. With mu held.
func (s *Server) indexOf(k userKey) int {
	return slices.IndexFunc(s.users, func(u User) bool { return u.key() == k })
}

func (s *Server) hasTenant(id string) bool {
	return slices.ContainsFunc(s.tenants, func(t Tenant) bool { return t.ID == id })
}

// authority resolves the first segment of a path, in lower case: a tenant id, a
// domain, or common and its like.
func (s *Server) authority(name string) (string, *stsError) {
	switch name {
	case common, organizations, consumers, consumerTenant:
		return name, nil
	}
	for _, t := range s.tenants {
		if t.ID == name || slices.ContainsFunc(t.Domains, func(d string) bool { return strings.EqualFold(d, name) }) {
			return t.ID, nil
		}
	}
	if !identity.IsGUID(name) && !strings.Contains(name, ".") {
		return "", &stsError{code: "invalid_request", number: 900023,
			message: fmt.Sprintf("Specified tenant identifier '%s' is neither a valid DNS name, nor a valid external domain.", name)}
	}
	return "", &stsError{code: "invalid_tenant", number: 90002,
		message: fmt.Sprintf("Tenant '%s' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud. Check with your subscription administrator, this may happen if there are no active subscriptions for the tenant.", name)}
}

// serves reports whether a user or token of the tenant userTenant fits the
// authority that the request went to.
func serves(authority, userTenant string) bool {
	switch authority {
	case common:
		return true
	case organizations:
		return userTenant != consumerTenant
	case consumers:
		return userTenant == consumerTenant
	}
	return authority == userTenant
}

// usersAt returns the users who can sign in at an authority. A guest is one only
// at the tenant that they are a guest of: elsewhere they are asked for at home,
// which is not here.
func (s *Server) usersAt(authority string) []User {
	return slices.DeleteFunc(s.Users(), func(u User) bool {
		return !serves(authority, u.TenantID) || u.guest() && authority != u.TenantID
	})
}
