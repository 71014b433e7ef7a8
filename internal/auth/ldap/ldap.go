package ldap

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/internal/auth"
)

// Name is the backend's name in auth_chain.
const Name = "ldap"

// Options say where users are.
type Options struct {
	URLs     []string // ldap:// or ldaps://, in the order in which they are tried
	StartTLS bool     // with ldap://
	CA       []byte   // certificates in PEM that may vouch for the server; nil: the system's

	// DN is the entry of a user, with %u for the name. Without it Filter, with %u, finds the entry below Base.
	DN           string
	Base, Filter string
	// BindDN and BindPassword are who searches; empty: for users nobody in particular, for groups the user.
	BindDN, BindPassword string

	// GroupFilter, with %u for the user name and %d for the user's entry, finds groups below GroupBase; empty: there are none.
	GroupBase, GroupFilter string
	GroupAttribute         string // that names a group; empty: cn
}

// maxGroups bounds the groups of a user.
const maxGroups = 10_000

// Backend logs in to a server.
type Backend struct {
	o                       Options
	dn, filter, groupFilter *auth.Template // nil: not given
	pool                    *pool
}

var (
	_ auth.Bounded   = (*Backend)(nil)
	_ auth.Rechecker = (*Backend)(nil)
)

// New returns a backend. It does not reach for the server.
func New(o Options) (*Backend, error) {
	b := &Backend{o: o, pool: &pool{startTLS: o.StartTLS, tls: &tls.Config{MinVersion: tls.VersionTLS12}, slots: make(chan struct{}, maxConnections)}}
	for _, text := range o.URLs {
		u, err := url.Parse(text)
		if err != nil || u.Scheme != "ldap" && u.Scheme != "ldaps" || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" {
			return nil, fmt.Errorf("expected ldap://HOST[:PORT] or ldaps://HOST[:PORT], not %q", text)
		}
		if u.Scheme == "ldaps" && o.StartTLS {
			return nil, errors.New("expected ldap:// with auth_ldap_starttls: ldaps:// has TLS from the beginning")
		}
		b.pool.urls = append(b.pool.urls, u)
	}
	if len(o.URLs) == 0 {
		return nil, errors.New("expected a server")
	}
	if (o.DN == "") == (o.Filter == "") {
		return nil, errors.New("expected either auth_ldap_dn or auth_ldap_filter")
	}
	if o.CA != nil {
		b.pool.tls.RootCAs = x509.NewCertPool()
		if !b.pool.tls.RootCAs.AppendCertsFromPEM(o.CA) {
			return nil, errors.New("expected certificates in PEM")
		}
	}
	if b.o.GroupAttribute == "" {
		b.o.GroupAttribute = "cn"
	}
	return b, b.parseTemplates()
}

func (b *Backend) parseTemplates() error {
	for _, t := range []struct {
		text, letters string
		to            **auth.Template
	}{{b.o.DN, "u", &b.dn}, {b.o.Filter, "u", &b.filter}, {b.o.GroupFilter, "ud", &b.groupFilter}} {
		if t.text == "" {
			continue
		}
		var err error
		if *t.to, err = auth.ParseTemplate(t.text, t.letters); err != nil {
			return err
		}
		if !(*t.to).Has('u') && !(*t.to).Has('d') {
			return fmt.Errorf("expected %%u in %q: without it all users are the same", t.text)
		}
		if t.to != &b.dn {
			sample := (*t.to).Expand(func(byte) string { return "x" })
			if _, err := ldap.CompileFilter(sample); err != nil {
				return fmt.Errorf("expected a filter, not %q", t.text)
			}
		}
	}
	return nil
}

// Close closes the connections.
func (b *Backend) Close() error {
	b.pool.close()
	return nil
}

// Name returns Name.
func (*Backend) Name() string { return Name }

// Connections implements auth.Bounded.
func (*Backend) Connections() int { return maxConnections }

// Check logs in as the client.
func (b *Backend) Check(ctx context.Context, r *auth.Request) (auth.Answer, error) {
	user := r.Client.Username
	if !r.Client.HasUsername || user == "" {
		return auth.Unknown("no user name"), nil
	}
	if len(r.Password) == 0 { // RFC 4513, 5.1.2: it would be no authentication
		return auth.Denied("no password"), nil
	}
	var a auth.Answer
	err := b.pool.use(ctx, func(c *ldap.Conn) (err error) {
		a, err = b.login(c, user, string(r.Password))
		return err
	})
	if err != nil {
		return auth.Answer{}, err
	}
	return a, nil
}

