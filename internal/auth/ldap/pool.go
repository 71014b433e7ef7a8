package ldap

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"sync"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// maxConnections is how many connections there are at most; who needs one more, waits.
const maxConnections = 8

// maxIdle is how long a connection is kept that nobody needs.
const maxIdle = time.Minute

// pool are the connections to the first of some servers that answers.
type pool struct {
	urls     []*url.URL
	startTLS bool
	tls      *tls.Config
	slots    chan struct{}

	mu     sync.Mutex // guards what follows
	closed bool
	idle   []idle // the newest last
}

type idle struct {
	conn  *ldap.Conn
	since time.Time
}

// use gives fn a connection. If an old one turns out to be broken, fn is called again with a new one.
func (p *pool) use(ctx context.Context, fn func(*ldap.Conn) error) error {
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-p.slots }()
	if c := p.take(); c != nil {
		if err := p.try(ctx, c, fn); !broken(err) || ctx.Err() != nil {
			return err
		}
	}
	c, err := p.dial(ctx)
	if err != nil {
		return err
	}
	return p.try(ctx, c, fn)
}

// try calls fn, whose connection is closed when ctx ends, and keeps the connection unless it broke.
func (p *pool) try(ctx context.Context, c *ldap.Conn, fn func(*ldap.Conn) error) error {
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	err := fn(c)
	if !stop() || broken(err) {
		_ = c.Close()
		return err
	}
	p.put(c)
	return err
}

// broken reports whether an error is one of the connection, and not an answer of the server.
func broken(err error) bool {
	var e *ldap.Error
	return errors.As(err, &e) && e.ResultCode >= ldap.ErrorNetwork
}

func (p *pool) take() *ldap.Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.idle) > 0 {
		last := p.idle[len(p.idle)-1]
		p.idle = p.idle[:len(p.idle)-1]
		if time.Since(last.since) < maxIdle && !last.conn.IsClosing() {
			return last.conn
		}
		_ = last.conn.Close()
	}
	return nil
}

func (p *pool) put(c *ldap.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		_ = c.Close()
		return
	}
	p.idle = append(p.idle, idle{c, time.Now()})
}

func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, i := range p.idle {
		_ = i.conn.Close()
	}
	p.idle = nil
}

// dial connects to the first server that answers.
func (p *pool) dial(ctx context.Context) (*ldap.Conn, error) {
	var errs []error
	for _, u := range p.urls {
		c, err := p.dialOne(ctx, u)
		if err == nil {
			return c, nil
		}
		errs = append(errs, fmt.Errorf("%s: %w", u.Host, err))
	}
	return nil, errors.Join(errs...)
}

func (p *pool) dialOne(ctx context.Context, u *url.URL) (*ldap.Conn, error) {
	dialer := &net.Dialer{}
	deadline, bounded := ctx.Deadline()
	if bounded {
		dialer.Deadline = deadline
	}
	config := p.tls.Clone()
	config.ServerName = u.Hostname()
	c, err := ldap.DialURL(u.String(), ldap.DialWithDialer(dialer), ldap.DialWithTLSConfig(config))
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	if p.startTLS {
		if err := c.StartTLS(config); err != nil {
			_ = c.Close()
			return nil, err
		}
	}
	return c, nil
}
