package redis

import (
	"context"
	"errors"
	"fmt"

	redigo "github.com/gomodule/redigo/redis"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/internal/auth"
)

// Name is the backend's name in auth_chain.
const Name = "redis"

// Options say where users are.
type Options struct {
	URL        string // redis://[USER@]HOST[:PORT][/DATABASE], or rediss:// for TLS; without a password
	Password   string
	CA         []byte   // certificates in PEM that may vouch for the server; nil: the system's
	Key        string   // of a user, with %u and %c; empty: DefaultKey
	Field      string   // that holds the hash of the password; empty: DefaultField
	Attributes []string // fields to give to access control
	// Gate is where hashes are computed.
	Gate *auth.Gate
}

// What is used where the options say nothing.
const (
	DefaultKey   = "mqtt_user:%u"
	DefaultField = "password_hash"
)

// Backend looks users up in Redis.
type Backend struct {
	server server
	key    *auth.Template
	fields []string // the first is that of the hash
	gate   *auth.Gate
	decoy  auth.Decoy

	pool redigo.Pool
	// lock holds an element for each who has a connection or is connecting, and has room for maxConnections. The pool could bound them
	// too, but panics if it is closed while somebody who waits gives up (v1.9.3).
	lock chan struct{}
}

var (
	_ auth.Backend   = (*Backend)(nil)
	_ auth.Rechecker = (*Backend)(nil)
)

// New returns a backend. It does not reach for the server.
func New(o Options) (*Backend, error) {
	b := &Backend{gate: o.Gate, lock: make(chan struct{}, maxConnections)}
	var err error
	if b.server, err = parseURL(&o); err != nil {
		return nil, err
	}
	b.pool = redigo.Pool{DialContext: b.server.dial, MaxIdle: maxConnections, IdleTimeout: maxIdle}
	if o.Key == "" {
		o.Key = DefaultKey
	}
	if o.Field == "" {
		o.Field = DefaultField
	}
	if b.key, err = auth.ParseTemplate(o.Key, "uc"); err != nil {
		return nil, err
	}
	if b.key.Letters() == "" {
		return nil, errors.New("expected a key with %u or %c: without one all users are the same")
	}
	b.fields = append([]string{o.Field}, o.Attributes...)
	return b, nil
}

// Name returns Name.
func (*Backend) Name() string { return Name }

// Check looks the user up and checks the password.
func (b *Backend) Check(ctx context.Context, r *auth.Request) (auth.Answer, error) {
	if !r.Client.HasUsername && b.key.Has('u') {
		return auth.Unknown("no user name"), nil
	}
	values, err := b.user(ctx, r.Client)
	if err != nil {
		return auth.Answer{}, err
	}
	if values[0] == "" {
		return b.decoy.Unknown(ctx, b.gate, r)
	}
	a, err := b.decoy.Check(ctx, b.gate, r, values[0])
	if err != nil || a.Verdict != auth.Allow {
		return a, err
	}
	a.Attributes = map[string][]string{}
	for i, field := range b.fields[1:] {
		if list := auth.SplitList(values[i+1]); len(list) > 0 {
			a.Attributes[field] = list
		}
	}
	return a, nil
}

// Recheck reports whether the user is there, with the hash that the password matched.
func (b *Backend) Recheck(ctx context.Context, c *broker.Client, proof any) (bool, error) {
	values, err := b.user(ctx, c)
	return err == nil && values[0] != "" && proof == values[0], err
}

// user returns the values of the fields; empty for those that are not there.
func (b *Backend) user(ctx context.Context, c *broker.Client) ([]string, error) {
	args := make([]any, 0, 1+len(b.fields))
	args = append(args, b.key.Expand(func(letter byte) string { return auth.ValueOf(letter, c, nil) }))
	for _, field := range b.fields {
		args = append(args, field)
	}
	values, err := redigo.Strings(b.ask(ctx, "HMGET", args...))
	if err == nil && len(values) != len(b.fields) {
		err = fmt.Errorf("expected %d values, not %d", len(b.fields), len(values))
	}
	return values, err
}
