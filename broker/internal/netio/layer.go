package netio

import (
	"errors"
	"io"
	"syscall"
)

// Layered is a protocol between a socket and MQTT that can do without waiting. The broker's
// LayeredConn says what is asked of its methods.
type Layered interface {
	TryRead(sock io.Reader, p []byte) (int, error)
	TryWrite(sock io.Writer, p []byte) (int, error)
	TryClose(sock io.Writer)
}

// Layer drives a Layered. One goroutine at a time reads, and one writes.
type Layer struct {
	proto Layered
	in    socketReader
	out   socketWriter

	// The writer owns what follows.
	p     []byte
	n     int
	full  bool                  // what TryWrite has said
	write func(fd uintptr) bool // bound once, so that a write does not allocate
}

// NewLayer returns a layer that drives l.
func NewLayer(l Layered) *Layer {
	layer := &Layer{proto: l}
	layer.write = layer.writeOnce
	return layer
}

// Read reads from the socket fd through the layer. syscall.EAGAIN says that there is nothing for now.
func (l *Layer) Read(fd uintptr, p []byte) (int, error) {
	l.in.fd = fd
	return l.proto.TryRead(&l.in, p)
}

// Write makes one attempt, and returns how much of p was taken, and whether there is more to be done.
func (l *Layer) Write(raw syscall.RawConn, p []byte) (n int, more bool) {
	l.p, l.n, l.full = p, 0, false
	err := raw.Write(l.write)
	l.p = nil
	return l.n, err != nil || l.n < len(p) || l.full
}

func (l *Layer) writeOnce(fd uintptr) bool {
	l.out.fd = fd
	n, err := l.proto.TryWrite(&l.out, l.p)
	l.n, l.full = n, err != nil // full, or broken: who waits for the socket finds out
	return true
}

// Close has the layer say goodbye.
func (l *Layer) Close(raw syscall.RawConn) {
	_ = raw.Write(func(fd uintptr) bool {
		l.out.fd = fd
		l.proto.TryClose(&l.out)
		return true
	})
}

// socketReader and socketWriter are a socket while its descriptor is held.
type (
	socketReader struct{ fd uintptr }
	socketWriter struct{ fd uintptr }
)

func (s *socketReader) Read(p []byte) (int, error) {
	for {
		n, err := Read(s.fd, p)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case err != nil:
			return 0, err
		case n == 0 && len(p) > 0:
			return 0, io.EOF
		}
		return n, nil
	}
}

// Write writes until the socket takes no more.
func (s *socketWriter) Write(p []byte) (n int, err error) {
	for n < len(p) {
		m, err := Write(s.fd, p[n:])
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil {
			return n, err
		}
		n += m
	}
	return n, nil
}
