package broker

import (
	"encoding/binary"

	"github.com/uniomq/unio/broker/internal/netio"
	"github.com/uniomq/unio/broker/internal/session"
	"github.com/uniomq/unio/mqtt"
	"github.com/uniomq/unio/store"
)

// A frame is bt.message encoded for one kind of receiver. Most receivers of a message
// are of one kind, so that it is encoded once and copied; at QoS 1 and 2 the packet id is patched in.
type frame struct {
	p    []byte // without the payload, if that is to be shared
	head int    // where the payload begins
	size int    // of the whole packet
	id   int    // where the packet id is
	ok   bool
}

// kinds: version (3.x or 5), QoS, RETAIN
const frameKinds = 2 * 3 * 2

// frame returns bt.message as a PUBLISH of the kind.
func (bt *batch) frame(v mqtt.Version, d *store.Delivery) *frame {
	k := int(d.QoS) << 1
	if v == mqtt.V5 {
		k += frameKinds / 2
	}
	if d.Retain {
		k++
	}
	f := &bt.frames[k]
	if !f.ok {
		bt.prepare(&bt.message, d)
		f.p = bt.out.AppendHead(f.p[:0], v)
		f.head, f.size = len(f.p), len(f.p)+len(bt.out.Payload)
		if n := len(bt.out.Payload); n < netio.ShareSize || n < netio.ShareAlone && bt.alone() {
			f.p = append(f.p, bt.out.Payload...)
		}
		f.ok, f.id = true, 0
		if d.QoS > 0 {
			f.id = mqtt.PacketIDOffset(f.p)
		}
	}
	return f
}

// alone reports whether bt.message has one receiver.
func (bt *batch) alone() bool { return len(bt.matches.Subs)+len(bt.matches.Groups) == 1 }

// prepare makes bt.out the PUBLISH of m for d, without anything that only one receiver gets.
// [MQTT-3.3.1-3, MQTT-4.3.1-1, MQTT-4.3.2-2, MQTT-4.3.3-2]
func (bt *batch) prepare(m *message, d *store.Delivery) {
	p := &bt.out
	p.Dup, p.QoS, p.Retain, p.PacketID = false, d.QoS, d.Retain, d.PacketID
	p.Topic, p.Payload, p.Forwarded = m.topic, m.payload, m.forwarded
	p.Properties.Reset()
	if m.hasExpiry {
		p.Properties.SetMessageExpiry(m.expiry)
	}
}

// send gives bt.message to a connected client whose session does not keep it in the store: now,
// or when its window opens. See offer for what it returns.
func (c *conn) send(bt *batch, d *store.Delivery) DropCause {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase != session.Live {
		return skipped
	}
	full := c.buffered() >= bt.maxBuffered()
	if d.QoS == 0 {
		if full {
			return DropBufferFull
		}
	} else {
		d.PacketID = c.sess.NextID()
		if full || c.sess.Waiting() > 0 || !c.sess.CanSend(d.PacketID) {
			if c.b.cramped() {
				return DropQueueFull
			}
			d.Message = bt.kept()
			bt.grown += waitingCost
			c.held = c.held || full
			if !c.sess.Push(d) {
				return DropQueueFull
			}
			return delivered
		}
	}
	if c.lo.MountPoint != "" || c.version == mqtt.V5 && (d.SubscriptionID != 0 || c.sess.UsesAliases()) {
		bt.prepare(&bt.message, d)
		if c.output().Shares(len(bt.out.Payload)) {
			bt.out.Payload = bt.kept().Payload
		}
		if !c.transmit(bt, d) {
			return DropTooLarge
		}
		return delivered
	}
	f := bt.frame(c.version, d)
	if f.size > int(c.maxPacket) {
		c.sess.Skip(d)
		return DropTooLarge
	}
	if d.QoS > 0 {
		binary.BigEndian.PutUint16(f.p[f.id:], d.PacketID)
		c.sent(bt, d, len(bt.message.payload))
	}
	whole := len(f.p) == f.size
	if out := c.output(); !whole || out.Size() > 0 && out.Shares(len(bt.message.payload)) {
		bt.share(c, f.p[:f.head], bt.kept().Payload)
	} else {
		bt.append(c, f.p)
	}
	bt.sent++
	bt.publishBytesSent += int64(len(bt.message.payload))
	if c.b.options.Load().Events.Sent != nil {
		c.tellFrame(append(f.p[:f.head:f.head], bt.message.payload...))
	}
	return delivered
}

