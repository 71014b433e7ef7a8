package wiring

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	nethttp "net/http"
	"net/textproto"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/uniomq/unio/internal/auth"
	"github.com/uniomq/unio/internal/auth/http"
	"github.com/uniomq/unio/internal/auth/jwt"
	"github.com/uniomq/unio/internal/auth/ldap"
	"github.com/uniomq/unio/internal/auth/redis"
	"github.com/uniomq/unio/internal/auth/sql"
)

// maxFile bounds the files that options name, in bytes.
const maxFile = 1 << 20

// file returns the content of the file that an option names; nil without one, and after a mistake.
func (x *listener) file(option, path string) []byte {
	if path == "" {
		return nil
	}
	text, err := os.ReadFile(path)
	switch {
	case err != nil:
		x.wrong(option, err)
	case len(text) == 0 || len(text) > maxFile:
		x.wrong(option, fmt.Errorf("expected a file of 1 to %d bytes, and %s has %d", maxFile, path, len(text)))
	default:
		return text
	}
	return nil
}

// secret returns the content of a file without the end of its last line.
func (x *listener) secret(option, path string) []byte {
	text := bytes.TrimSuffix(bytes.TrimSuffix(x.file(option, path), []byte("\n")), []byte("\r"))
	if info, err := os.Stat(path); path != "" && err == nil && auth.ReadableByAll(info) {
		x.warn(option, "every user of this machine may read "+path+": chmod o-r")
	}
	return text
}

// plaintext warns of an address that passwords go to as they are.
func (x *listener) plaintext(option, text string) {
	u, err := url.Parse(text)
	if err != nil {
		return
	}
	if ip := net.ParseIP(u.Hostname()); u.Hostname() != "localhost" && u.Hostname() != "" && (ip == nil || !ip.IsLoopback()) {
		x.warn(option, "passwords go to "+u.Host+" as they are: whoever is on the way can read them")
	}
}

func (x *listener) jwt() {
	a := &x.auth.JWT
	option := ""
	for _, o := range []struct {
		name  string
		given bool
	}{{"auth_jwt_jwks_url", a.JWKSURL != ""}, {"auth_jwt_jwks_file", a.JWKSFile != ""}, {"auth_jwt_key_file", a.KeyFiles != nil}, {"auth_jwt_secret_file", a.SecretFile != ""}} {
		if o.given {
			option = o.name
			break
		}
	}
	if !x.given("jwt", "auth_jwt_jwks_url, auth_jwt_jwks_file, auth_jwt_key_file or auth_jwt_secret_file", option != "") {
		return
	}
	before := len(x.mistakes)
	o := jwt.Options{
		JWKSURL: a.JWKSURL, Refresh: a.Refresh, CA: x.file("auth_jwt_cafile", a.CAFile), JWKS: x.file("auth_jwt_jwks_file", a.JWKSFile),
		Secret: x.secret("auth_jwt_secret_file", a.SecretFile), Algorithms: a.Algorithms, Issuer: a.Issuer, Audience: a.Audience, Leeway: a.Leeway,
		AllowNoExpiry: !a.RequireExpiry, UsernameClaim: a.UsernameClaim, Attributes: map[string]string{},
	}
	for _, path := range a.KeyFiles {
		o.Keys = append(o.Keys, x.file("auth_jwt_key_file", path))
	}
	for _, c := range a.Checks {
		o.Checks = append(o.Checks, jwt.Check{Claim: c[0], Value: c[1]})
	}
	for _, c := range a.Attributes {
		o.Attributes[c[0]] = c[1]
	}
	if a.UsernameClaim == "" && !slices.ContainsFunc(a.Checks, func(c [2]string) bool { return strings.Contains(c[1], "%u") }) {
		x.warn(option, "any token lets its client in under any user name that no backend before jwt knows: give auth_jwt_username_claim, "+
			"or an auth_jwt_check with %u")
	}
	if len(x.mistakes) > before {
		return
	}
	parts := fmt.Sprintf("%#v", o)
	o.FetchFailed = x.maker.failed
	if b := x.use(option, parts, func() (auth.Backend, error) { return made(jwt.New(o)) }); b != nil {
		x.backend = b
	}
}

