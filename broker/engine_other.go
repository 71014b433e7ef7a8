//go:build !linux

package broker

import "net"

// engine is for Linux: see engine_linux.go. Elsewhere each connection has a goroutine.
type engine struct{}

func (*engine) close() {}

type eventConn struct{ parked bool }

// SocketListener returns a listener for ServeListener whose connections are those of l. noDelay says whether Nagle's algorithm is to be off for
// a new one.
func SocketListener(l *net.TCPListener, noDelay func() bool) (net.Listener, error) {
	return nagleListener{l, noDelay}, nil
}

type nagleListener struct {
	*net.TCPListener
	noDelay func() bool
}

// Accept returns a connection as Go makes it, but for Nagle's algorithm, which Go turns off.
func (l nagleListener) Accept() (net.Conn, error) {
	c, err := l.AcceptTCP()
	if err != nil {
		return nil, err
	}
	if !l.noDelay() {
		_ = c.SetNoDelay(false) // fails only if the client is gone already
	}
	return c, nil
}

func (*conn) claim()       {}
func (*conn) await() bool  { return false }
func (*conn) unwatch()     {}
func (*conn) adopt()       {}
func (*conn) watch([]byte) {}
func (*conn) goOn()        {}
