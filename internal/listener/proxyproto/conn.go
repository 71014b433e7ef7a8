package proxyproto

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
)

// Listener gives connections that begin with a PROXY header. Accept does not wait for it: that is for the connection's own goroutine.
type Listener struct {
	net.Listener
	// Admit, if there is one, is asked about each client, its address and what the load balancer says
	// of it, as soon as that is known; its error ends the connection. It is set before the first
	// Accept.
	Admit   func(client net.Addr, h *Header) error
	version int
}

// NewListener wraps the connections of inner, which come with headers of version 1 or 2.
func NewListener(inner net.Listener, version int) (*Listener, error) {
	if version != 1 && version != 2 {
		return nil, fmt.Errorf("version %d of the PROXY protocol is not known; want 1 or 2", version)
	}
	return &Listener{Listener: inner, version: version}, nil
}

// Accept returns the next connection, a *Conn.
func (l *Listener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &Conn{Conn: nc, version: l.version, admit: l.Admit}, nil
}

// Conn is a connection behind a load balancer. Its methods may be used like those of any net.Conn; what comes first reads the header.
type Conn struct {
	net.Conn
	version int
	admit   func(net.Addr, *Header) error
	header  atomic.Pointer[Header] // nil: not read

	mu  sync.Mutex // held while the header is read; guards err, which is final
	err error
}

// ErrNoSocket says that the connection underneath is no socket.
var ErrNoSocket = errors.New("the connection under the PROXY protocol is no socket")

// HandshakeContext reads the header if that was not done yet. When ctx ends before, the connection is closed.
func (c *Conn) HandshakeContext(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil || c.header.Load() != nil {
		return c.err
	}
	stop := context.AfterFunc(ctx, func() { c.Close() })
	h, err := read(c.Conn, c.version)
	if !stop() {
		err = ctx.Err()
	}
	if err != nil {
		c.err = err
		return err
	}
	c.header.Store(h)
	if c.admit != nil {
		c.err = c.admit(c.RemoteAddr(), h)
	}
	return c.err
}

// Header is what the load balancer said; nil before HandshakeContext.
func (c *Conn) Header() *Header { return c.header.Load() }

// RemoteAddr is the client's address once the header is read, if the load balancer knows it.
func (c *Conn) RemoteAddr() net.Addr {
	if h := c.header.Load(); h != nil && h.Source != nil {
		return h.Source
	}
	return c.Conn.RemoteAddr()
}

// LocalAddr is the address that the client connected to once the header is read, if the load balancer knows it.
func (c *Conn) LocalAddr() net.Addr {
	if h := c.header.Load(); h != nil && h.Destination != nil {
		return h.Destination
	}
	return c.Conn.LocalAddr()
}

// NetConn is the connection underneath, with the load balancer's addresses. It is what follows the header, once that is read.
func (c *Conn) NetConn() net.Conn { return c.Conn }

// Read reads what follows the header.
func (c *Conn) Read(p []byte) (int, error) {
	if err := c.HandshakeContext(context.Background()); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

// Write waits for the header: who has sent none gets no answer.
func (c *Conn) Write(p []byte) (int, error) {
	if err := c.HandshakeContext(context.Background()); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// SyscallConn is the socket underneath; ErrNoSocket if there is none.
func (c *Conn) SyscallConn() (syscall.RawConn, error) {
	if sc, ok := c.Conn.(syscall.Conn); ok {
		return sc.SyscallConn()
	}
	return nil, ErrNoSocket
}

// TryRead reads from sock, since nothing is between. The header must have been read.
func (c *Conn) TryRead(sock io.Reader, p []byte) (int, error) { return sock.Read(p) }

// TryWrite writes to sock, since nothing is between. The header must have been read.
func (c *Conn) TryWrite(sock io.Writer, p []byte) (int, error) { return sock.Write(p) }

// TryClose has nothing to say.
func (c *Conn) TryClose(io.Writer) {}
