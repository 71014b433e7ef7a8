package broker

import (
	"errors"
	"fmt"

	"github.com/uniomq/unio/broker/internal/session"
	"github.com/uniomq/unio/mqtt"
	"github.com/uniomq/unio/store"
	"github.com/uniomq/unio/topic"
)

// handleSubscribe takes a SUBSCRIBE. The index knows a subscription before the store does, so that nothing falls
// between the retained messages and the live ones; SUBACK leaves when the store has it.
// [MQTT-2.2.1-6, MQTT-2.3.1-7, MQTT-3.8.4-1, -2, -4, -5, -7, MQTT-3.9.3-1]
func (c *conn) handleSubscribe(frame []byte, bt *batch) error {
	var p mqtt.Subscribe
	if err := p.Decode(c.version, frame); err != nil {
		return err
	}
	c.received(&p)
	var id uint32
	if p.Properties.Has(mqtt.PropSubscriptionID) {
		id = p.Properties.SubscriptionIDs[0]
	}
	for i := range p.Subscriptions { // [MQTT-3.8.3-1] a malformed filter spoils the packet, so it comes first
		if err := c.checkFilter(p.Subscriptions[i].Filter, p.Subscriptions[i].Options); err != nil {
			return err
		}
	}
	out := ack{kind: mqtt.SUBACK, id: p.PacketID, reasons: make([]mqtt.ReasonCode, len(p.Subscriptions))}
	last := lastOf(p.Subscriptions)
	for i := range p.Subscriptions {
		s := &p.Subscriptions[i]
		if last != nil && last[s.Filter] != i {
			continue
		}
		if !bt.accepts(s.Filter) {
			out.reasons[i] = mqtt.TopicFilterInvalid
			continue
		}
		var retained bool
		out.reasons[i], retained = c.subscribe(bt, c.mountFilter(s.Filter), s.Options, id)
		out.opens = out.opens || retained
		out.because(bt)
	}
	for i := range p.Subscriptions {
		s := &p.Subscriptions[i]
		if j := last[s.Filter]; j > i {
			if out.reasons[i] = out.reasons[j]; !out.reasons[j].Failed() {
				out.reasons[i] = mqtt.ReasonCode(min(s.Options.QoS(), c.lo.maxQoS()))
			}
		}
	}
	if out.opens {
		c.begin(bt)
	}
	bt.acks = append(bt.acks, out)
	return nil
}

// lastOf returns where the filters of a packet stand for the last time: each counts once, as if one
// SUBSCRIBE had replaced the other. Nil: there is one.
func lastOf(all []mqtt.Subscription) map[string]int {
	if len(all) == 1 {
		return nil
	}
	last := make(map[string]int, len(all))
	for i := range all {
		last[all[i].Filter] = i
	}
	return last
}

// begin has the retained messages of new subscriptions wait for SUBACK. The first of them that go
// through the queue of a stored session are put there with the subscriptions.
func (c *conn) begin(bt *batch) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.backlog().opening++
	if c.sub.ref != 0 && c.phase < session.Closing {
		c.sendRetained(bt)
	}
}

// accepts reports whether the broker takes a filter that checkFilter lets pass.
func (bt *batch) accepts(filter string) bool {
	_, rest, _ := topic.SplitShare(filter)
	return topic.Levels(rest) <= bt.o.MaxTopicLevels && topic.ValidFilter(filter) == nil
}

// checkFilter finds what makes a SUBSCRIBE or UNSUBSCRIBE malformed or a protocol error. What begins
// as a shared subscription and is none is neither before 5.0, which has no shared subscriptions.
func (c *conn) checkFilter(filter string, o mqtt.SubscribeOptions) error {
	err := topic.ValidFilter(filter)
	if err != nil && (c.version == mqtt.V5 || !errors.Is(err, topic.ErrShare)) {
		return fmt.Errorf("%w: %w", err, mqtt.MalformedPacket)
	}
	if _, _, shared := topic.SplitShare(filter); shared && o.NoLocal() {
		return mqtt.ProtocolError // [MQTT-3.8.3-4]
	}
	if c.version < mqtt.V5 && tooLong(c, filter) {
		return errMountedTooLong
	}
	return nil
}

