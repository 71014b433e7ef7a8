package broker

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// eventConn is the socket of a connection of the engine. From CONNACK on its loop reads it, past Read.
type eventConn struct {
	loop      *eventLoop
	client    *Client      // has the addresses
	deadline  atomic.Int64 // of Read, in unix nanoseconds; 0: none
	fd        int32
	waiting   bool // has said nothing yet; the loop owns it
	watched   bool // the loop owns it, from CONNACK on; guarded by the loop's mu
	lingering bool // nothing but its socket is left; the loop owns it
	parked    bool // not registered, and to be resumed by unpause; guarded by conn.mu

	closed bool       // guarded by mu
	mu     sync.Mutex // guards what follows, and that fd is open while it is used
	slow   *os.File   // a second descriptor, in Go's poller, while somebody waits for the client to take something
}

func (e *eventConn) LocalAddr() net.Addr  { return e.client.LocalAddr }
func (e *eventConn) RemoteAddr() net.Addr { return e.client.RemoteAddr }

// Read is for the packets before CONNACK, while the connection is not registered. It waits by a second descriptor, in Go's poller.
func (e *eventConn) Read(p []byte) (n int, err error) {
	at := e.deadline.Load()
	if at != 0 && time.Now().UnixNano() >= at {
		return 0, os.ErrDeadlineExceeded
	}
	closed := e.use(func(fd uintptr) bool {
		n, err = sysRead(fd, p)
		return true
	})
	switch {
	case closed != nil:
		return 0, closed
	case err == nil && n == 0:
		return 0, io.EOF
	case !errors.Is(err, syscall.EAGAIN) && !errors.Is(err, syscall.EINTR):
		return n, err
	}
	e.mu.Lock()
	f, err := e.second()
	e.mu.Unlock()
	if err != nil {
		return 0, err
	}
	defer f.Close()
	if at != 0 {
		if err := f.SetReadDeadline(time.Unix(0, at)); err != nil {
			return 0, err
		}
	}
	return f.Read(p)
}

// second returns the socket once more, in Go's poller. mu is held.
func (e *eventConn) second() (*os.File, error) {
	if e.closed {
		return nil, net.ErrClosed
	}
	fd, err := sysDup(uintptr(e.fd))
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "client"), nil // non-blocking is a property of the socket
}

// Write waits until the client takes p.
func (e *eventConn) Write(p []byte) (int, error) {
	f, err := e.writer()
	if err != nil {
		return 0, err
	}
	return f.Write(p)
}

func (e *eventConn) writer() (*os.File, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.slow != nil && !e.closed {
		return e.slow, nil
	}
	f, err := e.second()
	if err == nil {
		e.slow = f
	}
	return f, err
}

// SetWriteDeadline bounds the next Write; the zero time says that there will be none for a while.
func (e *eventConn) SetWriteDeadline(t time.Time) error {
	if t.IsZero() {
		e.mu.Lock()
		slow := e.slow
		e.slow = nil
		e.mu.Unlock()
		if slow != nil {
			return slow.Close()
		}
		return nil
	}
	f, err := e.writer()
	if err != nil {
		return err
	}
	return f.SetWriteDeadline(t)
}

// SetReadDeadline ends reading, whatever the time.
func (e *eventConn) SetReadDeadline(time.Time) error {
	return e.use(func(fd uintptr) bool {
		_ = syscall.Shutdown(int(fd), syscall.SHUT_RD)
		return true
	})
}

// SetDeadline bounds Read, from the next one on.
func (e *eventConn) SetDeadline(t time.Time) error {
	at := int64(0)
	if !t.IsZero() {
		at = t.UnixNano()
	}
	e.deadline.Store(at)
	return nil
}

// Close implements net.Conn.
func (e *eventConn) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return net.ErrClosed
	}
	e.closed = true
	if e.slow != nil {
		_ = e.slow.Close()
	}
	if e.loop == nil { // somebody may wait for the same socket, in Read
		sysShutdown(uintptr(e.fd))
	}
	return sysClose(int(e.fd))
}

func (e *eventConn) use(f func(fd uintptr) bool) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return net.ErrClosed
	}
	f(uintptr(e.fd))
	return nil
}

// eventRaw is the socket as a syscall.RawConn.
type eventRaw eventConn

func (r *eventRaw) Control(f func(fd uintptr)) error {
	return (*eventConn)(r).use(func(fd uintptr) bool {
		f(fd)
		return true
	})
}

// Read is not for here.
func (r *eventRaw) Read(func(fd uintptr) bool) error { return errors.ErrUnsupported }

// Write calls f once.
func (r *eventRaw) Write(f func(fd uintptr) bool) error { return (*eventConn)(r).use(f) }
