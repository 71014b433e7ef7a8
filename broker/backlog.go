package broker

import (
	"runtime"
	"slices"

	"github.com/uniomq/unio/mqtt"
	"github.com/uniomq/unio/store"
	"github.com/uniomq/unio/topic"
)

// A new subscription gets the retained messages that match it. They are looked for when there is
// room for them: a subscription costs a cursor, however many there are. What was retained after the
// subscription is left out, since it went the ordinary way.
//
// Messages at QoS 1 and 2 for a stored session go through its queue, as all others do, a few at a
// time: the first of them with the subscription, in one transaction, and the next when these have
// been sent. When the connection ends, as many of the rest as the queue takes go there.
//
// A search that is long leaves the event loop: drain goes on with it, on half of the processors at
// most.

// backlog is the subscriptions of a connection whose retained messages are not all on their way.
// conn.mu guards it.
type backlog struct {
	cursors  []*retainedCursor // in the order in which they are served
	byFilter map[string]*retainedCursor
	opening  int    // SUBSCRIBEs whose SUBACK has not left: nothing is sent before it
	staged   bool   // messages are on their way into the store's queue
	until    uint64 // the ordinal of the last one there: the next follow when it has been sent
	full     bool   // the queue had no room: the client must take something first
	takes    int    // how often it has
	search   bool   // drain is to go on with a long search, and nobody else
}

// retainedCursor is where a subscription is in the retained messages.
type retainedCursor struct {
	topic.Cursor
	filter  string // of the subscription
	options mqtt.SubscribeOptions
	id      uint32 // subscription identifier
	serial  uint64 // of the newest retained message at the time of the subscription
	ending  bool   // until UNSUBACK
}

// stagedRetained is what a transaction puts into a queue on account of a cursor.
type stagedRetained struct {
	c        *conn
	cursor   *retainedCursor
	serial   uint64 // cursor's: it may have begun anew
	takes    int    // the backlog's
	from, to int    // among the transaction's commands
}

const (
	// searchSteps is how many names are looked at by a batch, and drainSteps by one of drain's.
	searchSteps = 512
	drainSteps  = 4096
	// restSteps is how many are looked at when a connection ends.
	restSteps = 64 << 10
	// retainedChunk is how many messages are found, or put into a queue, at a time.
	retainedChunk = 64
	// backlogBuffer is how many bytes of retained messages are put into an output at a time.
	backlogBuffer = 64 << 10
)

// backlog is nil if there is none. mu is held.
func (c *conn) backlog() *backlog {
	if c.waits == nil {
		return nil
	}
	return c.waits.backlog
}

// expect has a subscription get its retained messages, from the first one on. mu is held.
func (c *conn) expect(filter, rest string, o mqtt.SubscribeOptions, id uint32) {
	w := c.withWaits()
	if w.backlog == nil {
		w.backlog = &backlog{byFilter: make(map[string]*retainedCursor)}
	}
	bl := w.backlog
	cur := bl.byFilter[filter]
	if cur == nil {
		cur = new(retainedCursor)
		bl.cursors, bl.byFilter[filter] = append(bl.cursors, cur), cur
		c.b.counters.retainedPending.Add(1)
	}
	*cur = retainedCursor{Cursor: topic.NewCursor(rest), filter: filter, options: o, id: id, serial: c.b.serial.Load()}
}

// ending notes that a subscription ends that may have retained messages left, and reports whether
// there may be some. They are sent up to UNSUBACK: clients that send SUBSCRIBE and UNSUBSCRIBE
// together get what is there.
func (c *conn) ending(filter string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	bl := c.backlog()
	if bl == nil || bl.byFilter[filter] == nil {
		return false
	}
	bl.byFilter[filter].ending = true
	return true
}

// unexpect is for subscriptions that have ended. mu is held.
func (c *conn) unexpect(filters ...string) {
	bl := c.backlog()
	if bl == nil {
		return
	}
	for _, filter := range filters {
		if cur := bl.byFilter[filter]; cur != nil && cur.ending { // it has not begun anew
			c.b.remove(bl, slices.Index(bl.cursors, cur))
		}
	}
}

func (b *Broker) remove(bl *backlog, i int) {
	delete(bl.byFilter, bl.cursors[i].filter)
	if i == 0 {
		bl.cursors[0] = nil
		bl.cursors = bl.cursors[1:]
	} else {
		bl.cursors = slices.Delete(bl.cursors, i, i+1)
	}
	b.counters.retainedPending.Add(-1)
}

// takeBacklog returns what is left when the connection has ended.
func (c *conn) takeBacklog() (left []*retainedCursor) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if bl := c.backlog(); bl != nil {
		left, c.waits.backlog = bl.cursors, nil
		c.b.counters.retainedPending.Add(-int64(len(left)))
	}
	return left
}

