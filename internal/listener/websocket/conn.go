package websocket

import (
	"io"
	"net"
	"sync"
	"syscall"
	"time"
)

// layered is what a connection above a socket offers to who waits for the socket itself: work without waiting, on a socket
// that is handed in. A Conn offers it, and uses it of the connection below, which may be TLS.
type layered interface {
	net.Conn
	syscall.Conn
	TryRead(sock io.Reader, p []byte) (int, error)
	TryWrite(sock io.Writer, p []byte) (int, error)
	TryClose(sock io.Writer)
}

var _ layered = (*Conn)(nil)

// controlTimeout bounds the wait for a peer that does not read, when a control frame is to be sent on a connection that
// cannot be written without waiting.
const controlTimeout = time.Second

// Conn is an upgraded connection. What is read and written is the payload of binary frames: the bytes of MQTT.
//
// Read and TryRead may be called by one goroutine at a time, and so may Write and TryWrite; reading and writing may go on at
// the same time. Everything else may be called at any time.
type Conn struct {
	inner  net.Conn
	layer  layered  // inner, when it is a layer itself; nil: it is a socket, or only has Read and Write
	remote net.Addr // nil: inner's
	began  int64    // see Began; in unix nanoseconds
	passed bool     // see Forwarded
	early  []byte   // what HTTP had read behind the request; whoever reads owns it, and in
	in     decoder

	wmu sync.Mutex // held while something is written to inner; guards out
	out output

	mu       sync.Mutex // guards what follows; held briefly
	answers  []byte     // control frames that wait until somebody can write them
	closing  bool       // a close frame is the last of answers, or was
	deadline time.Time  // for writing, as it was set from outside
}

func newConn(inner net.Conn, maxFrame int64) *Conn {
	c := &Conn{inner: inner, in: decoder{max: maxFrame}}
	c.layer, _ = inner.(layered)
	return c
}

// NetConn returns the connection below, for example to ask TLS about it. Reading, writing or closing it breaks the Conn.
func (c *Conn) NetConn() net.Conn { return c.inner }

// LocalAddr returns the local address of the connection below.
func (c *Conn) LocalAddr() net.Addr { return c.inner.LocalAddr() }

// RemoteAddr returns the address of the client: that of the connection below, or what one of
// [Options.Proxies] has said.
func (c *Conn) RemoteAddr() net.Addr {
	if c.remote != nil {
		return c.remote
	}
	return c.inner.RemoteAddr()
}

// Began returns when the connection was accepted or, if other requests were answered on it before,
// when its upgrade request began to arrive: who gives clients a time until they are let in counts
// from there.
func (c *Conn) Began() time.Time { return time.Unix(0, c.began) }

// Forwarded reports whether the upgrade request had X-Forwarded-For, believed or not: RemoteAddr is
// what was said there, or that of a proxy, and in no case one that the client has shown to be its
// own.
func (c *Conn) Forwarded() bool { return c.passed }

// SyscallConn returns the socket below, to wait for it. It fails when there is none.
func (c *Conn) SyscallConn() (syscall.RawConn, error) {
	if sc, ok := c.inner.(syscall.Conn); ok {
		return sc.SyscallConn()
	}
	return nil, syscall.EINVAL
}

// Read reads payload. It waits until there is some, and returns io.EOF after the client's close frame or the end of the
// connection, an *[Error] when the client broke the rules.
func (c *Conn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for c.in.err == nil {
		n, err := c.takeEarly(p), error(nil)
		if n == 0 {
			n, err = c.inner.Read(p)
		}
		n = c.in.decode(p[:n])
		if c.queueAnswers() {
			c.flushAnswersSoon()
		}
		if n > 0 || err != nil && c.in.err == nil {
			return n, err
		}
	}
	return 0, c.in.err
}

// TryRead is Read without waiting: it reads from sock, whose Read fails with EAGAIN when nothing has arrived, and so
// does TryRead then. p is decoded in place.
func (c *Conn) TryRead(sock io.Reader, p []byte) (int, error) {
	for c.in.err == nil {
		n, err := c.takeEarly(p), error(nil)
		switch {
		case n > 0:
		case c.layer != nil:
			n, err = c.layer.TryRead(sock, p)
		default:
			n, err = sock.Read(p)
		}
		if n > 0 {
			n = c.in.decode(p[:n])
			if c.queueAnswers() {
				c.flushAnswersSoon()
			}
		} else if err == nil {
			err = syscall.EAGAIN
		}
		if n > 0 {
			return n, nil // an error comes again
		}
		if err != nil && c.in.err == nil {
			return 0, err
		}
	}
	return 0, c.in.err
}

// takeEarly moves bytes that HTTP had read into p.
func (c *Conn) takeEarly(p []byte) (n int) {
	if c.early != nil {
		n = copy(p, c.early)
		if c.early = c.early[n:]; len(c.early) == 0 {
			c.early = nil
		}
	}
	return n
}

// queueAnswers moves the decoder's answers to where writers find them, and reports whether there were any.
func (c *Conn) queueAnswers() bool {
	if len(c.in.answer) == 0 {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closing: // nothing may follow a close frame
	case len(c.answers)+len(c.in.answer) > maxAnswers: // the socket is full: the oldest are dropped
		c.answers = c.in.answer
	default:
		c.answers = append(c.answers, c.in.answer...)
	}
	c.closing = c.closing || c.in.closing
	c.in.answer = nil
	return true
}

// TryClose says goodbye, with a close frame and with whatever the layer below has for that, if sock takes it at once.
func (c *Conn) TryClose(sock io.Writer) {
	c.queueClose()
	c.flushAnswers(sock)
	if c.layer != nil {
		c.layer.TryClose(sock)
	}
}

// Close sends a close frame, if that takes no long wait, and closes the connection.
func (c *Conn) Close() error {
	c.queueClose()
	c.flushAnswersSoon()
	return c.inner.Close()
}

func (c *Conn) queueClose() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closing {
		c.answers, c.closing = appendClose(c.answers, closeNormal), true
	}
}

// SetDeadline sets both deadlines.
func (c *Conn) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.SetWriteDeadline(t)
}

// SetReadDeadline sets the deadline for Read.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.inner.SetReadDeadline(t) }

// SetWriteDeadline sets the deadline for Write.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = t
	return c.inner.SetWriteDeadline(t)
}