// subscribe adds one subscription and returns its reason code, and whether retained messages may follow SUBACK.
// [MQTT-3.2.2-10, MQTT-3.8.4-4]
func (c *conn) subscribe(bt *batch, filter string, o mqtt.SubscribeOptions, id uint32) (code mqtt.ReasonCode, retained bool) {
	b := c.b
	group, rest, shared := topic.SplitShare(filter)
	if len(filter) > topic.MaxBytes { // behind its mount point
		return mqtt.TopicFilterInvalid, false
	}
	a := Access{Client: c.client, Action: ActionSubscribe, Topic: []byte(rest), Share: group, QoS: o.QoS()}
	rules := b.rechecks.Load()
	if !c.mayChange(bt, a) {
		return mqtt.NotAuthorized, false
	}
	if err := c.mayAdd(bt, filter, shared); err != nil {
		c.tellLimit(bt, filter, err)
		return mqtt.QuotaExceeded, false
	}
	qos := min(o.QoS(), c.lo.maxQoS())
	o = o&^3 | mqtt.SubscribeOptions(qos)
	if c.client.Bridge {
		o = o.Bridged()
	}
	s := store.Subscription{Filter: filter, Options: byte(o), ID: id}
	added := b.subscribe(c.sub, s)
	if b.rechecks.Load() != rules && !c.mayChange(bt, a) { // Recheck may have come too early to see it
		c.revoke(bt, filter)
		return mqtt.NotAuthorized, false
	}
	if c.sub.ref != 0 {
		bt.stage().Subscribe(c.sub.ref, s)
	}
	if event := b.options.Load().Events.Subscribed; event != nil {
		event(c.client, filter, qos)
	}
	// [MQTT-3.3.1-9, -10, -11] a shared subscription gets no retained messages [MQTT-4.8.2]
	if shared || o.RetainHandling() == 2 || o.RetainHandling() == 1 && !added {
		return mqtt.ReasonCode(qos), false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expect(filter, rest, o, id)
	return mqtt.ReasonCode(qos), true
}

// Causes of subscriptions that are refused with QuotaExceeded.
var (
	errMaxSubscriptions       = errors.New("max_subscriptions exceeded")
	errMaxSharedSubscriptions = errors.New("max_shared_subscriptions exceeded")
	errNoRoom                 = errors.New("no room for another subscription: the disk is full, or memory is short")
)

// mayAdd says why the session may not have one more subscription. One that it has may always be
// replaced: clients subscribe again when they come back.
func (c *conn) mayAdd(bt *batch, filter string, shared bool) error {
	f := &c.sub.filters
	if f.has(filter) {
		return nil
	}
	all, groups := f.count()
	switch limit, groupLimit := bt.o.MaxSubscriptions, bt.o.MaxSharedSubscriptions; {
	case limit > 0 && all >= limit:
		return errMaxSubscriptions
	case shared && groupLimit > 0 && groups >= groupLimit:
		return errMaxSharedSubscriptions
	case c.b.short.Load() || c.sub.ref != 0 && c.b.full():
		return errNoRoom
	}
	return nil
}

// tellLimit tells the observer of a subscription that a limit refuses, and the client, if it may be
// told.
func (c *conn) tellLimit(bt *batch, filter string, err error) {
	if event := bt.o.Events.Limited; event != nil {
		event(c.client, filter, err)
	}
	if c.version == mqtt.V5 && !c.terse {
		bt.why = err.Error()
	}
}

// subscribe puts a subscription into the index and reports whether it is new; one to the same filter is replaced [MQTT-3.8.4-3].
func (b *Broker) subscribe(sub *subscriber, s store.Subscription) (added bool) {
	added = b.index.Subscribe(s.Filter, topic.Subscription[*subscriber]{Key: sub, ID: s.ID, Options: s.Options})
	if added {
		sub.filters.add(s.Filter)
		b.counters.shared.Add(int64(sharedCount(s.Filter)))
	}
	return added
}

// bridge makes the subscriptions of a resumed session those of a bridge: they may be from a time when
// its client had not set the bridge bit. They stay so if it leaves the bit out next time, as any
// options stay until the client subscribes anew.
func (c *conn) bridge(bt *batch) {
	if !c.client.Bridge {
		return
	}
	for _, filter := range c.sub.filters.all() {
		s, ok := c.b.index.Get(filter, c.sub)
		if o := mqtt.SubscribeOptions(s.Options); ok && o.Bridged() != o {
			kept := store.Subscription{Filter: filter, Options: byte(o.Bridged()), ID: s.ID}
			c.b.subscribe(c.sub, kept)
			if c.sub.ref != 0 {
				bt.stage().Subscribe(c.sub.ref, kept)
			}
		}
	}
}

// unsubscribe takes a subscription out of the index and reports whether there was one.
// [MQTT-3.10.4-2, -3]
func (b *Broker) unsubscribe(sub *subscriber, filter string) bool {
	if !b.index.Unsubscribe(filter, sub) {
		return false
	}
	b.counters.shared.Add(-int64(sharedCount(filter)))
	return true
}

// sharedCount is 1 for the filter of a shared subscription, else 0.
func sharedCount(filter string) int {
	if _, _, shared := topic.SplitShare(filter); shared {
		return 1
	}
	return 0
}

// handleUnsubscribe takes an UNSUBSCRIBE [MQTT-3.10.4].
// [MQTT-3.10.4-1, -4, -5, -6]
func (c *conn) handleUnsubscribe(frame []byte, bt *batch) error {
	var p mqtt.Unsubscribe
	if err := p.Decode(c.version, frame); err != nil {
		return err
	}
	c.received(&p)
	for _, filter := range p.Filters {
		if err := c.checkFilter(filter, 0); err != nil {
			return err
		}
	}
	out := ack{kind: mqtt.UNSUBACK, id: p.PacketID, reasons: make([]mqtt.ReasonCode, len(p.Filters))}
	for i, filter := range p.Filters {
		filter = c.mountFilter(filter)
		if len(filter) > topic.MaxBytes {
			out.reasons[i] = mqtt.TopicFilterInvalid
			continue
		}
		group, rest, _ := topic.SplitShare(filter)
		if !c.mayChange(bt, Access{Client: c.client, Action: ActionUnsubscribe, Topic: []byte(rest), Share: group}) {
			out.reasons[i] = mqtt.NotAuthorized
			out.because(bt)
			continue
		}
		if !c.unsubscribe(bt, filter) {
			out.reasons[i] = mqtt.NoSubscriptionExisted
		} else if c.ending(filter) {
			out.ends = append(out.ends, filter)
		}
	}
	bt.acks = append(bt.acks, out)
	return nil
}

// unsubscribe ends a subscription and reports whether there was one.
func (c *conn) unsubscribe(bt *batch, filter string) bool {
	if !c.b.unsubscribe(c.sub, filter) {
		return false
	}
	c.sub.filters.remove(filter)
	if c.sub.ref != 0 {
		bt.stage().Unsubscribe(c.sub.ref, filter)
	}
	if event := bt.o.Events.Unsubscribed; event != nil {
		event(c.client, filter)
	}
	return true
}
