package websocket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// acceptor hands the connections of the listener below to net/http.
type acceptor struct{ l *Listener }

func (a acceptor) Accept() (net.Conn, error) {
	nc, err := a.l.inner.Accept()
	if err != nil {
		return nil, err
	}
	return &httpConn{Conn: nc, timeout: a.l.o.HandshakeTimeout, started: time.Now()}, nil
}

func (a acceptor) Close() error   { return a.l.inner.Close() }
func (a acceptor) Addr() net.Addr { return a.l.inner.Addr() }

// httpConn is a connection while net/http has it. It notes what the client sends before its first request is understood,
// so that it can be said why none was. Until then its fields belong to the connection's goroutine, and are not used later.
type httpConn struct {
	net.Conn
	timeout time.Duration
	shaken  bool        // HandshakeContext was called, or there is none
	handled atomic.Bool // a request was understood; net/http may be reading behind it by then
	begun   bool        // something was read
	err     error
	started time.Time // when it was accepted or, if a request was answered already, when the next one began to arrive
	idle    bool      // waits for that
}

// Read reads; the first time behind the handshake of TLS, if there is one.
func (c *httpConn) Read(p []byte) (int, error) {
	if !c.shaken {
		if err := c.handshake(); err != nil {
			c.err = err
			return 0, err
		}
		c.shaken = true
	}
	n, err := c.Conn.Read(p)
	if n > 0 && c.idle {
		c.idle, c.started = false, time.Now()
	}
	if !c.handled.Load() {
		if n > 0 && !c.begun {
			c.begun = true
			if wrong := foreign(p[0]); wrong != nil { // net/http would wait for the end of a line
				n, err = 0, wrong
			}
		}
		c.err = err
	}
	return n, err
}

// foreign is what is wrong with a first byte that begins no request; nil: nothing.
func foreign(first byte) error {
	switch first {
	case 0x10: // CONNECT [MQTT-3.1.0-1]
		return errors.New("MQTT without WebSocket came to a WebSocket listener")
	case 0x16: // a handshake record (RFC 8446, 5.1)
		return errors.New("TLS came to a WebSocket listener without TLS")
	}
	return nil
}

func (c *httpConn) handshake() error {
	hs, ok := c.Conn.(interface{ HandshakeContext(context.Context) error })
	if !ok {
		return nil
	}
	ctx, cancel := context.WithDeadline(context.Background(), c.started.Add(c.timeout))
	defer cancel()
	return hs.HandshakeContext(ctx)
}

// CloseWrite ends the writing half, so that a client gets the answer before the connection is reset.
func (c *httpConn) CloseWrite() error {
	if cw, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return cw.CloseWrite()
	}
	return nil
}

// failure says why no request was understood; nil: one was, or the client said nothing at all and left.
func (c *httpConn) failure() error {
	late := errors.Is(c.err, os.ErrDeadlineExceeded) || errors.Is(c.err, context.DeadlineExceeded)
	switch {
	case c.handled.Load(), errors.Is(c.err, io.EOF) && !c.begun:
		return nil
	case late:
		return fmt.Errorf("no complete HTTP request within %v", c.timeout)
	case c.err != nil && !errors.Is(c.err, io.EOF):
		return c.err
	case !c.begun:
		return nil
	}
	return errors.New("no valid HTTP request, or its headers are too long")
}
