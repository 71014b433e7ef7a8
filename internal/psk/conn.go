package psk

import (
	"context"
	"crypto/subtle"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Conn is one end of a TLS connection. As with other connections, any method may be called at any time, but only
// one goroutine at a time may read.
//
// Besides [net.Conn] it has TryRead, TryWrite and TryClose, for a caller that waits for the socket by itself: see there.
type Conn struct {
	inner  net.Conn
	server *ServerConfig // nil: this end is a client
	client *ClientConfig // nil: this end is a server

	handshakeMu  sync.Mutex
	handshakeErr error
	done         atomic.Bool // the handshake has succeeded: state, in and out stand
	state        State
	key          []byte // that the handshake has proved; of a server

	// The read half. The goroutine that reads owns it, at first the one of the handshake.
	in             protector // nil: not encrypted yet
	greeted        bool      // a record has come: the peer speaks TLS
	negotiated     bool      // version and suite are agreed on
	raw            []byte    // the part of a record that has arrived; nil while idle
	plain          []byte    // what was decrypted and not read; nil while idle
	messages       []byte    // handshake messages, the last of them in part; nil while idle
	handshakeBytes int
	useless        int
	refusals       int
	readErr        error

	// owed is an alert that the read half wants sent, as level<<8 | alert; 0: none. Whoever holds writeMu sends it.
	owed atomic.Uint32

	writeMu sync.Mutex
	out     protector // nil: not encrypted yet
	sealed  []byte    // what the socket has not taken yet, a part of buffer
	buffer  *[]byte   // nil while idle
	goodbye bool      // close_notify or a fatal alert is sealed: nothing may follow
}

// State is what a handshake agreed on.
type State struct {
	// Version is 0x0303, TLS 1.2.
	Version uint16
	Suite   Suite
	// Identity is the client's. The client has proved that it has its key.
	Identity string
	// Protocol is the one that ALPN chose; empty if there was none.
	Protocol string
	// ExtendedMasterSecret says that the keys are bound to the whole handshake (RFC 7627).
	ExtendedMasterSecret bool
}

var (
	errClosed       = net.ErrClosed
	errNoHandshake  = errors.New("tls-psk: the handshake is not over")
	errNoDescriptor = errors.New("tls-psk: the connection underneath has no descriptor")
)

// alertTimeout is how long an alert that ends a connection may wait for the socket.
const alertTimeout = 5 * time.Second

// Server returns the server's end of a TLS connection over conn. The config must not change afterwards.
func Server(conn net.Conn, config *ServerConfig) *Conn {
	return &Conn{inner: conn, server: config}
}

// Client returns the client's end of a TLS connection over conn. The config must not change afterwards.
func Client(conn net.Conn, config *ClientConfig) *Conn {
	return &Conn{inner: conn, client: config}
}

// HandshakeContext runs the handshake if it did not run yet, and returns its error. When the context ends before it does, the
// connection is closed. Read and Write call it. The caller bounds its time, by the context or by deadlines.
func (c *Conn) HandshakeContext(ctx context.Context) error {
	if c.done.Load() {
		return nil
	}
	c.handshakeMu.Lock()
	defer c.handshakeMu.Unlock()
	if c.done.Load() || c.handshakeErr != nil {
		return c.handshakeErr
	}
	closed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(closed)
		_ = c.inner.Close()
	})
	err := c.handshake()
	if !stop() {
		<-closed
		err = ctx.Err()
	}
	c.messages = nil
	if err != nil {
		c.handshakeErr = err
		return err
	}
	c.done.Store(true)
	return nil
}

func (c *Conn) handshake() error {
	var err error
	if c.server != nil {
		err = c.serve()
	} else {
		err = c.connect()
	}
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	if v, ok := errors.AsType[*violation](err); ok {
		c.owed.Store(levelFatal<<8 | uint32(v.alert))
		c.deliver(c.inner)
	}
	if refused, ok := errors.AsType[*RefusedError](err); ok {
		return refused // without the violation, which says nothing besides
	}
	return err
}

// State returns what the handshake agreed on, and the zero State before its end.
func (c *Conn) State() State {
	if !c.done.Load() {
		return State{}
	}
	return c.state
}

// Identity returns the client's identity, and nothing before the end of the handshake.
func (c *Conn) Identity() string { return c.State().Identity }

// Valid reports whether a server's Lookup has the client's identity still, with the key that the
// handshake has proved.
func (c *Conn) Valid() bool {
	if !c.done.Load() || c.server == nil {
		return false
	}
	key, ok := c.server.Lookup(c.state.Identity)
	return ok && subtle.ConstantTimeCompare(key, c.key) == 1
}

// Read reads what the peer wrote; io.EOF is the peer's end, with close_notify or, between two records, without.
// All of p may be used as scratch space.
func (c *Conn) Read(p []byte) (int, error) {
	if err := c.HandshakeContext(context.Background()); err != nil {
		return 0, err
	}
	return c.read(c.inner, c.inner, p)
}

// TryRead reads without waiting. It returns what had been read before, or what comes from sock, whose Read returns (0, syscall.EAGAIN) when
// nothing has arrived. Then TryRead returns this, too: wait until the socket is readable. All of p may be used as scratch space. If
// sock is an [io.Writer] as well, an alert that answers what was read is written to it; else the next write takes it along.
func (c *Conn) TryRead(sock io.Reader, p []byte) (int, error) {
	if !c.done.Load() {
		return 0, errNoHandshake
	}
	w, _ := sock.(io.Writer)
	return c.read(sock, w, p)
}

