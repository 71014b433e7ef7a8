//go:build !linux

package broker

import "net"

// engine is for Linux: see engine_linux.go. Elsewhere each connection has a goroutine.
type engine struct{}

func (*engine) close() {}

type eventConn struct{ parked bool }

// SocketListener is for Linux: see accept_linux.go. Elsewhere it returns l.
func SocketListener(l *net.TCPListener, _ func() bool) (net.Listener, error) { return l, nil }

func clientOf(net.Conn) *Client { return nil }

func (*conn) claim()       {}
func (*conn) await() bool  { return false }
func (*conn) unwatch()     {}
func (*conn) adopt()       {}
func (*conn) watch([]byte) {}
func (*conn) goOn()        {}
func (*conn) call()        {}

func (*conn) watchLingering() bool { return false }
