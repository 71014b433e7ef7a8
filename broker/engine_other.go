//go:build !linux

package broker

// engine is for Linux: see engine_linux.go. Elsewhere each connection has a goroutine.
type engine struct{}

func (*engine) close() {}

type eventConn struct{ parked bool }

func (*conn) adopt()       {}
func (*conn) watch([]byte) {}
func (*conn) goOn()        {}