// sent notes that d, of bt.message or of its own, is in flight. c.mu is held.
func (c *conn) sent(bt *batch, d *store.Delivery, size int) {
	c.sess.Sent(d, size, store.Sent)
	if d.Group == "" || d.QoS != 1 || c.sub.ref != 0 {
		return
	}
	if d.Message == nil {
		d.Message = bt.message.stored
	}
	if d.Message != nil {
		c.sess.Keep(d, nil, nil)
		return
	}
	m := bt.message.lent(bt.now)
	c.sess.Keep(d, &m, bt.message.topic)
}

// tellFrame reports an encoded PUBLISH to the Sent event.
func (c *conn) tellFrame(frame []byte) {
	if p, err := mqtt.Decode(c.version, frame); err == nil {
		c.tell(p)
	}
}

// transmit sends bt.out to c with what is c's alone: mount point, subscription identifier and topic
// alias. It reports false if that is larger than c accepts. A payload that is to be shared must be one that nobody changes. c.mu is held.
// [MQTT-3.3.4-5]
func (c *conn) transmit(bt *batch, d *store.Delivery) bool {
	p := &bt.out
	if !c.address(p, d) {
		c.sess.Skip(d)
		return false
	}
	if c.version == mqtt.V5 {
		c.alias(p)
	}
	if d.QoS > 0 {
		c.sent(bt, d, len(p.Payload))
	}
	bt.publishTo(c, p)
	bt.sent++
	bt.publishBytesSent += int64(len(p.Payload))
	return true
}

// address gives p the topic and the subscription identifier that c is to see, and reports whether
// it is within c's Maximum Packet Size [MQTT-3.1.2-24, -25].
func (c *conn) address(p *mqtt.Publish, d *store.Delivery) bool {
	p.Topic = c.unmount(p.Topic)
	if c.version == mqtt.V5 && d.SubscriptionID != 0 {
		p.Properties.AddSubscriptionID(d.SubscriptionID) // [MQTT-3.3.4-3]
	}
	return p.Size(c.version) <= int(c.maxPacket)
}

// fits reports whether c accepts a packet with bt.message.
func (c *conn) fits(bt *batch, d *store.Delivery) bool {
	if c.maxPacket == mqtt.MaxPacketSize { // it has named none
		return true
	}
	bt.prepare(&bt.message, d)
	return c.address(&bt.out, d)
}

// publishTo encodes p into the output of c, whose mu is held.
func (bt *batch) publishTo(c *conn, p *mqtt.Publish) {
	out := c.output()
	size := p.Size(c.version)
	if n := len(p.Payload); out.Shares(n) {
		out.End(p.AppendHead(out.Begin(size-n), c.version))
		out.Share(p.Payload)
	} else {
		out.End(p.Append(out.Begin(size), c.version))
	}
	bt.touch(c, size)
	c.tell(p)
}

// alias replaces p's topic by an alias if the client allows for it [MQTT-3.1.2-26].
// [MQTT-3.1.2-27, MQTT-3.3.2-11]
func (c *conn) alias(p *mqtt.Publish) {
	alias, known := c.sess.Alias(p.Topic)
	if alias == 0 {
		return
	}
	if !known && p.Size(c.version)+aliasSize > int(c.maxPacket) {
		return
	}
	p.Properties.SetTopicAlias(alias)
	if known {
		p.Topic = nil
	}
}

// aliasSize is what a topic alias adds to a packet at most: the property, and a longer property length.
const aliasSize = 3 + 3

