package tlsconn

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// Conn is a server's TLS connection. One goroutine at a time may read, one may write, and others may close it or set
// deadlines meanwhile.
type Conn struct {
	tls     *tls.Conn
	link    link
	readErr error       // the end of reading; of the reading goroutine
	closing atomic.Bool // goodbye was said, or tried
}

// chunk is how many bytes of plaintext are encrypted at a time: the most that fits into one record (RFC 8446, 5.1).
const chunk = 16 << 10

// closeTimeout is how long Close may wait for a socket to take the goodbye.
const closeTimeout = time.Second

// challengeProtocol is ALPN's name for the check of a domain by an ACME authority (RFC 8737), on which nothing but the handshake happens.
const challengeProtocol = "acme-tls/1"

// ErrChallenge is the error of a handshake that was the check of a domain by an ACME authority: nothing is wrong.
var ErrChallenge = errors.New("the connection was an ACME authority's check of a domain, which is over")

// ErrRenegotiation is the end of a connection of TLS 1.2 whose client wants another handshake. There is none, as in TLS 1.3.
var ErrRenegotiation = errors.New("the client asks for renegotiation, which is not to be had")

// ErrNoSocket says that the connection underneath is no socket.
var ErrNoSocket = errors.New("the connection under TLS is no socket")

// PlainError is the error of a handshake with a client that does not speak TLS.
type PlainError struct {
	Speaks string // what it seems to speak: "MQTT", "HTTP", "the PROXY protocol" or "something else"
	Err    error  // a tls.RecordHeaderError
}

func (e *PlainError) Error() string {
	return "the client speaks " + e.Speaks + " without TLS on a port for TLS"
}

func (e *PlainError) Unwrap() error { return e.Err }

// Server makes a connection of an accepted one.
func Server(inner net.Conn, config *tls.Config) *Conn {
	c := &Conn{}
	c.link.Conn = inner
	c.tls = tls.Server(&c.link, config)
	return c
}

// HandshakeContext does the handshake if it was not done yet: first that of the connection underneath, if it has one, then that of TLS.
// When ctx ends before, the connection is closed. It must not be called while another goroutine reads or writes.
func (c *Conn) HandshakeContext(ctx context.Context) error {
	if c.link.established.Load() {
		return nil
	}
	if h, ok := c.link.Conn.(interface{ HandshakeContext(context.Context) error }); ok {
		if err := h.HandshakeContext(ctx); err != nil {
			return err
		}
	}
	if err := c.tls.HandshakeContext(ctx); err != nil {
		return explain(err, c.link.alert)
	}
	if c.tls.ConnectionState().NegotiatedProtocol == challengeProtocol {
		return ErrChallenge
	}
	c.link.established.Store(true)
	c.link.meter = nil
	return nil
}

// Meter has f told how many bytes have arrived of the handshake, which are held until it is over,
// each time that more do. Its error ends the handshake. It must be called before the handshake.
func (c *Conn) Meter(f func(held int) error) { c.link.meter = f }

// explain finds out what a client speaks instead of TLS, or what it has said last, in the clear.
func explain(err error, alert tls.AlertError) error {
	e, ok := errors.AsType[tls.RecordHeaderError](err)
	if !ok || e.Conn == nil { // not at the beginning
		if alert != 0 && strings.Contains(err.Error(), "bad record MAC") {
			err = fmt.Errorf("remote error: %w", alert)
		}
		return fmt.Errorf("TLS handshake: %w", err)
	}
	const connect = 0x10 // the first byte of CONNECT
	speaks := "something else"
	switch string(e.RecordHeader[:4]) {
	case "GET ", "POST", "HEAD", "PUT ", "OPTI", "CONN", "DELE", "PRI ":
		speaks = "HTTP"
	case "PROX", "\r\n\r\n":
		speaks = "the PROXY protocol"
	default:
		if e.RecordHeader[0] == connect {
			speaks = "MQTT"
		}
	}
	return &PlainError{Speaks: speaks, Err: err}
}

// ConnectionState describes the connection; it is complete after the handshake.
func (c *Conn) ConnectionState() tls.ConnectionState { return c.tls.ConnectionState() }

// NetConn is the connection underneath. To read or write there breaks TLS.
func (c *Conn) NetConn() net.Conn { return c.link.Conn }

// SyscallConn is the socket underneath, to wait on; ErrNoSocket if there is none.
func (c *Conn) SyscallConn() (syscall.RawConn, error) {
	if sc, ok := c.link.Conn.(syscall.Conn); ok {
		return sc.SyscallConn()
	}
	return nil, ErrNoSocket
}

// Read reads plaintext, and waits for some.
func (c *Conn) Read(p []byte) (int, error) {
	if err := c.HandshakeContext(context.Background()); err != nil {
		return 0, err
	}
	if len(p) == 0 {
		return 0, nil
	}
	return c.read(p)
}

