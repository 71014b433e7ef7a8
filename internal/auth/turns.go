package auth

import (
	"container/list"
	"context"
	"net/netip"
	"sync"
)

// turns shares a room among addresses. Who finds no room waits, and each address that has somebody waiting gets its turn
// after the others: one that asks for much waits for itself, and holds up another one by one turn. Within an address it is
// first come, first served. Memory is that of who waits.
type turns struct {
	mu      sync.Mutex // guards what follows
	free    int64
	waiting map[netip.Prefix]*list.Element // of order
	order   list.List                      // of *line, the one whose turn it is in front
}

// line is who waits of one address.
type line struct {
	at  netip.Prefix
	who list.List // of *turn, the first one in front
}

// turn is one who waits.
type turn struct {
	weight int64
	come   chan struct{} // closed when it has come
}

func newTurns(room int64) *turns {
	return &turns{free: room, waiting: map[netip.Prefix]*list.Element{}}
}

// enter takes a weight of the room, which leave gives back, and reports whether it had to wait for that. A weight beyond the
// whole room never gets its turn. After an error, which is that of ctx, nothing is taken.
func (t *turns) enter(ctx context.Context, at netip.Prefix, weight int64) (waited bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	t.mu.Lock()
	if t.order.Len() == 0 && weight <= t.free {
		t.free -= weight
		t.mu.Unlock()
		return false, nil
	}
	mine := &turn{weight, make(chan struct{})}
	place := t.lineOf(at).who.PushBack(mine)
	t.mu.Unlock()
	select {
	case <-mine.come:
		return true, nil
	case <-ctx.Done():
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	select {
	case <-mine.come: // at the same time
		t.free += weight
	default:
		t.quit(at, place)
	}
	t.next()
	return true, ctx.Err()
}

// leave gives a weight back.
func (t *turns) leave(weight int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.free += weight
	t.next()
}

// lineOf returns the line of an address. mu is held.
func (t *turns) lineOf(at netip.Prefix) *line {
	e := t.waiting[at]
	if e == nil {
		e = t.order.PushBack(&line{at: at})
		t.waiting[at] = e
	}
	return e.Value.(*line)
}

// quit takes out who waits no longer. mu is held.
func (t *turns) quit(at netip.Prefix, place *list.Element) {
	e := t.waiting[at]
	l := e.Value.(*line)
	if l.who.Remove(place); l.who.Len() == 0 {
		t.order.Remove(e)
		delete(t.waiting, at)
	}
}

// next lets in who has room, in turn. mu is held.
func (t *turns) next() {
	for e := t.order.Front(); e != nil; e = t.order.Front() {
		l := e.Value.(*line)
		first := l.who.Front()
		who := first.Value.(*turn)
		if who.weight > t.free {
			return
		}
		t.free -= who.weight
		t.order.MoveToBack(e)
		t.quit(l.at, first)
		close(who.come)
	}
}
