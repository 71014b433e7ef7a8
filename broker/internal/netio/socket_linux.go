package netio

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

// Socket is a socket that Go's poller does not know, so that it is not woken for each packet. A [Loop]
// waits for it, or nobody does. It is a net.Conn, whose Read and Write wait by a second descriptor.
type Socket struct {
	loop     *Loop // nil: none; set once, by Claim
	owner    Owner
	deadline atomic.Int64 // of Read, in unix nanoseconds; 0: none
	fd       int32
	watched  bool // the loop owns it, see Watch; guarded by the loop's mu

	closed bool       // guarded by mu
	mu     sync.Mutex // guards what follows, and that fd is open while it is used
	slow   *os.File   // a second descriptor, in Go's poller, while somebody waits for the client to take something
}

// LocalAddr implements net.Conn.
func (s *Socket) LocalAddr() net.Addr {
	local, _ := s.owner.Addrs()
	return local
}

// RemoteAddr implements net.Conn.
func (s *Socket) RemoteAddr() net.Addr {
	_, remote := s.owner.Addrs()
	return remote
}

// Owner returns what Accept or Claim was given.
func (s *Socket) Owner() Owner { return s.owner }

// Claim gives the socket an owner, and one of the engine's loops. It reports false if there is none:
// then the socket is a net.Conn and nothing else.
func (s *Socket) Claim(e *Engine, o Owner) bool {
	s.owner, s.loop = o, e.pick()
	return s.loop != nil
}

// Raw returns the socket as a syscall.RawConn.
func (s *Socket) Raw() syscall.RawConn { return (*rawSocket)(s) }

// TryRead makes one attempt to read. It is for the owner of the socket, who knows that it is open.
func (s *Socket) TryRead(p []byte) (int, error) { return Read(uintptr(s.fd), p) }

// Await has the loop tell the owner of the first event, and of no other.
func (s *Socket) Await() error {
	return s.loop.register(s, syscall.EPOLLIN|syscall.EPOLLRDHUP|syscall.EPOLLONESHOT, false)
}

// Watch has the loop tell the owner of each event. From now on the loop's goroutine owns the socket,
// until Unwatch.
func (s *Socket) Watch() error { return s.loop.register(s, syscall.EPOLLIN|syscall.EPOLLRDHUP, true) }

// Unwatch ends Watch or Await. It is called by whoever owns the socket; it need not be watched.
func (s *Socket) Unwatch() { s.loop.remove(s) }

// Watched reports whether the loop owns the socket.
func (s *Socket) Watched() bool {
	s.loop.mu.Lock()
	defer s.loop.mu.Unlock()
	return s.watched
}

// Call has the loop tell the owner, as of an event, if it watches the socket, and else as soon as it
// does.
func (s *Socket) Call() { s.loop.call(s) }

// Read waits for something to read; no loop may watch the socket. It waits by a second descriptor, in
// Go's poller.
func (s *Socket) Read(p []byte) (n int, err error) {
	at := s.deadline.Load()
	if at != 0 && time.Now().UnixNano() >= at {
		return 0, os.ErrDeadlineExceeded
	}
	closed := s.use(func(fd uintptr) bool {
		n, err = Read(fd, p)
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
	s.mu.Lock()
	f, err := s.second()
	s.mu.Unlock()
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
func (s *Socket) second() (*os.File, error) {
	if s.closed {
		return nil, net.ErrClosed
	}
	fd, err := sysDup(uintptr(s.fd))
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "client"), nil // non-blocking is a property of the socket
}

// Write waits until the client takes p.
func (s *Socket) Write(p []byte) (int, error) {
	f, err := s.writer()
	if err != nil {
		return 0, err
	}
	return f.Write(p)
}

func (s *Socket) writer() (*os.File, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.slow != nil && !s.closed {
		return s.slow, nil
	}
	f, err := s.second()
	if err == nil {
		s.slow = f
	}
	return f, err
}

// SetWriteDeadline bounds the next Write; the zero time says that there will be none for a while.
func (s *Socket) SetWriteDeadline(t time.Time) error {
	if t.IsZero() {
		s.mu.Lock()
		slow := s.slow
		s.slow = nil
		s.mu.Unlock()
		if slow != nil {
			return slow.Close()
		}
		return nil
	}
	f, err := s.writer()
	if err != nil {
		return err
	}
	return f.SetWriteDeadline(t)
}

// SetReadDeadline ends reading, whatever the time.
func (s *Socket) SetReadDeadline(time.Time) error {
	return s.use(func(fd uintptr) bool {
		_ = syscall.Shutdown(int(fd), syscall.SHUT_RD)
		return true
	})
}

// SetDeadline bounds Read, from the next one on.
func (s *Socket) SetDeadline(t time.Time) error {
	at := int64(0)
	if !t.IsZero() {
		at = t.UnixNano()
	}
	s.deadline.Store(at)
	return nil
}

// Close implements net.Conn.
func (s *Socket) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return net.ErrClosed
	}
	s.closed = true
	if s.slow != nil {
		_ = s.slow.Close()
	}
	if s.loop == nil { // somebody may wait for the same socket, in Read
		Shutdown(uintptr(s.fd))
	}
	return sysClose(int(s.fd))
}

func (s *Socket) use(f func(fd uintptr) bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return net.ErrClosed
	}
	f(uintptr(s.fd))
	return nil
}

// rawSocket is a Socket as a syscall.RawConn.
type rawSocket Socket

func (r *rawSocket) Control(f func(fd uintptr)) error {
	return (*Socket)(r).use(func(fd uintptr) bool {
		f(fd)
		return true
	})
}

// Read is not for here.
func (r *rawSocket) Read(func(fd uintptr) bool) error { return errors.ErrUnsupported }

// Write calls f once.
func (r *rawSocket) Write(f func(fd uintptr) bool) error { return (*Socket)(r).use(f) }
