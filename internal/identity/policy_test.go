package identity

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestWhatACallerMayHave(t *testing.T) {
	fallback := Grant{[]string{"chat.join"}, MaxExpiresIn}
	p := TokenPolicy{Default: fallback, Roles: map[string]Grant{
		"Guest":  {[]string{"chat.join.limited", "voip.join"}, time.Hour},
		"Host":   {[]string{"chat", "voip"}, 8 * time.Hour},
		"Caller": {[]string{"voip"}, MaxExpiresIn},
	}}
	for _, row := range []struct {
		name  string
		roles []string
		want  Grant
	}{
		{"no role", nil, fallback},
		{"a role of no meaning here", []string{"Admin"}, fallback},
		{"a role in another case", []string{"host"}, fallback},
		{"a role with a space", []string{"Host "}, fallback},
		{"an empty role", []string{""}, fallback},
		{"one role", []string{"Guest"}, Grant{[]string{"chat.join.limited", "voip.join"}, time.Hour}},
		{"one role beside others", []string{"Admin", "Host"}, Grant{[]string{"chat", "voip"}, 8 * time.Hour}},
		{"two roles", []string{"Host", "Guest"}, Grant{[]string{"chat", "chat.join.limited", "voip", "voip.join"}, 8 * time.Hour}},
		{"two roles in the other order", []string{"Guest", "Host"}, Grant{[]string{"chat", "chat.join.limited", "voip", "voip.join"}, 8 * time.Hour}},
		{"roles that overlap", []string{"Caller", "Host"}, Grant{[]string{"chat", "voip"}, MaxExpiresIn}},
		{"a role twice", []string{"Caller", "Caller"}, Grant{[]string{"voip"}, MaxExpiresIn}},
	} {
		t.Run(row.name, func(t *testing.T) {
			assert.Equal(t, row.want, p.Grant(row.roles))
			assert.Equal(t, row.want, p.Grant(row.roles), "asking changes nothing")
		})
	}
	assert.Equal(t, fallback, TokenPolicy{Default: fallback}.Grant([]string{"Host"}), "without a policy roles mean nothing")
}
