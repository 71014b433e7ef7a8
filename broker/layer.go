package broker

import (
	"context"
	"errors"
	"io"
	"net"
	"syscall"
	"time"

	"github.com/uniomq/unio/broker/internal/netio"
)

// LayeredConn is a net.Conn with a protocol between a socket and MQTT, such as TLS or WebSocket, that can do without
// waiting. The engine drives it as it drives a bare socket: it parks in the socket, and holds no buffer meanwhile. Any
// other net.Conn works too, and is read and written by goroutines that wait.
//
// Reads come from one goroutine at a time, and writes from one, but both may run at once. What the layer has to say of its own
// accord while it reads (pong, alert) it keeps until the next TryWrite, which comes, if only with nothing, before the engine parks again.
type LayeredConn interface {
	net.Conn
	syscall.Conn // the socket
	// TryRead reads from sock, whose Read returns syscall.EAGAIN when nothing has come. So does TryRead when it has nothing for now;
	// it is called again until then.
	TryRead(sock io.Reader, p []byte) (int, error)
	// TryWrite takes p. syscall.EAGAIN says that the socket is full, and how much of p was taken; not all of that may have gone. Then a Write with the
	// rest, which may be empty, comes from another goroutine, and delivers everything.
	TryWrite(sock io.Writer, p []byte) (int, error)
	// TryClose says goodbye to the other side, if that can be done without waiting.
	TryClose(sock io.Writer)
}

// Transport says what is known of a client from below MQTT.
type Transport struct {
	TLS         string // version, such as "TLSv1.3"; empty: none
	Cipher      string
	CommonName  string // of the client certificate, which was verified
	Subject     string // of it, as RFC 2253 writes it
	Names       []string
	Fingerprint string // of it, SHA-256 in hexadecimal
	PSKIdentity string
	// Forwarded says that a proxy without a PROXY header may be between: the address is what an
	// HTTP header said, or the proxy's.
	Forwarded bool
	// Username, if there is one, goes before what CONNECT says: use_identity_as_username and the like.
	Username string
}

// handshaker is a net.Conn that has something to settle before CONNECT; a *tls.Conn is one.
type handshaker interface{ HandshakeContext(context.Context) error }

// beginner is a net.Conn that has spoken something else before it was served, such as HTTP:
// ConnectTimeout counts from when it began.
type beginner interface{ Began() time.Time }

// metered is a handshaker that says how much it holds of what the other side has sent in the
// handshake, in bytes, each time that it is more. An error ends the handshake.
type metered interface{ Meter(func(held int) error) }

// open settles what comes before CONNECT: handshakes of the layers, and who they say the client is.
func (c *conn) open(deadline time.Time, g *guest) error {
	if h, ok := c.nc.(handshaker); ok {
		ctx, cancel := context.WithDeadline(c.b.ctx, deadline)
		defer cancel()
		err := c.shake(ctx, h, g)
		c.client.RemoteAddr, c.client.LocalAddr = c.nc.RemoteAddr(), c.nc.LocalAddr()
		if err != nil {
			return handshakeError{err}
		}
	}
	if c.lo.Proxied {
		c.opened()
	}
	if c.lo.Identify != nil {
		t, err := c.lo.Identify(c.nc)
		c.client.Transport = t
		if err != nil {
			c.withExtra().identifyErr = err
		}
	}
	if sc, ok := c.nc.(syscall.Conn); ok && netio.Raw {
		if raw, err := sc.SyscallConn(); err == nil {
			c.mu.Lock()
			c.setRaw(raw)
			c.mu.Unlock()
		}
	}
	return nil
}

// shake runs the handshake of a layer. What that holds counts for as long as it lasts.
func (c *conn) shake(ctx context.Context, h handshaker, g *guest) error {
	lobby := &c.b.lobby
	if m, ok := c.nc.(metered); ok {
		m.Meter(func(held int) error { return lobby.hold(g, held) })
	}
	_ = lobby.owe(g, true) // it is new
	err := h.HandshakeContext(ctx)
	if gone := lobby.owe(g, false); gone != nil {
		return gone
	}
	if err != nil {
		return err
	}
	return lobby.hold(g, 0)
}

// harmless reports whether the error of a handshake is none.
func (c *conn) harmless(err error) bool {
	return c.lo.Harmless != nil && errors.As(err, &handshakeError{}) && c.lo.Harmless(err)
}

// setRaw makes the socket known. mu is held.
func (c *conn) setRaw(raw syscall.RawConn) {
	c.raw = raw
	if lc, ok := c.nc.(LayeredConn); ok {
		c.layer = netio.NewLayer(lc)
	}
}

// readableLayer is readable for a layered connection.
func (c *conn) readableLayer(fd uintptr) error {
	rb := netio.Buffers.Get().(*[]byte)
	defer netio.Buffers.Put(rb)
	defer c.flushLayer()
	for {
		n, err := c.layer.Read(fd, *rb)
		if n > 0 {
			if err := c.consume((*rb)[:n]); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, syscall.EAGAIN):
			return nil
		case err != nil:
			return err
		}
	}
}

// flushLayer lets the layer write what it has of its own.
func (c *conn) flushLayer() {
	c.mu.Lock()
	c.output().Poke() // it may be empty: the layer is asked all the same, if need be by who writes now
	c.mu.Unlock()
	c.flush(false)
}

// goodbye has the layer say goodbye, once.
func (c *conn) goodbye() {
	c.mu.Lock()
	if c.layer == nil || c.farewell || c.writing {
		c.mu.Unlock()
		return
	}
	c.farewell, c.writing = true, true
	c.mu.Unlock()
	c.layer.Close(c.raw)
	c.mu.Lock()
	c.writing = false
	c.mu.Unlock()
}
