package broker

import (
	"time"

	"github.com/uniomq/unio/broker/internal/session"
)

// A connection whose client was told why it ends (DISCONNECT, or a CONNACK that refuses) lingers:
// its sending side is shut, and what still comes is read and forgotten until the client closes, too.
// Were the socket closed at once, a client in the middle of sending would get a reset, which takes
// away what it has not read yet. That ends with one of these; beyond maxLingering, sockets are
// closed at once.
const (
	lingerTime   = time.Second
	lingerBytes  = 4 << 20
	maxLingering = 1000
)

// release gives up the connection, which the owner of the read loop uses no more.
func (c *conn) release() {
	c.mu.Lock()
	c.phase.Enter(session.Released)
	writing := c.writing
	c.mu.Unlock()
	if !writing { // else the writer does both, after its last write
		c.linger()
		c.leave()
	}
}

// leave ends what Shutdown waits for, when neither the owner nor a writer has the connection. A
// writer may be anybody, also the store's completer, for which Shutdown does not wait otherwise.
func (c *conn) leave() {
	c.mu.Lock()
	leaves := c.phase == session.Released && !c.writing
	if leaves {
		c.phase.Enter(session.Gone)
	}
	c.mu.Unlock()
	if leaves {
		c.b.wg.Done()
	}
}

// linger closes the socket, at once or in a while. It may be called more than once, by anybody: it
// does not wait. Where no event loop has the connection, a goroutine does.
func (c *conn) linger() {
	c.mu.Lock()
	if !c.told || c.phase < session.Released || c.lingers || c.raw == nil {
		c.mu.Unlock()
		return // hangUp closes it, or has closed it
	}
	c.lingers = true
	c.b.wg.Add(1)
	c.mu.Unlock()
	defer c.b.wg.Done()
	if !c.b.addLingering(c) {
		_ = c.nc.Close()
		return
	}
	if c.watchLingering() {
		return
	}
	c.b.wg.Go(func() {
		c.discard()
		c.lingered()
	})
}

// lingered is the end of lingering.
func (c *conn) lingered() {
	c.b.mu.Lock()
	delete(c.b.lingering, c)
	c.b.mu.Unlock()
	_ = c.nc.Close()
}

// isLingering reports whether the connection lingers, or has done so.
func (c *conn) isLingering() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lingers
}

// addLingering reports whether there is room for one more.
func (b *Broker) addLingering(c *conn) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || len(b.lingering) >= maxLingering {
		return false
	}
	b.lingering[c] = struct{}{}
	return true
}

// cutLingering ends all lingering soon. The broker is closed: there will be no more.
func (b *Broker) cutLingering() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for c := range b.lingering {
		c.cut()
	}
}

// cut ends lingering soon.
func (c *conn) cut() { _ = c.nc.SetReadDeadline(time.Unix(1, 0)) }
