package ldap

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/go-ldap/ldap/v3"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/internal/auth"
	"github.com/uniomq/unio/internal/auth/servers"
)

const people, groups = "ou=people," + servers.Suffix, "ou=groups," + servers.Suffix

// tree has the user joe in two groups, ann in none, and two entries for the user twice.
const tree = `dn: dc=example,dc=com
objectClass: organization
objectClass: dcObject
o: example
dc: example

dn: ou=people,dc=example,dc=com
objectClass: organizationalUnit
ou: people

dn: ou=groups,dc=example,dc=com
objectClass: organizationalUnit
ou: groups

dn: uid=joe,ou=people,dc=example,dc=com
objectClass: inetOrgPerson
uid: joe
cn: Joe
sn: Joe
userPassword: JOE

dn: uid=ann,ou=people,dc=example,dc=com
objectClass: inetOrgPerson
uid: ann
cn: Ann
sn: Ann
userPassword: ANN

dn: uid=a\2Cb(c)*,ou=people,dc=example,dc=com
objectClass: inetOrgPerson
uid: a,b(c)*
cn: Odd
sn: Odd
userPassword: ODD

dn: cn=Twice 1,ou=people,dc=example,dc=com
objectClass: inetOrgPerson
uid: twice
cn: Twice 1
sn: Twice
userPassword: TWICE

dn: cn=Twice 2,ou=people,dc=example,dc=com
objectClass: inetOrgPerson
uid: twice
cn: Twice 2
sn: Twice
userPassword: TWICE

dn: cn=ops,ou=groups,dc=example,dc=com
objectClass: groupOfNames
cn: ops
member: uid=joe,ou=people,dc=example,dc=com

dn: cn=staff,ou=groups,dc=example,dc=com
objectClass: groupOfNames
cn: staff
member: uid=joe,ou=people,dc=example,dc=com
member: uid=a\2Cb(c)*,ou=people,dc=example,dc=com
`

