package memnet

import (
	"net"
	"time"
)

// Conn is one end of a connection. Its methods may be called from several
// goroutines.
type Conn struct {
	in, out       *stream
	local, remote Addr
}

var _ net.Conn = (*Conn)(nil)

// Pipe returns the two ends of a connection that no Listener made.
func Pipe() (net.Conn, net.Conn) {
	return newPair(1, 0)
}

func newPair(client, server Addr) (*Conn, *Conn) {
	up, down := newStream(), newStream()
	return &Conn{in: down, out: up, local: client, remote: server},
		&Conn{in: up, out: down, local: server, remote: client}
}

// Read reads what the peer wrote. It returns io.EOF once the peer has closed its
// end, or its writing half, and everything was read; net.ErrClosed after Close;
// os.ErrDeadlineExceeded after the read deadline, even if data is there.
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.in.read(p)
	return n, c.wrap("read", err)
}

// Write buffers p for the peer. It blocks only while MaxBuffered bytes wait to be
// read. Once the peer is closed it fails with EPIPE.
func (c *Conn) Write(p []byte) (int, error) {
	n, err := c.out.write(p)
	return n, c.wrap("write", err)
}

// CloseWrite ends the writing half: the peer reads what was written, then io.EOF.
// Reading goes on.
func (c *Conn) CloseWrite() error {
	return c.wrap("close", c.out.closeWrite())
}

// Close closes both halves. A second Close fails with net.ErrClosed.
func (c *Conn) Close() error {
	if err := c.in.closeRead(); err != nil {
		return c.wrap("close", err)
	}
	_ = c.out.closeWrite() // fails only if CloseWrite came before
	return nil
}

// LocalAddr returns this end's address.
func (c *Conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr returns the peer's address.
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline sets both deadlines.
func (c *Conn) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.SetWriteDeadline(t)
}

// SetReadDeadline sets the time after which Read fails; the zero time means never.
func (c *Conn) SetReadDeadline(t time.Time) error {
	return c.wrap("set", c.in.setReadDeadline(t))
}

// SetWriteDeadline sets the time after which Write fails; the zero time means never.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	return c.wrap("set", c.out.setWriteDeadline(t))
}

// wrap adds the addresses to an error; io.EOF stays bare, as io.Reader wants it.
func (c *Conn) wrap(op string, err error) error {
	if err == nil || isEOF(err) {
		return err
	}
	return &net.OpError{Op: op, Net: "memory", Source: c.local, Addr: c.remote, Err: err}
}