// read is one read of crypto/tls. It tells nothing but data or an error, and remembers an error that is final: crypto/tls
// does not remember all of them.
func (c *Conn) read(p []byte) (int, error) {
	if c.readErr != nil {
		return 0, c.readErr
	}
	n, err := c.tls.Read(p)
	if err != nil && strings.Contains(err.Error(), "*tls.clientHelloMsg") { // crypto/tls names what it got, and has sent an alert
		err = ErrRenegotiation
	}
	if e, ok := errors.AsType[net.Error](err); err != nil && (!ok || !e.Timeout()) {
		c.readErr = err
	}
	if n > 0 {
		return n, nil
	}
	return 0, err
}

// TryRead reads plaintext without waiting, from what was read before or from sock, whose Read gives syscall.EAGAIN when there is nothing.
// It returns syscall.EAGAIN when there is no plaintext for now, having read sock empty. It puts as many records together into p as
// are there and fit, so that the caller has as few rounds as possible. The handshake must be over.
func (c *Conn) TryRead(sock io.Reader, p []byte) (int, error) {
	c.link.source = sock
	defer func() { c.link.source = nil }()
	total := 0
	for total < len(p) {
		n, err := c.read(p[total:])
		total += n
		switch {
		case err == nil:
		case total > 0:
			return total, nil // the error comes again
		case errors.Is(err, syscall.EAGAIN):
			return 0, syscall.EAGAIN
		default:
			return 0, err
		}
	}
	return total, nil
}

// Write writes what waits from earlier calls, then p. After an error that is a timeout, it has taken as many bytes of p as it
// says, and the next write goes on.
func (c *Conn) Write(p []byte) (int, error) {
	if err := c.HandshakeContext(context.Background()); err != nil {
		return 0, err
	}
	if err := c.link.flush(); err != nil {
		return 0, err
	}
	for total := 0; ; {
		n, err := c.encrypt(p[total:])
		total += n
		if err == nil {
			err = c.link.flush()
		}
		if err != nil || total == len(p) {
			return total, err
		}
	}
}

// encrypt makes records of the beginning of p, which are then pending. All of what it says is in them, or there is an error.
func (c *Conn) encrypt(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	return c.tls.Write(p[:min(len(p), chunk)])
}

// TryWrite writes what waits from earlier calls, then p, as far as sock takes it without waiting; sock's Write gives syscall.EAGAIN when it
// takes no more. (len(p), nil) means that everything went to sock. With (n, syscall.EAGAIN), n bytes of p are taken, and Write must follow
// with the others, even if there are none. The handshake must be over.
func (c *Conn) TryWrite(sock io.Writer, p []byte) (int, error) {
	l := &c.link
	if !l.flushing.TryLock() {
		return 0, syscall.EAGAIN // a Read that waits is writing
	}
	defer l.flushing.Unlock()
	if err := l.flushTo(sock); err != nil {
		return 0, err
	}
	for total := 0; ; {
		n, err := c.encrypt(p[total:])
		total += n
		if err == nil {
			err = l.flushTo(sock)
		}
		if err != nil || total == len(p) {
			return total, err
		}
	}
}

// TryClose says goodbye if that is possible without waiting. It does not close the connection underneath.
func (c *Conn) TryClose(sock io.Writer) {
	if c.closing.Swap(true) {
		return
	}
	_ = c.tls.CloseWrite() // to link, which does not wait; an error before the end of the handshake
	l := &c.link
	if l.flushing.TryLock() {
		defer l.flushing.Unlock()
		_ = l.flushTo(sock)
	}
}

// Close closes the connection, and says goodbye first if nothing waits for the socket.
func (c *Conn) Close() error {
	l := &c.link
	if !l.flushing.TryLock() { // a write that waits is broken off
		return l.Close()
	}
	defer l.flushing.Unlock()
	if l.sending == nil && !c.closing.Swap(true) {
		_ = l.Conn.SetWriteDeadline(time.Now().Add(closeTimeout))
		if c.tls.CloseWrite() == nil { // an error before the end of the handshake
			_ = l.flushTo(l.Conn)
		}
	}
	return l.Close()
}

// LocalAddr is that of the connection underneath.
func (c *Conn) LocalAddr() net.Addr { return c.link.LocalAddr() }

// RemoteAddr is that of the connection underneath.
func (c *Conn) RemoteAddr() net.Addr { return c.link.RemoteAddr() }

// SetDeadline sets both deadlines.
func (c *Conn) SetDeadline(t time.Time) error { return c.link.SetDeadline(t) }

// SetReadDeadline bounds Read, and a handshake's reading.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.link.SetReadDeadline(t) }

// SetWriteDeadline bounds Write, and a handshake's writing.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.link.Conn.SetWriteDeadline(t) }
