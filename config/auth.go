package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Auth is how the clients of a listener prove who they are besides password_file: the options auth_...
// What a backend is given makes it part of the chain. No secret stands in it, only the names of files that hold them.
type Auth struct {
	// Chain is auth_chain: the order in which backends are asked; nil: all that are given, in the order of AuthLinks.
	Chain []string
	// Timeout is how long a backend may take that asks somebody else.
	Timeout time.Duration
	// CacheSize bounds the answers that are remembered; CacheTime and CacheTimeFailed for how long they are.
	CacheSize                  int
	CacheTime, CacheTimeFailed time.Duration

	JWT   AuthJWT
	HTTP  AuthHTTP
	LDAP  AuthLDAP
	SQL   AuthSQL
	Redis AuthRedis
	// SCRAMFile is the file of credentials for SCRAM; empty for none.
	SCRAMFile string
}

// String returns the fields, as a Listener is printed.
func (a *Auth) String() string { return fmt.Sprintf("%+v", *a) }

// AuthLinks are the names of auth_chain.
var AuthLinks = []string{"transport", "password_file", "scram", "jwt", "sql", "redis", "ldap", "http"}

// AuthJWT are the options auth_jwt_...
type AuthJWT struct {
	JWKSURL, JWKSFile, CAFile, SecretFile string
	KeyFiles                              []string
	Refresh, Leeway                       time.Duration
	Algorithms                            []string
	Issuer, Audience, UsernameClaim       string
	RequireExpiry                         bool
	Checks, Attributes                    [][2]string // claim and value; name and claim
}

// AuthHTTP are the options auth_http_...
type AuthHTTP struct {
	URL, Method, Format, Reply, CAFile, HeaderFile string
	Fields                                         [][2]string // name and template
}

// AuthLDAP are the options auth_ldap_...
type AuthLDAP struct {
	URLs                                   []string
	StartTLS                               bool
	CAFile                                 string
	DN                                     string
	BindDN, BindPasswordFile, Base, Filter string
	GroupBase, GroupFilter, GroupAttribute string
}

// AuthSQL are the options auth_sql_...
type AuthSQL struct {
	URL, PasswordFile, Query, GroupQuery string
	Connections                          int
}

// AuthRedis are the options auth_redis_...
type AuthRedis struct {
	URL, PasswordFile, CAFile, Key, Field string
	Attributes                            []string
}

// Links returns the backends of the listener in the order in which they are asked.
func (l *Listener) Links() []string {
	a := l.Auth
	switch {
	case a == nil && l.PasswordFile == "":
		return AuthLinks[:1]
	case a == nil:
		return AuthLinks[:2]
	case a.Chain != nil:
		return a.Chain
	}
	given := map[string]bool{
		"transport": true, "password_file": l.PasswordFile != "", "scram": a.SCRAMFile != "",
		"jwt": a.JWT.JWKSURL != "" || a.JWT.JWKSFile != "" || a.JWT.SecretFile != "" || a.JWT.KeyFiles != nil,
		"sql": a.SQL.URL != "", "redis": a.Redis.URL != "", "ldap": a.LDAP.URLs != nil, "http": a.HTTP.URL != "",
	}
	return slices.DeleteFunc(slices.Clone(AuthLinks), func(name string) bool { return !given[name] })
}

// Files returns the files that the options name.
func (a *Auth) Files() []string {
	if a == nil {
		return nil
	}
	all := append([]string{
		a.JWT.JWKSFile, a.JWT.CAFile, a.JWT.SecretFile, a.HTTP.CAFile, a.HTTP.HeaderFile, a.LDAP.CAFile, a.LDAP.BindPasswordFile,
		a.SQL.PasswordFile, a.Redis.PasswordFile, a.Redis.CAFile, a.SCRAMFile,
	}, a.JWT.KeyFiles...)
	return slices.DeleteFunc(all, func(path string) bool { return path == "" })
}

// Ban are the options auth_ban_...
type Ban struct {
	Attempts     int // 0: nobody is banned
	Window, Time time.Duration
	Delay        time.Duration
	Exempt       []netip.Prefix // none of these is banned
}

// authLine is one line of an option of Auth.
type authLine struct {
	option string
	apply  func(*Auth)
}

// auth returns what the broker's lines and the section's say of authentication; nil for nothing.
func (p *parser) auth(s *section) *Auth {
	lines := append(slices.Clone(p.security.auth), s.auth...)
	if len(lines) == 0 {
		return nil
	}
	var a Auth
	for i := range p.table.all {
		o := &p.table.all[i]
		if o.auth == nil || o.Default == "" {
			continue
		}
		v, _, err := o.read(o.Default)
		if err == nil {
			err = o.auth(&a, v)
		}
		if err != nil {
			panic("config: default of " + o.Name + ": " + err.Error())
		}
	}
	for _, l := range lines {
		l.apply(&a)
	}
	return &a
}

// authOption makes a row for an option of Auth. A text can be given once, unless the option is repeated.
func authOption(o Option, apply func(*Auth, value) error) Option {
	o.Scope, o.auth = Security, apply
	o.set = func(t *target, v value) error {
		given := slices.ContainsFunc(t.security.auth, func(l authLine) bool { return l.option == o.Name })
		if given && !o.Repeated && (o.Kind == Text || o.Kind == Fields) {
			return problem("is given twice; it can have one value only")
		}
		if err := apply(&Auth{}, v); err != nil {
			return err
		}
		t.security.auth = append(t.security.auth, authLine{o.Name, func(a *Auth) { _ = apply(a, v) }}) // it has been tried
		return nil
	}
	return o
}

func authText(name, doc string, field func(*Auth) *string) Option {
	return authOption(Option{Name: name, Kind: Text, Doc: doc}, func(a *Auth, v value) error {
		*field(a) = v.text
		return nil
	})
}

func authWord(name, def, doc string, words []string, field func(*Auth) *string) Option {
	return authOption(Option{Name: name, Kind: Word, Words: words, Default: def, Doc: doc}, func(a *Auth, v value) error {
		*field(a) = v.text
		return nil
	})
}

func authSeconds(name string, low, high int64, def, doc string, field func(*Auth) *time.Duration) Option {
	return authOption(Option{Name: name, Kind: Number, Min: low, Max: high, Unit: "seconds", Default: def, Doc: doc}, func(a *Auth, v value) error {
		*field(a) = time.Duration(v.number) * time.Second
		return nil
	})
}

// authWords makes a row for a list of words.
func authWords(name, syntax, doc string, field func(*Auth) *[]string) Option {
	return authOption(Option{Name: name, Kind: Fields, Syntax: syntax, Doc: doc}, func(a *Auth, v value) error {
		*field(a) = strings.Fields(v.text)
		return nil
	})
}

// authPairs makes a row for a name and what follows it; without that the name stands for both, if it may.
func authPairs(name, syntax, doc string, alone bool, field func(*Auth) *[][2]string) Option {
	return authOption(Option{Name: name, Kind: Fields, Syntax: syntax, Doc: doc, Repeated: true}, func(a *Auth, v value) error {
		first, rest := cutWord(v.text)
		if rest == "" && alone {
			rest = first
		}
		if rest == "" {
			return expected("%s", syntax)
		}
		*field(a) = append(*field(a), [2]string{first, rest})
		return nil
	})
}