func (b *Backend) login(c *ldap.Conn, user, password string) (auth.Answer, error) {
	dn, err := b.find(c, user)
	if err != nil {
		return auth.Answer{}, err
	}
	known := dn != ""
	if !known { // log in all the same, as nobody: the server is asked as often for an unknown user as for a wrong password
		dn = strings.TrimSuffix("cn="+rand.Text()+","+b.o.Base, ",")
	}
	err = c.Bind(dn, password)
	switch {
	case !known && !broken(err):
		return auth.Unknown("unknown user"), nil
	case ldap.IsErrorAnyOf(err, ldap.LDAPResultInvalidCredentials, ldap.LDAPResultNoSuchObject, ldap.LDAPResultInvalidDNSyntax, ldap.LDAPResultInappropriateAuthentication):
		return auth.Denied("the server refuses name and password"), nil
	case err != nil:
		return auth.Answer{}, fmt.Errorf("log in as the user: %w", err)
	}
	a := auth.Answer{Verdict: auth.Allow, Reason: "password", Proof: dn}
	groups, err := b.groups(c, user, dn)
	if len(groups) > 0 {
		a.Attributes = map[string][]string{"groups": groups}
	}
	return a, err
}

// find returns the entry of a user; empty: there is none.
func (b *Backend) find(c *ldap.Conn, user string) (string, error) {
	if b.dn != nil {
		return b.dn.Expand(func(byte) string { return ldap.EscapeDN(user) }), nil
	}
	if err := b.bind(c); err != nil {
		return "", err
	}
	filter := b.filter.Expand(func(byte) string { return ldap.EscapeFilter(user) })
	const one = 2 // enough to tell one from several
	res, err := c.Search(ldap.NewSearchRequest(b.o.Base, ldap.ScopeWholeSubtree, ldap.NeverDerefAliases, one, 0, false, filter, []string{"1.1"}, nil))
	switch {
	case ldap.IsErrorWithCode(err, ldap.LDAPResultNoSuchObject):
		return "", nil
	case ldap.IsErrorWithCode(err, ldap.LDAPResultSizeLimitExceeded), err == nil && len(res.Entries) > 1:
		return "", fmt.Errorf("expected one entry for user %q, not several", user)
	case err != nil:
		return "", fmt.Errorf("search for the user: %w", err)
	case len(res.Entries) == 0:
		return "", nil
	}
	return res.Entries[0].DN, nil
}

// bind logs in as who searches.
func (b *Backend) bind(c *ldap.Conn) error {
	var err error
	if b.o.BindDN == "" {
		err = c.UnauthenticatedBind("")
	} else {
		err = c.Bind(b.o.BindDN, b.o.BindPassword)
	}
	if err != nil {
		return fmt.Errorf("log in to search: %w", err)
	}
	return nil
}

func (b *Backend) groups(c *ldap.Conn, user, dn string) ([]string, error) {
	if b.groupFilter == nil {
		return nil, nil
	}
	if b.o.BindDN != "" {
		if err := b.bind(c); err != nil {
			return nil, err
		}
	}
	filter := b.groupFilter.Expand(func(letter byte) string {
		if letter == 'd' {
			return ldap.EscapeFilter(dn)
		}
		return ldap.EscapeFilter(user)
	})
	res, err := c.Search(ldap.NewSearchRequest(b.o.GroupBase, ldap.ScopeWholeSubtree, ldap.NeverDerefAliases, maxGroups, 0, false, filter,
		[]string{b.o.GroupAttribute}, nil))
	if err != nil {
		return nil, fmt.Errorf("search for groups: %w", err)
	}
	var groups []string
	for _, e := range res.Entries {
		groups = append(groups, e.GetEqualFoldAttributeValues(b.o.GroupAttribute)...)
	}
	return groups, nil
}

// Recheck reports whether the user's entry is there still. Where nobody but users may look, only whether it would be the same.
func (b *Backend) Recheck(ctx context.Context, c *broker.Client, proof any) (bool, error) {
	dn, ok := proof.(string)
	if !ok {
		return false, nil
	}
	if b.dn != nil && b.o.BindDN == "" {
		return b.dn.Expand(func(byte) string { return ldap.EscapeDN(c.Username) }) == dn, nil
	}
	found := dn
	err := b.pool.use(ctx, func(conn *ldap.Conn) (err error) {
		if b.dn == nil {
			found, err = b.find(conn, c.Username)
			return err
		}
		if err := b.bind(conn); err != nil {
			return err
		}
		_, err = conn.Search(ldap.NewSearchRequest(dn, ldap.ScopeBaseObject, ldap.NeverDerefAliases, 0, 0, false, "(objectClass=*)", []string{"1.1"}, nil))
		if ldap.IsErrorWithCode(err, ldap.LDAPResultNoSuchObject) {
			found, err = "", nil
		}
		return err
	})
	return err == nil && found == dn, err
}