// sendRetained sends the retained messages that there is room for. It may look at bt.steps names
// for that. mu is held.
func (c *conn) sendRetained(bt *batch) {
	bl := c.backlog()
	if bl == nil || bl.staged || bl.full || bl.search || c.cursor < bl.until {
		return
	}
	chunk := bt.commands() + chunkOf(bt.o.queueLimit())
	for i := 0; i < len(bl.cursors); {
		cur := bl.cursors[i]
		if bt.steps <= 0 {
			if bl.opening == 0 {
				bl.search, c.held = true, true
				bt.mark(c)
			}
			return
		}
		found, more := c.b.retained.Next(&cur.Cursor, bt.found[:0], &bt.steps)
		from := bt.commands()
		room := c.sendFound(bt, cur, found, chunk)
		clear(found)
		if to := bt.commands(); to > from {
			bl.staged = true
			bt.commit.staged = append(bt.commit.staged, stagedRetained{c, cur, cur.serial, bl.takes, from, to})
		}
		switch {
		case !room && (bl.opening == 0 || bt.commands() == chunk):
			return
		case !room || !more && bl.staged: // it is done when it is known that the queue had room
			i++
		case !more:
			c.b.remove(bl, i)
		}
	}
}

// sendFound sends, or puts into the session's queue, what a search has found, and reports false if
// there is no room for all of it: then the search goes back. chunk is how many commands the
// transaction may have. mu is held.
func (c *conn) sendFound(bt *batch, cur *retainedCursor, found []*retainedMessage, chunk int) bool {
	for _, r := range found {
		m := r.message
		qos, ok := c.wants(bt, cur, r)
		if !ok {
			continue
		}
		d := cur.delivery(m, qos)
		if c.sub.ref != 0 && qos > 0 {
			if bt.commands() == chunk {
				cur.Back(m.Topic)
				return false
			}
			bt.enqueue(c.sub, d)
			continue
		}
		full := c.buffered() >= min(backlogBuffer, bt.maxBuffered())
		if full || c.backlog().opening > 0 || qos > 0 && !c.sess.CanSend(c.sess.NextID()) {
			c.held = c.held || full
			cur.Back(m.Topic)
			return false
		}
		if qos > 0 {
			d.PacketID = c.sess.NextID()
		}
		c.forward(bt, &d)
	}
	return true
}

// wants reports whether a retained message is for the subscription, and at which QoS.
func (c *conn) wants(bt *batch, cur *retainedCursor, r *retainedMessage) (qos byte, ok bool) {
	m, o := r.message, cur.options
	if r.serial > cur.serial || o.NoLocal() && c.b.sessionOf(m) == c.sub.key {
		return 0, false
	}
	if !bt.mayStillPublish(m) {
		drop(c.b, c.client.ID, DropUnauthorized, m.Topic)
		return 0, false
	}
	return bt.o.deliveryQoS(m.QoS, o), true
}

// delivery is what the subscription gets of a retained message [MQTT-3.3.1-8].
func (cur *retainedCursor) delivery(m *store.Message, qos byte) store.Delivery {
	return store.Delivery{Message: m, SubscriptionID: cur.id, QoS: qos, Retain: true}
}

// chunkOf is how many messages go into a queue with that limit at a time. With a limit of bytes it is
// one: a large message that is refused must not be overtaken by a smaller one.
func chunkOf(limit store.Limit) int {
	switch {
	case limit.Bytes > 0:
		return 1
	case limit.Messages == 0:
		return retainedChunk
	}
	return min(retainedChunk, max(limit.Messages/2, 1))
}

// arrived takes note of what has become of the messages that a transaction was to put into queues:
// where there was no room, the search goes back.
func arrived(staged []stagedRetained, tx *store.Tx) {
	for _, s := range staged {
		s.c.mu.Lock()
		bl := s.c.backlog()
		if bl == nil {
			s.c.mu.Unlock()
			continue
		}
		bl.staged = false
		back := s.cursor.serial != s.serial
		for i := s.from; i < s.to; i++ {
			cmd := &tx.Commands[i]
			if cmd.Dropped && !back {
				s.cursor.Back(cmd.Delivery.Message.Topic)
				back, bl.full = true, bl.takes == s.takes // else there may be room meanwhile
			}
			cmd.Dropped = false // it comes again
			bl.until = max(bl.until, cmd.Ordinal)
		}
		s.c.mu.Unlock()
	}
}

// taken is called when the client has taken something of the session's queue. mu is held.
func (c *conn) taken() {
	if bl := c.backlog(); bl != nil {
		bl.full = false
		bl.takes++
	}
}

// goOn sends on what waited for arrived.
func goOn(bt *batch, staged []stagedRetained) {
	var last *conn
	for _, s := range staged {
		if s.c != last {
			last = s.c
			last.mu.Lock()
			last.pump(bt)
			last.mu.Unlock()
		}
	}
}

// keepRest puts retained messages that a client has not been sent into the queue of its session,
// as far as that takes them: its connection has ended.
func (c *conn) keepRest(bt *batch, left []*retainedCursor) {
	steps := restSteps
	limit := bt.o.MaxQueuedMessages
	if limit == 0 {
		limit = restSteps
	}
	for _, cur := range left {
		for more := true; more; {
			var found []*retainedMessage
			found, more = c.b.retained.Next(&cur.Cursor, bt.found[:0], &steps)
			for _, r := range found {
				if qos, ok := c.wants(bt, cur, r); ok && qos > 0 {
					bt.enqueue(c.sub, cur.delivery(r.message, qos))
				}
			}
			clear(found)
			if steps <= 0 || bt.commands() >= limit {
				return
			}
		}
	}
}

// searches is how many connections may search in drain at once: half of the processors have time
// for everybody else.
func searches() int { return max(runtime.GOMAXPROCS(0)/2, 1) }
