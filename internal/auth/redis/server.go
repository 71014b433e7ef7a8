package redis

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	redigo "github.com/gomodule/redigo/redis"
)

const (
	// dialTimeout is how long a connection may take, with TLS and all that is said before the first question.
	dialTimeout = 5 * time.Second
	// maxConnections is how many questions the server is asked at a time. Others wait.
	maxConnections = 8
	// maxIdle is how long a connection is kept that nobody needs: one that a firewall forgot costs a client its time.
	maxIdle = time.Minute
)

// server says where the server is, and as whom to speak to it.
type server struct {
	address, user, password string
	database                int
	tls                     *tls.Config // nil: without TLS
}

func parseURL(o *Options) (server, error) {
	u, err := url.Parse(o.URL)
	if err != nil || u.Scheme != "redis" && u.Scheme != "rediss" || u.Host == "" || u.RawQuery != "" {
		return server{}, errors.New("expected redis://[USER@]HOST[:PORT][/DATABASE], or rediss://")
	}
	if _, given := u.User.Password(); given {
		return server{}, errors.New("expected no password in auth_redis_url: its place is a file of its own, auth_redis_password_file")
	}
	port := u.Port()
	if port == "" {
		port = "6379"
	}
	s := server{address: net.JoinHostPort(u.Hostname(), port), user: u.User.Username(), password: o.Password}
	if database := strings.Trim(u.Path, "/"); database != "" {
		if s.database, err = strconv.Atoi(database); err != nil || s.database < 0 {
			return server{}, fmt.Errorf("expected the number of a database, not %q", database)
		}
	}
	if u.Scheme == "rediss" {
		s.tls = &tls.Config{ServerName: u.Hostname(), MinVersion: tls.VersionTLS12}
		if o.CA != nil {
			s.tls.RootCAs = x509.NewCertPool()
			if !s.tls.RootCAs.AppendCertsFromPEM(o.CA) {
				return server{}, errors.New("expected certificates in PEM")
			}
		}
	}
	return s, nil
}

// dial connects. TLS and AUTH are ours: the library's handshake does not end with the context, and it keeps quiet about a user without
// a password, whom Redis may know (nopass).
func (s *server) dial(ctx context.Context) (redigo.Conn, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, dialTimeout, fmt.Errorf("no connection within %v", dialTimeout))
	defer cancel()
	reach := new(net.Dialer).DialContext
	if s.tls != nil {
		reach = (&tls.Dialer{Config: s.tls}).DialContext
	}
	c, err := redigo.DialContext(ctx, "tcp", s.address, redigo.DialContextFunc(reach))
	if err != nil {
		return nil, err
	}
	switch {
	case s.user != "":
		_, err = redigo.DoContext(c, ctx, "AUTH", s.user, s.password)
	case s.password != "":
		_, err = redigo.DoContext(c, ctx, "AUTH", s.password)
	}
	if err == nil && s.database != 0 {
		_, err = redigo.DoContext(c, ctx, "SELECT", s.database)
	}
	if err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

// ask sends a command that only reads, and returns the reply. It is sent again if the connection was broken, as all that are idle are when
// the server has been restarted.
func (b *Backend) ask(ctx context.Context, command string, args ...any) (any, error) {
	select {
	case b.lock <- struct{}{}:
		defer func() { <-b.lock }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	for attempt := 0; ; attempt++ {
		c, err := b.pool.GetContext(ctx)
		if err != nil {
			return nil, err
		}
		reply, err := redigo.DoContext(c, ctx, command, args...)
		broken := c.Err() != nil && ctx.Err() == nil && !errors.Is(err, os.ErrDeadlineExceeded)
		_ = c.Close() // gives it back, or ends it if it is broken
		if err == nil || !broken || attempt == maxConnections {
			return reply, err
		}
	}
}

// Close closes the connections; those that are in use when they are not any more.
func (b *Backend) Close() error { return b.pool.Close() }
