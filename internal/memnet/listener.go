// Package memnet is a network inside the process: a [Listener] whose connections
// are buffered in both directions as TCP's are, unlike those of [net.Pipe], which
// block a writer until somebody reads.
//
// It exists for tests, above all for those in a [testing/synctest] bubble: a
// blocked Read, Write or Accept waits on a [sync.Cond] and is therefore durably
// blocked, so that virtual time moves on. It starts no goroutines; only a deadline
// uses a timer.
//
// It does not imitate loss, delay or reset: what was written before a close is
// read by the peer, then io.EOF.
package memnet

import (
	"net"
	"strconv"
	"sync"
	"syscall"
)

// Backlog is the number of connections that may wait for Accept before Dial blocks.
const Backlog = 128

// Addr is an address of this network: "memory:N", where N counts the ends made by
// one Listener. The Listener itself is "memory:0".
type Addr int

// Network returns "memory".
func (Addr) Network() string { return "memory" }

// String returns the address in the form host:port.
func (a Addr) String() string { return "memory:" + strconv.Itoa(int(a)) }

// Listener is an in-memory net.Listener. Its methods may be called from several
// goroutines.
type Listener struct {
	mu      sync.Mutex
	changed sync.Cond
	pending []*Conn // dialled, not yet accepted; at most Backlog
	dialled int
	closed  bool
}

var _ net.Listener = (*Listener)(nil)

// Listen returns a new Listener.
func Listen() *Listener {
	l := &Listener{}
	l.changed.L = &l.mu
	return l
}

// Dial returns the client's end of a new connection. It does not wait for Accept
// unless Backlog connections wait already. After Close it fails with
// ECONNREFUSED.
func (l *Listener) Dial() (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for !l.closed && len(l.pending) >= Backlog {
		l.changed.Wait()
	}
	if l.closed {
		return nil, &net.OpError{Op: "dial", Net: "memory", Addr: l.Addr(), Err: syscall.ECONNREFUSED}
	}
	l.dialled++
	client, server := newPair(Addr(l.dialled), Addr(0))
	l.pending = append(l.pending, server)
	l.changed.Broadcast()
	return client, nil
}

// Accept returns the server's end of the next connection; it waits until there is
// one. After Close it fails with net.ErrClosed.
func (l *Listener) Accept() (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for !l.closed && len(l.pending) == 0 {
		l.changed.Wait()
	}
	if l.closed {
		return nil, &net.OpError{Op: "accept", Net: "memory", Addr: l.Addr(), Err: net.ErrClosed}
	}
	c := l.pending[0]
	l.pending = l.pending[1:]
	l.changed.Broadcast()
	return c, nil
}

// Close stops the listener. Connections that were dialled but not accepted are
// closed; accepted ones live on. A second Close fails with net.ErrClosed.
func (l *Listener) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return &net.OpError{Op: "close", Net: "memory", Addr: l.Addr(), Err: net.ErrClosed}
	}
	l.closed = true
	for _, c := range l.pending {
		_ = c.Close() // a fresh connection's first Close cannot fail
	}
	l.pending = nil
	l.changed.Broadcast()
	return nil
}

// Addr returns the listener's address.
func (l *Listener) Addr() net.Addr { return Addr(0) }