// pump sends what waits for c, as far as its window and its buffer allow. c.mu is held.
// [MQTT-3.3.4-10]
func (c *conn) pump(bt *batch) {
	if c.phase != session.Live {
		return
	}
	defer func() { // this may be any goroutine
		if v := recover(); v != nil {
			c.b.panicked(c.client, v, nil)
			bt.doomAfter(c, mqtt.ImplementationSpecificError)
		}
	}()
	if bl := c.backlog(); c.sub.ref != 0 && (bl == nil || bl.opening == 0) {
		c.pull(bt)
	}
	for d := c.sess.Front(); d != nil; d = c.sess.Front() {
		d.PacketID = c.sess.NextID()
		if !c.sess.CanSend(d.PacketID) || c.full(bt) {
			return
		}
		c.forward(bt, d)
		c.sess.Pop()
	}
	c.sendRetained(bt)
}

// full reports whether no more may be put into the buffer, and notes that something waits for it. mu is held.
func (c *conn) full(bt *batch) bool {
	full := c.buffered() >= bt.maxBuffered()
	c.held = c.held || full
	return full
}

// pull sends what waits for c in the store. c.mu is held.
func (c *conn) pull(bt *batch) {
	ref := c.sub.ref
	for {
		room := min(c.sess.Room(), cap(bt.deliveries))
		if room == 0 || c.full(bt) {
			return
		}
		ds := c.b.store.Next(ref, c.cursor, bt.deliveries[:0:room])
		sent := uint64(0)
		for i := range ds {
			d := &ds[i]
			if d.QoS > 0 && !c.sess.CanSend(d.PacketID) {
				room = 0
				break
			}
			c.cursor = d.Ordinal
			if c.resume(bt, d) {
				sent = d.Ordinal
			}
			*d = store.Delivery{}
		}
		if len(ds) > 0 {
			c.taken()
		}
		if sent > 0 {
			bt.stage().SetSent(ref, sent)
		}
		if len(ds) < room || room == 0 {
			return
		}
	}
}

// resume sends a delivery from the store, or takes up where it was when an earlier connection
// ended. It reports whether it was sent for the first time. c.mu is held.
// [MQTT-4.3.3-6]
func (c *conn) resume(bt *batch, d *store.Delivery) bool {
	if d.State == store.Released { // [MQTT-4.4.0-1] with the original packet id
		c.sess.Sent(d, 0, store.Released)
		bt.ack.Kind, bt.ack.PacketID, bt.ack.Reason = mqtt.PUBREL, d.PacketID, mqtt.Success
		bt.ack.Properties.Reset()
		bt.packet(c, &bt.ack)
		return false
	}
	sent := c.forward(bt, d)
	if !sent || d.QoS == 0 {
		bt.stage().Settle(c.sub.ref, d.Ordinal)
	}
	return sent && d.State == store.Queued && d.QoS > 0
}

// forward sends a kept message, unless it expired, became forbidden or is too large. c.mu is held.
func (c *conn) forward(bt *batch, d *store.Delivery) bool {
	m := d.Message
	// [MQTT-3.3.2-5] only while delivery has not started.
	if d.State == store.Queued && m.Expired(bt.now) {
		c.sess.Skip(d)
		drop(c.b, c.client.ID, DropExpired, m.Topic)
		return false
	}
	bt.scratch = append(bt.scratch[:0], m.Topic...)
	if !c.mayReceive(bt, bt.scratch, len(m.Payload), d) || c.sub.isRevoked(m.Topic) {
		drop(c.b, c.client.ID, DropUnauthorized, m.Topic)
		return false
	}
	p := &bt.out
	p.Dup = d.QoS > 0 && (d.State == store.Sent || d.Uncertain) // [MQTT-3.3.1-1, -2]
	p.QoS, p.Retain, p.PacketID = d.QoS, d.Retain, d.PacketID
	p.Topic, p.Payload, p.Forwarded = bt.scratch, m.Payload, m.Properties
	p.Properties.Reset()
	if !m.Expires.IsZero() {
		p.Properties.SetMessageExpiry(remaining(m, bt.now))
	}
	if !c.transmit(bt, d) { // as if it were done with
		drop(c.b, c.client.ID, DropTooLarge, m.Topic)
		return false
	}
	return true
}

// wake is called by the store for sessions with something new to pull.
func (b *Broker) wake(owners []any) {
	bt := b.newBatch()
	defer bt.finish(nil)
	for _, o := range owners {
		c := o.(*subscriber).conn.Load()
		if c == nil {
			continue
		}
		c.mu.Lock()
		c.pump(bt)
		c.mu.Unlock()
	}
}