func backend(t *testing.T, o Options) *Backend {
	t.Helper()
	b, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func ask(t *testing.T, b *Backend, user, password string) (auth.Answer, error) {
	t.Helper()
	return b.Check(t.Context(), &auth.Request{Client: &broker.Client{Username: user, HasUsername: true}, Password: []byte(password)})
}

func TestClientsAreLookedUpInADirectory(t *testing.T) {
	t.Parallel()
	s := servers.LDAP(t, tree)
	byDN := Options{URLs: []string{s.URL}, DN: "uid=%u," + people, GroupBase: groups, GroupFilter: "(member=%d)"}
	search := Options{
		URLs: []string{s.URL}, BindDN: servers.RootDN, BindPassword: servers.Password, Base: people, Filter: "(&(objectClass=inetOrgPerson)(uid=%u))",
		GroupBase: groups, GroupFilter: "(member=%d)", GroupAttribute: "CN",
	}
	startTLS, ldaps, second := search, byDN, search
	startTLS.StartTLS, startTLS.CA = true, s.CA
	ldaps.URLs, ldaps.CA = []string{s.TLSURL}, s.CA
	second.URLs = []string{"ldap://127.0.0.1:1", s.URL}
	for name, o := range map[string]Options{"DN": byDN, "search": search, "StartTLS": startTLS, "LDAPS": ldaps, "the second server": second} {
		b := backend(t, o)
		unknown := auth.NotMine
		if o.DN != "" { // the server does not say whether the name or the password is wrong
			unknown = auth.Deny
		}
		for _, c := range []struct {
			user, password string
			want           auth.Verdict
			groups         []string
		}{
			{"joe", "JOE", auth.Allow, []string{"ops", "staff"}},
			{"ann", "ANN", auth.Allow, nil},
			{"a,b(c)*", "ODD", auth.Allow, []string{"staff"}},
			{"joe", "joe", auth.Deny, nil},
			{"joe", "", auth.Deny, nil},
			{"bob", "BOB", unknown, nil},
			{"*", "JOE", unknown, nil},
			{"j*", "JOE", unknown, nil},
			{"joe)(uid=*", "JOE", unknown, nil},
			{"joe," + people, "JOE", unknown, nil},
			{"joe+cn=Joe", "JOE", unknown, nil},
			{`\6aoe`, "JOE", unknown, nil},
			{"", "x", auth.NotMine, nil},
		} {
			a, err := ask(t, b, c.user, c.password)
			got := a.Attributes["groups"]
			slices.Sort(got)
			if err != nil || a.Verdict != c.want || !slices.Equal(got, c.groups) {
				t.Errorf("%s: %q with %q: %v, %s, groups %q, %v; want %v, groups %q", name, c.user, c.password, a.Verdict, a.Reason, got, err, c.want, c.groups)
			}
		}
		if a, err := ask(t, b, "twice", "TWICE"); o.Filter != "" && err == nil {
			t.Errorf("%s: two entries of one user: %v", name, a.Verdict)
		}
	}
	testConnections(t, backend(t, search))
	testRecheck(t, s, search, byDN)
}

// testConnections uses one backend from many goroutines, and lets its connections break.
func testConnections(t *testing.T, b *Backend) {
	t.Helper()
	var done sync.WaitGroup
	for range 50 {
		done.Go(func() {
			if a, err := ask(t, b, "joe", "JOE"); err != nil || a.Verdict != auth.Allow {
				t.Errorf("one of many: %v, %v", a.Verdict, err)
			}
			if a, err := ask(t, b, "joe", "x"); err != nil || a.Verdict != auth.Deny {
				t.Errorf("one of many: %v, %v", a.Verdict, err)
			}
		})
	}
	done.Wait()
	if n := len(b.pool.idle); n < 1 || n > maxConnections {
		t.Errorf("%d connections are kept, want 1 to %d", n, maxConnections)
	}
	for _, i := range b.pool.idle {
		_ = i.conn.Close()
	}
	if a, err := ask(t, b, "joe", "JOE"); err != nil || a.Verdict != auth.Allow {
		t.Errorf("after the connections broke: %v, %v", a.Verdict, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if a, err := b.Check(ctx, &auth.Request{Client: &broker.Client{Username: "joe", HasUsername: true}, Password: []byte("JOE")}); err == nil {
		t.Errorf("without time: %v", a.Verdict)
	}
}

func testRecheck(t *testing.T, s servers.Slapd, search, byDN Options) {
	t.Helper()
	bound := byDN
	bound.BindDN, bound.BindPassword = servers.RootDN, servers.Password
	client := &broker.Client{Username: "ann"}
	a, err := ask(t, backend(t, search), "ann", "ANN")
	if err != nil {
		t.Fatal(err)
	}
	recheck := func(want bool) {
		t.Helper()
		for _, o := range []Options{search, bound} {
			if ok, err := backend(t, o).Recheck(t.Context(), client, a.Proof); ok != want || err != nil {
				t.Errorf("recheck: %v, %v; want %v", ok, err, want)
			}
		}
	}
	recheck(true)
	c, err := ldap.DialURL(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Bind(servers.RootDN, servers.Password); err != nil {
		t.Fatal(err)
	}
	if err := c.Del(ldap.NewDelRequest("uid=ann,"+people, nil)); err != nil {
		t.Fatal(err)
	}
	recheck(false)
}

func TestServersThatCannotBeTrustedAreErrors(t *testing.T) {
	t.Parallel()
	s := servers.LDAP(t, tree)
	for name, o := range map[string]Options{
		"an unknown certificate":           {URLs: []string{s.TLSURL}, DN: "uid=%u," + people},
		"an unknown certificate, StartTLS": {URLs: []string{s.URL}, StartTLS: true, DN: "uid=%u," + people},
		"nobody":                           {URLs: []string{"ldap://127.0.0.1:1"}, DN: "uid=%u," + people},
		"who may not search":               {URLs: []string{s.URL}, Base: people, Filter: "(uid=%u)", BindDN: servers.RootDN, BindPassword: "guess"},
	} {
		if a, err := ask(t, backend(t, o), "joe", "JOE"); err == nil || strings.Contains(err.Error(), "JOE") || strings.Contains(err.Error(), "guess") {
			t.Errorf("%s: %v, %v", name, a.Verdict, err)
		}
	}
	anonymous := backend(t, Options{URLs: []string{s.URL}, Base: people, Filter: "(uid=%u)"})
	if a, err := ask(t, anonymous, "joe", "JOE"); err != nil || a.Verdict != auth.NotMine {
		t.Errorf("who may see nothing: %v, %v", a.Verdict, err)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	urls := []string{"ldap://h"}
	for _, o := range []Options{
		{},
		{URLs: urls},
		{URLs: urls, DN: "uid=%u", Filter: "(uid=%u)"},
		{URLs: urls, DN: "uid=joe"},
		{URLs: urls, Filter: "uid=%u)"},
		{URLs: urls, Filter: "(uid=joe)"},
		{URLs: []string{"http://h"}, DN: "uid=%u"},
		{URLs: []string{"ldaps://h"}, StartTLS: true, DN: "uid=%u"},
		{URLs: []string{"ldap://h/dc=x"}, DN: "uid=%u"},
		{URLs: urls, DN: "uid=%u", CA: []byte("x")},
		{URLs: urls, DN: "uid=%u", GroupFilter: "(member=%c)"},
	} {
		if b, err := New(o); err == nil {
			t.Errorf("%+v is accepted: %v", o, b)
		}
	}
}
