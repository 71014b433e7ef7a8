// Package ldap is the auth.Backend that logs in to an LDAP server (RFC 4511) with a client's user name and password.
//
// The user's entry is either made of a template, or searched for by somebody that the options name. Groups are searched for
// behind that. User names are escaped wherever they go (RFC 4514, RFC 4515), and an empty password, with which most servers let in everybody
// as nobody (RFC 4513, 5.1.2), is denied without asking.
//
// It follows no referrals, changes nothing, and reaches for the server when the first client comes. Connections are kept for the next
// client; their goroutines are those of the library, and end with Close.
//
//	b, err := ldap.New(ldap.Options{URLs: []string{"ldaps://ldap.example.com"}, DN: "uid=%u,ou=people,dc=example,dc=com"})
package ldap
