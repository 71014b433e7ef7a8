package broker

import (
	"errors"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/uniomq/unio/mqtt"
)

// listener is what connections of one ServeListener share.
type listener struct {
	options atomic.Pointer[ListenerOptions]
	count   atomic.Int64 // clients that are let in
	local   atomic.Pointer[net.TCPAddr]
}

func (l *listener) set(o ListenerOptions) {
	o.setDefaults()
	l.options.Store(&o)
}

// localAddr returns an address that says the same as one of a new connection, if possible one that others have already: most clients come to
// the same.
func (l *listener) localAddr(of net.Addr) net.Addr {
	a, ok := of.(*net.TCPAddr)
	if !ok {
		return of
	}
	if last := l.local.Load(); last != nil && last.Port == a.Port && last.Zone == a.Zone && last.IP.Equal(a.IP) {
		return last
	}
	l.local.Store(a)
	return a
}

func isResourceError(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.ENOBUFS) ||
		errors.Is(err, syscall.ENOMEM) || errors.Is(err, syscall.ECONNABORTED)
}

// accept takes up a new connection, which gets a goroutine, now or with its first bytes.
func (b *Broker) accept(nc net.Conn, ln *listener) {
	lo := ln.options.Load()
	if !b.admit(nc, lo) {
		_ = nc.Close()
		return
	}
	c := newConn(b, nc, ln)
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		b.counters.unaccepted.Add(-1)
		_ = nc.Close()
		return
	}
	b.conns[c] = struct{}{}
	b.wg.Add(1)
	b.mu.Unlock()
	c.claim()
	b.counters.accepted.Add(1)
	if !lo.Proxied {
		c.opened()
	}
	if !c.await() {
		go c.run()
	}
}

// opened tells of the connection.
func (c *conn) opened() {
	if event := c.b.options.Load().Events.Opened; event != nil {
		event(c.client.RemoteAddr, c.client.LocalAddr)
	}
}

// run is a connection's whole life, or its first part, up to CONNACK, if the engine takes it over.
func (c *conn) run() {
	b := c.b
	b.wheel.remove(c) // it has said something
	rest, err := c.handshake()
	b.counters.unaccepted.Add(-1)
	if err == nil && c.event != nil {
		c.watch(rest)
		return
	}
	c.unwatch()
	defer c.release()
	defer b.forget(c)
	defer c.contain(&err, nil)
	if err != nil && c.sub != nil { // a panic behind the attach
		c.finish(err)
		return
	}
	if err != nil {
		c.abandon()
		if c.harmless(err) {
			b.counters.probes.Add(1)
			return
		}
		b.refused(c.client, err)
		return
	}
	c.finish(c.loop(rest))
}

// handshake brings the connection to CONNACK with success, or to an error. It
// returns what the client sent behind CONNECT.
func (c *conn) handshake() (rest []byte, err error) {
	defer c.contain(&err, nil)
	judged := c.b.rechecks.Load()
	timeout := c.b.options.Load().ConnectTimeout
	start := time.Now()
	if at := c.lastSeen.Load(); at != 0 { // it has waited already
		start = time.Unix(0, at)
	}
	if nc, ok := c.nc.(beginner); ok {
		start = nc.Began()
	}
	deadline := start.Add(timeout)
	if err := c.nc.SetDeadline(deadline); err != nil {
		return nil, err
	}
	g := &guest{c: c}
	defer c.b.lobby.leave(g)
	if err = c.open(deadline, g); err == nil {
		rest, err = c.connect(deadline, judged, g)
	}
	if cause := c.closeCause(); err != nil && errors.Is(cause, os.ErrDeadlineExceeded) {
		err = cause
	}
	if err != nil && refuseCause(err) == RefuseTimeout {
		err = lateError{timeout, err}
	}
	return rest, err
}

func (b *Broker) forget(c *conn) {
	c.leavePlace()
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.conns, c)
}

// abandon closes a connection that never got a session.
func (c *conn) abandon() {
	c.end(errRefused)
}

var errRefused = errors.New("refused")

// reason is what a client is told of an error: the reason code in it, else otherwise.
func reason(err error, otherwise mqtt.ReasonCode) mqtt.ReasonCode {
	if code, ok := errors.AsType[mqtt.ReasonCode](err); ok {
		return code
	}
	return otherwise
}
