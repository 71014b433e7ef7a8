package broker

import (
	"os"
	"sync"
	"time"

	"github.com/uniomq/unio/mqtt"
)

// keepAliveWheel finds the connections that have been silent for too long. Each
// stands in the slot of the second at which it could first be due. A visit moves it on if it
// was heard of since, so that a packet costs a time stamp and no more.
type keepAliveWheel struct {
	mu    sync.Mutex
	slots [wheelSlots]*conn // heads of doubly linked lists
	now   int               // the slot of this second
	count int               // connections in it
	kick  chan struct{}     // it is no longer empty
}

func (w *keepAliveWheel) init() { w.kick = make(chan struct{}, 1) }

const wheelSlots = 128

// wheelSlot is a connection's place in the wheel; keepAliveWheel.mu guards it.
type wheelSlot struct {
	prev, next *conn
	number     int // from 1; 0: in none
}

// add puts the connection in the slot reached after d, or the last one.
func (w *keepAliveWheel) add(c *conn, d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.insert(c, d)
	if w.count == 1 {
		select {
		case w.kick <- struct{}{}:
		default:
		}
	}
}

func (w *keepAliveWheel) empty() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.count == 0
}

func (w *keepAliveWheel) insert(c *conn, d time.Duration) {
	ticks := min(max(int((d+time.Second-1)/time.Second), 1), wheelSlots-1)
	i := (w.now + ticks) % wheelSlots
	head := w.slots[i]
	c.slot = wheelSlot{next: head, number: i + 1}
	w.count++
	if head != nil {
		head.slot.prev = c
	}
	w.slots[i] = c
}

func (w *keepAliveWheel) remove(c *conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.slot.number == 0 {
		return
	}
	if c.slot.prev != nil {
		c.slot.prev.slot.next = c.slot.next
	} else {
		w.slots[c.slot.number-1] = c.slot.next
	}
	if c.slot.next != nil {
		c.slot.next.slot.prev = c.slot.prev
	}
	c.slot = wheelSlot{}
	w.count--
}

// tick moves on by a second and returns the connections that were silent for too long.
func (w *keepAliveWheel) tick(now time.Time, late []*conn) []*conn {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = (w.now + 1) % wheelSlots
	c := w.slots[w.now]
	w.slots[w.now] = nil
	for c != nil {
		next := c.slot.next
		c.slot = wheelSlot{}
		w.count--
		if left := c.keepAlive - now.Sub(time.Unix(0, c.lastSeen.Load())); left > 0 {
			w.insert(c, left)
		} else {
			late = append(late, c)
		}
		c = next
	}
	return late
}

// runKeepAlive ticks, as long as there is somebody to look at: an idle broker sleeps. [MQTT-3.1.2-22] (5.0; 3.1.1: -24) one and a half times the keep alive
// without a packet closes the connection, as if the network had failed.
func (b *Broker) runKeepAlive() {
	defer b.wg.Done()
	t := time.NewTicker(time.Second)
	defer t.Stop()
	var late []*conn
	for {
		if b.wheel.empty() {
			select {
			case <-b.wheel.kick:
				t.Reset(time.Second)
			case <-b.ctx.Done():
				return
			}
		}
		select {
		case now := <-t.C:
			late = b.wheel.tick(now, late[:0])
			for _, c := range late {
				c.silent()
			}
			clear(late)
		case <-b.ctx.Done():
			return
		}
	}
}

// silent ends a connection of which nothing was heard for too long: since its last packet, or, if
// that is what is missing, up to CONNECT. One that lingers has done so for long enough.
func (c *conn) silent() {
	switch {
	case c.isLingering():
		c.cut()
	case c.accepted.Load():
		c.interrupt(mqtt.KeepAliveTimeout)
	default:
		c.interrupt(os.ErrDeadlineExceeded)
	}
}
