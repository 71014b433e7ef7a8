package broker

import (
	"container/list"
	"fmt"
	"sync"

	"github.com/uniomq/unio/mqtt"
)

// ownRoom is how many bytes of its handshake any connection may keep the broker waiting with: a
// usual CONNECT needs no more.
const ownRoom = 4 << 10

// lobby bounds what connections make the broker hold beyond their ownRoom before they are let in:
// MaxUnacceptedBytes in sum.
//
// When there is no room, the one that came first of those that owe the rest of a packet has to go:
// a client that means it sends all of it in a moment, and one that hoards would keep others out for
// as long as it may wait. Who waits for an answer of the broker stays. If there are none but such,
// the newcomer is refused.
type lobby struct {
	mu     sync.Mutex // guards what follows, and the guests
	held   int
	guests list.List // of *guest, those that hold something, in the order in which they came
}

// guest is a connection in the lobby. Only its own goroutine writes place.
type guest struct {
	c     *conn
	place *list.Element // nil: it holds nothing
	held  int           // beyond its ownRoom
	owes  bool          // it is to send more
	gone  bool          // it had to go
}

// errCrowdedOut ends the handshake of a guest that had to go, or for which there is no room.
var errCrowdedOut = fmt.Errorf("%w: no room for what this one has sent of it (MaxUnacceptedBytes): %w", ErrUnaccepted, mqtt.ServerBusy)

// hold says that a guest holds so many bytes from now on.
func (l *lobby) hold(g *guest, bytes int) error {
	bytes = max(bytes-ownRoom, 0)
	if bytes == 0 && g.place == nil {
		return nil
	}
	limit := g.c.b.options.Load().MaxUnacceptedBytes
	l.mu.Lock()
	var out []*guest
	for !g.gone && l.held-g.held+bytes > limit {
		first := l.first(g)
		if first == nil {
			l.send(g)
			break
		}
		l.send(first)
		out = append(out, first)
	}
	gone := g.gone
	if !gone {
		if g.place == nil {
			g.place = l.guests.PushBack(g)
		}
		l.held += bytes - g.held
		g.held = bytes
	}
	l.mu.Unlock()
	for _, o := range out {
		o.c.interrupt(errCrowdedOut)
	}
	if gone {
		return errCrowdedOut
	}
	return nil
}

// first returns the guest that came first of those that owe something, besides g; nil: there is
// none. mu is held.
func (l *lobby) first(g *guest) *guest {
	for e := l.guests.Front(); e != nil; e = e.Next() {
		if o := e.Value.(*guest); o != g && o.owes && o.held > 0 {
			return o
		}
	}
	return nil
}

// send has a guest go. mu is held.
func (l *lobby) send(g *guest) {
	g.gone = true
	l.held -= g.held
	g.held = 0
	if g.place != nil {
		l.guests.Remove(g.place)
	}
}

// owe says whether a guest is to send more. It fails if the guest had to go.
func (l *lobby) owe(g *guest, owes bool) error {
	if g.place == nil {
		g.owes = owes // nobody else knows it
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if g.owes = owes; g.gone {
		return errCrowdedOut
	}
	return nil
}

// leave is the end of a handshake.
func (l *lobby) leave(g *guest) {
	if g.place == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !g.gone {
		l.send(g)
	}
}
