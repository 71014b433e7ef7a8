package admin

import (
	"context"
	"net"
	"sync"
	"time"
)

// acceptor hands the connections of a listener to net/http, as many as there may be.
type acceptor struct {
	net.Listener
	s *Server
}

func (a acceptor) Accept() (net.Conn, error) {
	for {
		nc, err := a.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if a.s.enter() {
			return &conn{Conn: nc, timeout: a.s.o.Timeout, leave: sync.OnceFunc(a.s.leave)}, nil
		}
		_ = nc.Close()
	}
}

// conn is a connection that does the handshake of the layers below, which net/http knows nothing of, when it is read first.
type conn struct {
	net.Conn
	timeout time.Duration
	shaken  bool // belongs to who reads
	leave   func()
}

func (c *conn) Read(p []byte) (int, error) {
	if !c.shaken {
		if hs, ok := c.Conn.(interface{ HandshakeContext(context.Context) error }); ok {
			ctx, cancel := context.WithTimeout(context.Background(), c.timeout)
			defer cancel()
			if err := hs.HandshakeContext(ctx); err != nil {
				return 0, err
			}
		}
		c.shaken = true
	}
	return c.Conn.Read(p)
}

func (c *conn) Close() error {
	c.leave()
	return c.Conn.Close()
}

// CloseWrite ends the writing half, so that a client gets the answer before the connection is reset.
func (c *conn) CloseWrite() error {
	if cw, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return cw.CloseWrite()
	}
	return nil
}
