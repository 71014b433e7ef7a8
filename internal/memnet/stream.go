package memnet

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// MaxBuffered is the number of bytes that one direction of a connection holds
// before Write blocks.
const MaxBuffered = 16 << 20

// stream is one direction of a connection: written at one end, read at the other.
type stream struct {
	mu      sync.Mutex
	changed sync.Cond // any field below changed

	buf           []byte
	writeClosed   bool // the writer has closed: EOF after buf
	readClosed    bool // the reader has closed: nobody will read any more
	readDeadline  deadline
	writeDeadline deadline
}

func newStream() *stream {
	s := &stream{}
	s.changed.L = &s.mu
	return s
}

func isEOF(err error) bool { return err == io.EOF } //nolint:errorlint // made here, never wrapped

func (s *stream) read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.readClosed:
			return 0, net.ErrClosed
		case s.readDeadline.passed:
			return 0, os.ErrDeadlineExceeded
		case len(p) == 0:
			return 0, nil
		case len(s.buf) > 0:
			n := copy(p, s.buf)
			s.buf = s.buf[n:]
			if len(s.buf) == 0 {
				s.buf = nil // an idle direction holds no memory
			}
			s.changed.Broadcast()
			return n, nil
		case s.writeClosed:
			return 0, io.EOF
		}
		s.changed.Wait()
	}
}

func (s *stream) write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	written := 0
	for {
		switch {
		case s.writeClosed:
			return written, net.ErrClosed
		case s.readClosed:
			return written, syscall.EPIPE
		case s.writeDeadline.passed:
			return written, os.ErrDeadlineExceeded
		}
		if room := MaxBuffered - len(s.buf); room > 0 {
			n := min(room, len(p)-written)
			s.buf = append(s.buf, p[written:written+n]...)
			written += n
			s.changed.Broadcast()
		}
		if written == len(p) {
			return written, nil
		}
		s.changed.Wait()
	}
}

func (s *stream) closeWrite() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.writeClosed {
		return net.ErrClosed
	}
	s.writeClosed = true
	s.writeDeadline.stop()
	s.changed.Broadcast()
	return nil
}

func (s *stream) closeRead() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.readClosed {
		return net.ErrClosed
	}
	s.readClosed = true
	s.buf = nil
	s.readDeadline.stop()
	s.changed.Broadcast()
	return nil
}

func (s *stream) setReadDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.readClosed {
		return net.ErrClosed
	}
	s.readDeadline.set(s, t)
	return nil
}

func (s *stream) setWriteDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.writeClosed {
		return net.ErrClosed
	}
	s.writeDeadline.set(s, t)
	return nil
}

// deadline is guarded by the mutex of the stream that it belongs to.
type deadline struct {
	passed bool
	timer  *time.Timer // nil: none is running
}

func (d *deadline) stop() {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
}

// set replaces the deadline. A timer that was replaced while it fired finds that
// it is no longer d.timer and changes nothing.
func (d *deadline) set(s *stream, t time.Time) {
	d.stop()
	d.passed = false
	if !t.IsZero() {
		if wait := time.Until(t); wait > 0 {
			var timer *time.Timer
			timer = time.AfterFunc(wait, func() {
				s.mu.Lock()
				defer s.mu.Unlock()
				if d.timer == timer {
					d.timer = nil
					d.passed = true
					s.changed.Broadcast()
				}
			})
			d.timer = timer
		} else {
			d.passed = true
		}
	}
	s.changed.Broadcast()
}
