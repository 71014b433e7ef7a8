package broker

import (
	"fmt"
	"sync/atomic"

	"github.com/uniomq/unio/mqtt"
)

var errMaxSessions = fmt.Errorf("too many sessions: %w", mqtt.ServerBusy)

// take counts one more, unless there are as many as the limit says; 0: there is none.
func take(n *atomic.Int64, limit int) bool {
	for {
		now := n.Load()
		if limit > 0 && now >= int64(limit) {
			return false
		}
		if n.CompareAndSwap(now, now+1) {
			return true
		}
	}
}

// crowded refuses a client for whom there is no place, before anybody is asked who it is. Whoever
// may take a connection over is let through: takePlace decides.
func (c *conn) crowded() error {
	limit := c.b.options.Load().MaxConnections
	full := limit > 0 && c.b.counters.connections.Load() >= int64(limit) ||
		c.lo.MaxConnections > 0 && c.ln.count.Load() >= int64(c.lo.MaxConnections)
	if full && c.b.connOf(c.sessionKey()) == nil {
		return ErrMaxConnections
	}
	return nil
}

// takePlace takes one of MaxConnections, of the broker and of its listener, for a client that is
// let in. If it takes the session over from old, which is nil if it does not, it takes old's
// places, too. The caller holds the session, which guards placed.
func (c *conn) takePlace(old *conn) error {
	b := c.b
	if old != nil && !old.placed {
		old = nil
	}
	moves := old != nil && old.ln != c.ln
	if (old == nil || moves) && !take(&c.ln.count, c.lo.MaxConnections) {
		return ErrMaxConnections
	}
	if old == nil && !take(&b.counters.connections, b.options.Load().MaxConnections) {
		c.ln.count.Add(-1)
		return ErrMaxConnections
	}
	if moves {
		old.ln.count.Add(-1)
	}
	if old != nil {
		old.placed = false
	}
	c.placed = true
	return nil
}

// leavePlace gives the places back, unless another connection has taken them.
func (c *conn) leavePlace() {
	if c.placed {
		c.placed = false
		c.ln.count.Add(-1)
		c.b.counters.connections.Add(-1)
	}
}

// takePlace takes one of MaxSessions for a new session. The caller holds it.
func (s *subscriber) takePlace(b *Broker) error {
	if !take(&b.counters.sessions, b.options.Load().MaxSessions) {
		return errMaxSessions
	}
	s.placed = true
	return nil
}

// leavePlace gives the place back.
func (s *subscriber) leavePlace(b *Broker) {
	if s.placed {
		s.placed = false
		b.counters.sessions.Add(-1)
	}
}
