package tlsconn

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// link is the net.Conn that crypto/tls reads from and writes to.
//
// Reads belong to one goroutine at a time. During the handshake writes go through to the connection, since the handshake's
// goroutine is the only one. Then they are appended to pending. Bytes go to the socket in the order in which they were
// encrypted, because only the holder of flushing takes them out.
type link struct {
	net.Conn // the connection underneath

	source      io.Reader            // set during TryRead: where to read from. Of the reading goroutine.
	established atomic.Bool          // the handshake is over
	arrived     int                  // bytes of the handshake; of its goroutine, as meter
	meter       func(held int) error // see Conn.Meter; nil: nobody asks
	alert       tls.AlertError       // the last that came in the clear, close_notify if none; of the handshake's goroutine

	flushing sync.Mutex // held by whoever writes to the socket; locked before mu; guards sending
	sending  *buffer    // taken out of pending, not yet written to the end; nil: none

	mu      sync.Mutex // guards what follows; held for a moment only
	pending *buffer    // encrypted, not yet taken by anybody; nil: none
}

// maxPending bounds, in bytes, what waits for the socket. One round of a write is far less; only a client that never reads but makes the
// server answer, by key updates, gets here.
const maxPending = 128 << 10

var errTooMuchPending = errors.New("tls: the client makes the server write, but does not read")

// buffer holds encrypted bytes; it is pooled.
type buffer struct {
	p []byte
	n int // how many of p are written
}

// maxPooledBuffer is the size in bytes above which a buffer is left to the garbage collector.
const maxPooledBuffer = 64 << 10

var buffers = sync.Pool{New: func() any { return &buffer{p: make([]byte, 0, 4<<10)} }}

func (b *buffer) release() {
	if cap(b.p) <= maxPooledBuffer {
		b.p, b.n = b.p[:0], 0
		buffers.Put(b)
	}
}

// Read gives crypto/tls what the source of a TryRead has, or waits for the connection.
func (l *link) Read(p []byte) (int, error) {
	if l.source != nil {
		return l.source.Read(p)
	}
	if l.established.Load() && l.waiting() && l.flushing.TryLock() { // else a write that goes on takes it along
		err := l.flushTo(l.Conn)
		l.flushing.Unlock()
		if err != nil {
			return 0, err
		}
	}
	n, err := l.Conn.Read(p)
	if !l.established.Load() {
		l.plainAlert(p[:n])
		if tooMuch := l.count(n); tooMuch != nil {
			return 0, tooMuch
		}
	}
	return n, err
}

// maxHandshake is how many bytes a client's handshake may have. crypto/tls takes 64 KiB for each
// message, and 256 for certificates.
const maxHandshake = 100 << 10

var errLongHandshake = fmt.Errorf("the client's handshake is longer than %d bytes", maxHandshake)

// count notes what has arrived of the handshake.
func (l *link) count(n int) error {
	if l.arrived += n; l.arrived > maxHandshake {
		return errLongHandshake
	}
	if l.meter == nil {
		return nil
	}
	return l.meter(l.arrived)
}

// plainAlert notes an alert that is not encrypted (RFC 8446, 5.1 and 6). OpenSSL's clients send one when the server's certificate does not
// please them, although TLS 1.3 wants it encrypted by then; to crypto/tls it is a damaged record.
func (l *link) plainAlert(p []byte) {
	const header = "\x15\x03\x03\x00\x02" // alert, version, length
	if at := len(p) - len(header) - 2; at >= 0 && string(p[at:at+len(header)]) == header {
		l.alert = tls.AlertError(p[len(p)-1])
	}
}

// waiting says that crypto/tls wrote something that nobody has taken, for example while it read. The other side may wait for it.
func (l *link) waiting() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.pending != nil
}

// Write takes what crypto/tls has encrypted.
func (l *link) Write(p []byte) (int, error) {
	if !l.established.Load() {
		return l.Conn.Write(p)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pending == nil {
		l.pending = buffers.Get().(*buffer)
	}
	if len(l.pending.p)+len(p) > maxPending {
		return 0, errTooMuchPending
	}
	l.pending.p = append(l.pending.p, p...)
	return len(p), nil
}

// SetWriteDeadline is called by crypto/tls around an alert, which link takes without waiting. The deadlines of the connection are
// Conn's callers'.
func (l *link) SetWriteDeadline(time.Time) error { return nil }

// flush writes all that waits to the connection, and may wait for it.
func (l *link) flush() error {
	l.flushing.Lock()
	defer l.flushing.Unlock()
	return l.flushTo(l.Conn)
}

// flushTo writes all that waits, up to an error of w. What is not written stays. flushing is held.
func (l *link) flushTo(w io.Writer) error {
	for {
		if l.sending == nil {
			l.mu.Lock()
			l.sending, l.pending = l.pending, nil
			l.mu.Unlock()
		}
		b := l.sending
		if b == nil {
			return nil
		}
		for b.n < len(b.p) {
			n, err := w.Write(b.p[b.n:])
			b.n += n
			if b.n < len(b.p) && err == nil {
				err = io.ErrShortWrite
			}
			if err != nil && b.n < len(b.p) {
				return err
			}
		}
		l.sending = nil
		b.release()
	}
}