// made returns a backend as the interface: a nil pointer becomes a nil interface.
func made[B auth.Backend](b B, err error) (auth.Backend, error) {
	if err != nil {
		return nil, err
	}
	return b, nil
}

func (x *listener) http() {
	a := &x.auth.HTTP
	if !x.given("http", "auth_http_url", a.URL != "") {
		return
	}
	before := len(x.mistakes)
	o := http.Options{
		URL: a.URL, CA: x.file("auth_http_cafile", a.CAFile), Get: a.Method == "get", Form: a.Format == "form", StatusOnly: a.Reply == "status", Fields: a.Fields,
	}
	if text := x.secret("auth_http_header_file", a.HeaderFile); text != nil {
		var err error
		if o.Header, err = headers(string(text)); err != nil {
			x.wrong("auth_http_header_file", err)
		}
	}
	if len(x.mistakes) > before {
		return
	}
	if strings.HasPrefix(a.URL, "http:") {
		x.plaintext("auth_http_url", a.URL)
	}
	x.remote("auth_http_url", fmt.Sprintf("%#v", o), func() (auth.Backend, error) { return made(http.New(o)) })
}

// headers reads lines NAME: VALUE.
func headers(text string) (nethttp.Header, error) {
	h := nethttp.Header{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, found := strings.Cut(line, ":")
		if !found || name == "" || strings.ContainsAny(name, " \t") {
			return nil, errors.New("expected lines NAME: VALUE")
		}
		h.Add(textproto.CanonicalMIMEHeaderKey(name), strings.TrimSpace(value))
	}
	return h, nil
}

func (x *listener) ldap() {
	a := &x.auth.LDAP
	if !x.given("ldap", "auth_ldap_url", a.URLs != nil) {
		return
	}
	before := len(x.mistakes)
	o := ldap.Options{
		URLs: a.URLs, StartTLS: a.StartTLS, CA: x.file("auth_ldap_cafile", a.CAFile), DN: a.DN, Base: a.Base, Filter: a.Filter,
		BindDN: a.BindDN, BindPassword: string(x.secret("auth_ldap_bind_password_file", a.BindPasswordFile)),
		GroupBase: a.GroupBase, GroupFilter: a.GroupFilter, GroupAttribute: a.GroupAttribute,
	}
	if (a.BindDN == "") != (a.BindPasswordFile == "") {
		x.wrong("auth_ldap_url", errors.New("expected auth_ldap_bind_dn and auth_ldap_bind_password_file together"))
	}
	if len(x.mistakes) > before {
		return
	}
	for _, u := range a.URLs {
		if strings.HasPrefix(u, "ldap:") && !a.StartTLS {
			x.plaintext("auth_ldap_url", u)
		}
	}
	x.remote("auth_ldap_url", fmt.Sprintf("%#v", o), func() (auth.Backend, error) { return made(ldap.New(o)) })
}

func (x *listener) sql() {
	a := &x.auth.SQL
	if !x.given("sql", "auth_sql_url", a.URL != "") {
		return
	}
	if a.Query == "" {
		x.wrong("auth_sql_url", errors.New("expected an auth_sql_query, too"))
		return
	}
	before := len(x.mistakes)
	o := sql.Options{
		URL: a.URL, Password: string(x.secret("auth_sql_password_file", a.PasswordFile)), Query: a.Query, GroupQuery: a.GroupQuery, Connections: a.Connections,
	}
	if len(x.mistakes) > before {
		return
	}
	parts := fmt.Sprintf("%#v", o)
	o.Gate = x.maker.gate
	x.remote("auth_sql_url", parts, func() (auth.Backend, error) { return made(sql.New(o)) })
}

func (x *listener) redis() {
	a := &x.auth.Redis
	if !x.given("redis", "auth_redis_url", a.URL != "") {
		return
	}
	before := len(x.mistakes)
	o := redis.Options{
		URL: a.URL, Password: string(x.secret("auth_redis_password_file", a.PasswordFile)), CA: x.file("auth_redis_cafile", a.CAFile),
		Key: a.Key, Field: a.Field, Attributes: a.Attributes,
	}
	if len(x.mistakes) > before {
		return
	}
	parts := fmt.Sprintf("%#v", o)
	o.Gate = x.maker.gate
	x.remote("auth_redis_url", parts, func() (auth.Backend, error) { return made(redis.New(o)) })
}
