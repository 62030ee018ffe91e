package entraid

// SampleTenantID is the home tenant when the Config names none.
const SampleTenantID = "6f1d7c52-3b0e-4a9c-8d27-51c0a4e9b310"

// samplePartnerTenantID is where the sample guest comes from. It is not served.
const samplePartnerTenantID = "b2a95e18-7c44-4f06-9a3d-0e8c61d7f542"

// App roles that some of the sample users have.
const (
	RoleHost  = "Host"
	RoleGuest = "Guest"
)

// SampleTenant is the tenant of the sample users.
func SampleTenant() Tenant {
	return Tenant{ID: SampleTenantID, Domains: []string{"contoso.example", "contoso.onmicrosoft.com"}}
}

// SampleUsers returns the people who live in the sample tenant: Alice has a
// Teams licence and is a host, Bob has no licence, Grace is a guest from another
// company, and there is nothing special about Carol.
func SampleUsers() []User {
	return []User{
		{
			ObjectID: "0a1c5d3e-94b2-4e6f-8a70-3c2d1b0e9f81",
			TenantID: SampleTenantID,
			Name:     "Alice Teams",
			UPN:      "alice@contoso.example",
			Teams:    true,
			Roles:    []string{RoleHost},
		},
		{
			ObjectID: "1b2d6e4f-a5c3-4f70-9b81-4d3e2c1f0a92",
			TenantID: SampleTenantID,
			Name:     "Bob Unlicensed",
			UPN:      "bob@contoso.example",
		},
		{
			ObjectID:     "2c3e7f50-b6d4-4081-8c92-5e4f3d201ba3",
			TenantID:     SampleTenantID,
			HomeTenantID: samplePartnerTenantID,
			Name:         "Grace Guest",
			UPN:          "grace_fabrikam.example#EXT#@contoso.example",
			Roles:        []string{RoleGuest},
		},
		{
			ObjectID: "3d4f8061-c7e5-4192-8da3-6f50412e1cb4",
			TenantID: SampleTenantID,
			Name:     "Carol Ordinary",
			UPN:      "carol@contoso.example",
			Teams:    true,
		},
	}
}
