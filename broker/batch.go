package broker

import (
	"sync"
	"time"

	"github.com/uniomq/unio/broker/internal/netio"
	"github.com/uniomq/unio/mqtt"
	"github.com/uniomq/unio/store"
	"github.com/uniomq/unio/topic"
)

// batch is the work that one read causes: the store transaction, the acknowledgements that wait for it, and the
// connections to flush. It also holds what is needed to decode, match and
// encode without allocating. It belongs to one goroutine.
type batch struct {
	b     *Broker
	o     *Options
	now   time.Time
	dirty []*conn // got output; flushed by finish, or by round
	round *round  // nil: there is none

	doomed []*conn // to be closed by flush, for their doom

	commit *commit // nil until something is staged
	acks   []ack   // owed to the connection that was read from
	owed   int     // PUBACKs among them
	grown  int64   // bytes that wait now and did not before, see room.go

	message    message // being routed
	matches    topic.Matches[*subscriber]
	seen       map[*subscriber]int // where in matches, see once
	frames     [frameKinds]frame
	deliveries []store.Delivery // pulled from the store
	found      []*retainedMessage
	steps      int // names that it may still look at for retained messages

	handling  []byte       // the packet that is handled
	publish   mqtt.Publish // decoded
	ack       mqtt.Ack     // decoded
	out       mqtt.Publish // to encode
	forwarded []byte
	scratch   []byte
	mounted   []byte // a topic behind its mount point
	why       string // the client was just denied something, and is to know why; see because

	traffic
}

var batches = sync.Pool{New: func() any {
	return &batch{deliveries: make([]store.Delivery, 0, 32), found: make([]*retainedMessage, 0, retainedChunk)}
}}

func (b *Broker) newBatch() *batch {
	bt := batches.Get().(*batch)
	bt.b, bt.o, bt.now, bt.steps = b, b.options.Load(), time.Now(), searchSteps
	return bt
}

// finish commits, acknowledges and flushes, in this order; c is the connection that was read
// from, or nil. The batch must not be used any more.
func (bt *batch) finish(c *conn) {
	for bt.settleUp(c); bt.commit != nil; { // what was acknowledged made room for more
		bt.settleUp(nil)
	}
	bt.b.counters.add(&bt.traffic) // before a client can see what is counted
	if bt.grown > 0 {
		bt.b.take(bt.grown)
		bt.grown = 0
	}
	if bt.round != nil {
		bt.round.take(bt)
	} else {
		bt.flush()
	}
	bt.message, bt.handling, bt.why = message{}, nil, ""
	bt.matches.Reset()
	bt.publish.Payload, bt.out.Payload, bt.out.Topic = nil, nil, nil
	bt.b, bt.o, bt.round = nil, nil, nil
	batches.Put(bt)
}

// flush writes what was appended to connections.
func (bt *batch) flush() {
	bt.dirty = flushAll(bt.dirty)
	bt.endDoomed()
}

// flushAll flushes connections, and returns the list emptied.
func flushAll(dirty []*conn) []*conn {
	for i, c := range dirty {
		c.flush(false)
		dirty[i] = nil
	}
	return dirty[:0]
}

// endDoomed closes the connections that are to be closed.
func (bt *batch) endDoomed() {
	for i, c := range bt.doomed {
		c.interrupt(c.doom)
		bt.doomed[i] = nil
	}
	bt.doomed = bt.doomed[:0]
}

// round is what an event loop does between two looks at what is ready: it reads from several connections, and what they have for the same
// one is written together.
type round struct {
	dirty []*conn
	bytes int // received since the last flush
}

// roundBytes is how much is received before what it caused is written, whoever else is ready: more at once would save little, and clients
// have nothing to do meanwhile.
const roundBytes = 4 << 10

// take takes over what a batch has to flush.
func (r *round) take(bt *batch) {
	r.dirty = append(r.dirty, bt.dirty...)
	clear(bt.dirty)
	bt.dirty = bt.dirty[:0]
	bt.endDoomed() // it flushes them
	if r.bytes >= roundBytes {
		r.Flush()
	}
}

// Flush writes what has been collected. r may be nil.
func (r *round) Flush() {
	if r == nil {
		return
	}
	r.dirty = flushAll(r.dirty)
	r.bytes = 0
}

// append puts a frame into the output of c, whose mu is held.
func (bt *batch) append(c *conn, frame []byte) {
	out := c.output()
	out.Add(frame)
	if out.Size() > netio.BlockSize {
		bt.grown += int64(len(frame))
	}
	bt.touch(c, len(frame))
}

// share puts a PUBLISH into the output of c, whose mu is held: its head, and its payload, which
// nobody changes any more.
func (bt *batch) share(c *conn, head, payload []byte) {
	out := c.output()
	out.Add(head)
	out.Share(payload)
	bt.grown += waitingCost
	bt.touch(c, len(head)+len(payload))
}

// packet encodes p into the output of c, whose mu is held. It reports false if that is more than the client takes at once: then nothing is sent, and
// the connection ends when the batch is flushed.
// [MQTT-3.1.2-24]
func (bt *batch) packet(c *conn, p mqtt.Packet) bool {
	out := c.output()
	dst := out.Begin(packetRoom)
	n := len(dst)
	dst = p.Append(dst, c.version)
	size := len(dst) - n
	if size > int(c.maxPacket) {
		out.End(dst[:n])
		bt.doomAfter(c, mqtt.PacketTooLarge)
		return false
	}
	out.End(dst)
	bt.touch(c, size)
	c.tell(p)
	return true
}

// packetRoom is the size in bytes that most packets besides PUBLISH do not exceed.
const packetRoom = 64

// doomAfter ends the connection of c, whose mu is held, when the batch is flushed.
func (bt *batch) doomAfter(c *conn, why mqtt.ReasonCode) {
	c.doom = why
	bt.doomed = append(bt.doomed, c)
}

// end is doomAfter for a connection whose mu is not held.
func (bt *batch) end(c *conn, why mqtt.ReasonCode) {
	c.mu.Lock()
	defer c.mu.Unlock()
	bt.doomAfter(c, why)
}

// touch notes that c got a packet of n bytes of output.
func (bt *batch) touch(c *conn, n int) {
	c.out.Ended()
	bt.bytesSent += int64(n)
	bt.packetsSent++
	bt.mark(c)
}

// mark has c flushed, whose mu is held.
func (bt *batch) mark(c *conn) {
	if !c.dirty {
		c.dirty = true
		bt.dirty = append(bt.dirty, c)
	}
}

// commands is how many commands are staged.
func (bt *batch) commands() int {
	if bt.commit == nil {
		return 0
	}
	return len(bt.commit.tx.Commands)
}

// enqueue stages a delivery to a stored session.
func (bt *batch) enqueue(sub *subscriber, d store.Delivery) {
	bt.stage().Enqueue(sub.ref, d, bt.o.queueLimit())
	bt.commit.queued = append(bt.commit.queued, sub)
}

// stage returns the batch's store transaction.
func (bt *batch) stage() *store.Tx {
	if bt.commit == nil {
		bt.commit = bt.b.newCommit()
	}
	return &bt.commit.tx
}