func (c *Conn) read(sock io.Reader, w io.Writer, p []byte) (int, error) {
	for len(p) > 0 {
		if len(c.plain) > 0 {
			n := copy(p, c.plain)
			if c.plain = c.plain[n:]; len(c.plain) == 0 {
				c.plain = nil
			}
			return n, nil
		}
		if c.readErr != nil {
			return 0, c.readErr
		}
		n, err := 0, error(nil)
		if c.fits(len(p)) {
			n, err = c.readMany(sock, p)
		} else {
			err = c.readOne(sock)
		}
		if c.owed.Load() != 0 && w != nil {
			c.deliver(w)
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
	return 0, nil
}

// fits says whether n bytes of scratch space are enough to complete the record that is arriving.
func (c *Conn) fits(n int) bool {
	if len(c.raw) < headerLen {
		return n > headerLen
	}
	return n >= c.rawLen()
}

// rawLen is the length of the record that raw begins with, once its header is there.
func (c *Conn) rawLen() int { return headerLen + int(c.raw[3])<<8 + int(c.raw[4]) }

// readMany reads once, and decrypts all the records that are whole, in place in p. The rest of the last one is kept.
// It returns the error of the socket; that of a record goes to readErr, behind the data before it.
func (c *Conn) readMany(sock io.Reader, p []byte) (int, error) {
	start := len(c.raw)
	m, err := sock.Read(p[start:])
	if m == 0 {
		return 0, c.ended(err)
	}
	if start >= headerLen && start+m < c.rawLen() { // nothing is moved until the record is whole
		c.raw = append(c.raw, p[start:start+m]...)
		return 0, nil
	}
	copy(p, c.raw)
	p = p[:start+m]
	n, rest := 0, p
	for len(rest) >= headerLen {
		length, err := c.header(rest)
		if err != nil {
			c.breakOff(err)
			return n, nil
		}
		if len(rest) < length {
			break
		}
		data, err := c.receive(c.open(rest[:length]))
		if err != nil {
			c.breakOff(err)
			return n, nil
		}
		n += copy(p[n:], data)
		rest = rest[length:]
	}
	c.raw = append(c.raw[:0], rest...)
	if len(rest) == 0 {
		c.raw = nil
	}
	return n, nil
}

// readOne reads and decrypts one record in memory of its own, no byte more. Its data goes to plain.
func (c *Conn) readOne(sock io.Reader) error {
	if err := c.fill(sock, headerLen); err != nil {
		return err
	}
	n, err := c.header(c.raw)
	if err == nil {
		if err := c.fill(sock, n); err != nil {
			return err
		}
		record := c.raw
		c.raw = nil
		c.plain, err = c.receive(c.open(record))
	}
	if err != nil {
		c.breakOff(err)
	}
	return nil
}

// receive returns the data of a record, and handles what is none.
func (c *Conn) receive(typ recordType, p []byte, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	switch typ {
	case recordApplicationData:
		return p, nil
	case recordAlert:
		return nil, c.handleAlert(p)
	case recordHandshake:
		return nil, c.refuse(p)
	default:
		return nil, violates(alertUnexpectedMessage, "a record of type %d after the handshake", typ)
	}
}

// refuse answers a wish to renegotiate (RFC 5246, 7.2.2), a few times.
func (c *Conn) refuse(p []byte) error {
	if err := c.collect(p); err != nil {
		return err
	}
	wish := typeHelloRequest
	if c.server != nil {
		wish = typeClientHello
	}
	for {
		m, err := c.takeMessage()
		if m == nil || err != nil {
			return err
		}
		if messageType(m[0]) != wish {
			return violates(alertUnexpectedMessage, "a handshake message of type %d after the handshake", m[0])
		}
		if c.refusals++; c.refusals > maxRefusals {
			return violates(alertUnexpectedMessage, "more than %d attempts to renegotiate", maxRefusals)
		}
		c.owed.Store(levelWarning<<8 | uint32(alertNoRenegotiation))
	}
}

// breakOff ends the read half for good.
func (c *Conn) breakOff(err error) {
	c.readErr = err
	c.raw, c.messages = nil, nil
	if v, ok := errors.AsType[*violation](err); ok {
		c.owed.Store(levelFatal<<8 | uint32(v.alert))
	}
}

// SyscallConn gives the socket underneath, to wait for it, or an error if there is none.
func (c *Conn) SyscallConn() (syscall.RawConn, error) {
	if sc, ok := c.inner.(syscall.Conn); ok {
		return sc.SyscallConn()
	}
	return nil, errNoDescriptor
}

// NetConn returns the connection underneath.
func (c *Conn) NetConn() net.Conn { return c.inner }

// LocalAddr returns the local address of the connection underneath.
func (c *Conn) LocalAddr() net.Addr { return c.inner.LocalAddr() }

// RemoteAddr returns the peer's address.
func (c *Conn) RemoteAddr() net.Addr { return c.inner.RemoteAddr() }

// SetDeadline sets both deadlines. A read or write that missed one may be repeated with a new one.
func (c *Conn) SetDeadline(t time.Time) error { return c.inner.SetDeadline(t) }

// SetReadDeadline sets the time after which Read fails.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.inner.SetReadDeadline(t) }

// SetWriteDeadline sets the time after which Write fails.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.inner.SetWriteDeadline(t) }
