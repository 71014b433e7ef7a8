package redis

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"

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

// dialTimeout is how long a connection may take.
const dialTimeout = 5 * time.Second

// Backend looks users up in Redis.
type Backend struct {
	o      rueidis.ClientOption
	key    *auth.Template
	fields []string // the first is that of the hash
	gate   *auth.Gate
	decoy  auth.Decoy

	lock   chan struct{} // holds one element while client is looked at or made
	client rueidis.Client
	closed bool
}

var (
	_ auth.Backend   = (*Backend)(nil)
	_ auth.Rechecker = (*Backend)(nil)
)

// New returns a backend. It does not reach for the server.
func New(o Options) (*Backend, error) {
	b := &Backend{gate: o.Gate, lock: make(chan struct{}, 1)}
	if err := b.parseURL(&o); err != nil {
		return nil, err
	}
	if o.Key == "" {
		o.Key = DefaultKey
	}
	if o.Field == "" {
		o.Field = DefaultField
	}
	var err error
	if b.key, err = auth.ParseTemplate(o.Key, "uc"); err != nil {
		return nil, err
	}
	if b.key.Letters() == "" {
		return nil, errors.New("expected a key with %u or %c: without one all users are the same")
	}
	b.fields = append([]string{o.Field}, o.Attributes...)
	return b, nil
}

func (b *Backend) parseURL(o *Options) error {
	u, err := url.Parse(o.URL)
	if err != nil || u.Scheme != "redis" && u.Scheme != "rediss" || u.Host == "" || u.RawQuery != "" {
		return errors.New("expected redis://[USER@]HOST[:PORT][/DATABASE], or rediss://")
	}
	if _, given := u.User.Password(); given {
		return errors.New("expected no password in auth_redis_url: its place is a file of its own, auth_redis_password_file")
	}
	port := u.Port()
	if port == "" {
		port = "6379"
	}
	const small = 16 << 10 // the library's buffers are made for more
	b.o = rueidis.ClientOption{
		InitAddress: []string{net.JoinHostPort(u.Hostname(), port)}, Username: u.User.Username(), Password: o.Password,
		ForceSingleClient: true, DisableCache: true, PipelineMultiplex: 1, RingScaleEachConn: 8, ReadBufferEachConn: small, WriteBufferEachConn: small,
		Dialer: net.Dialer{Timeout: dialTimeout},
	}
	if database := strings.Trim(u.Path, "/"); database != "" {
		if b.o.SelectDB, err = strconv.Atoi(database); err != nil || b.o.SelectDB < 0 {
			return fmt.Errorf("expected the number of a database, not %q", database)
		}
	}
	if u.Scheme == "rediss" {
		b.o.TLSConfig = &tls.Config{ServerName: u.Hostname(), MinVersion: tls.VersionTLS12}
		if o.CA != nil {
			b.o.TLSConfig.RootCAs = x509.NewCertPool()
			if !b.o.TLSConfig.RootCAs.AppendCertsFromPEM(o.CA) {
				return errors.New("expected certificates in PEM")
			}
		}
	}
	return nil
}

// connect returns the client, which connects when it is made. That it failed is not remembered.
func (b *Backend) connect(ctx context.Context) (rueidis.Client, error) {
	select {
	case b.lock <- struct{}{}:
		defer func() { <-b.lock }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if b.closed {
		return nil, net.ErrClosed
	}
	if b.client == nil {
		client, err := rueidis.NewClient(b.o)
		if err != nil {
			return nil, err
		}
		b.client = client
	}
	return b.client, nil
}

// Close closes the connections.
func (b *Backend) Close() error {
	b.lock <- struct{}{}
	defer func() { <-b.lock }()
	b.closed = true
	if b.client != nil {
		b.client.Close()
	}
	return nil
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
		_, err := b.gate.Matches(ctx, b.decoy.Hash(), r.Password)
		return auth.Unknown("unknown user"), err
	}
	hash, err := auth.ParseForeignHash(values[0])
	if err != nil {
		return auth.Answer{}, fmt.Errorf("user %q: %w", r.Client.Username, err)
	}
	b.decoy.Like(hash)
	ok, err := b.gate.Matches(ctx, hash, r.Password)
	switch {
	case err != nil:
		return auth.Answer{}, err
	case !ok:
		return auth.Denied("wrong password"), nil
	}
	a := auth.Answer{Verdict: auth.Allow, Reason: "password", Attributes: map[string][]string{}, Proof: values[0]}
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
	client, err := b.connect(ctx)
	if err != nil {
		return nil, err
	}
	key := b.key.Expand(func(letter byte) string { return auth.ValueOf(letter, c, nil) })
	replies, err := client.Do(ctx, client.B().Hmget().Key(key).Field(b.fields...).Build()).ToArray()
	if err != nil {
		return nil, err
	}
	values := make([]string, len(b.fields))
	for i := range min(len(values), len(replies)) {
		if replies[i].IsNil() {
			continue
		}
		if values[i], err = replies[i].ToString(); err != nil {
			return nil, err
		}
	}
	return values, nil
}
