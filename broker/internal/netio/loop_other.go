//go:build !linux

package netio

import (
	"net"
	"syscall"
)

// Engine is for Linux: see loop_linux.go. Elsewhere it has no loops, and adopts nothing.
type Engine struct {
	NewRound func() Round
	Loops    int
}

// Adopt returns nil: there is no loop.
func (*Engine) Adopt(syscall.RawConn, Owner) *Socket { return nil }

// Close does nothing.
func (*Engine) Close() {}

// Socket is for Linux. Elsewhere there is none.
type Socket struct{ net.Conn }

// Owner does nothing here.
func (*Socket) Owner() Owner { return nil }

// Claim does nothing here.
func (*Socket) Claim(*Engine, Owner) bool { return false }

// Raw does nothing here.
func (*Socket) Raw() syscall.RawConn { return nil }

// TryRead does nothing here.
func (*Socket) TryRead([]byte) (int, error) { return 0, syscall.EAGAIN }

// Await does nothing here.
func (*Socket) Await() error { return nil }

// Watch does nothing here.
func (*Socket) Watch() error { return nil }

// Unwatch does nothing here.
func (*Socket) Unwatch() {}

// Watched does nothing here.
func (*Socket) Watched() bool { return false }

// Call does nothing here.
func (*Socket) Call() {}

// Listen returns l: Go accepts its connections.
func Listen(l *net.TCPListener, _ func() bool, _ func(local, remote net.Addr) Owner) (net.Listener, error) {
	return l, nil
}
