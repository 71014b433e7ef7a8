package broker

import (
	"slices"
	"time"

	"github.com/uniomq/unio/mqtt"
	"github.com/uniomq/unio/store"
	"github.com/uniomq/unio/topic"
)

// message is one application message on its way through the broker. Its slices may
// point into a read buffer; kept makes the copy that outlives it, once.
type message struct {
	topic     []byte
	payload   []byte
	forwarded []byte // wire form of the properties that travel unchanged
	expiry    uint32 // Message Expiry Interval, seconds; see hasExpiry
	qos       byte
	retain    bool
	hasExpiry bool
	from      *subscriber // the publisher; nil: the broker
	clientID  string
	username  string
	listener  string
	stored    *store.Message // nil until needed
}

// kept returns the message as something that can be held.
func (m *message) kept(now time.Time) *store.Message {
	if m.stored == nil {
		body := make([]byte, 0, len(m.payload)+len(m.forwarded))
		body = append(append(body, m.payload...), m.forwarded...)
		n := len(m.payload)
		s := m.lent(now)
		s.Topic, s.Payload, s.Properties = string(m.topic), body[:n:n], body[n:]
		m.stored = &s
	}
	return m.stored
}

// lent returns the message, but for its topic, as long as its slices are valid.
func (m *message) lent(now time.Time) store.Message {
	s := store.Message{
		Payload: m.payload, Properties: m.forwarded, ClientID: m.clientID, Username: m.username, Listener: m.listener, QoS: m.qos, Retain: m.retain,
	}
	if m.hasExpiry {
		s.Expires = now.Add(time.Duration(m.expiry) * time.Second)
	}
	return s
}

// another forgets what belongs to the message that was routed before: encoded frames and matches.
func (bt *batch) another() {
	for i := range bt.frames {
		bt.frames[i].ok = false
	}
	bt.matches.Reset()
}

// use makes a kept message the one that is routed.
func (m *message) use(s *store.Message, now time.Time) {
	*m = message{
		topic: []byte(s.Topic), payload: s.Payload, forwarded: s.Properties, qos: s.QoS, retain: s.Retain,
		clientID: s.ClientID, username: s.Username, listener: s.Listener, stored: s,
	}
	if !s.Expires.IsZero() {
		m.hasExpiry, m.expiry = true, remaining(s, now)
	}
}

// remaining is what is left of the message's expiry interval, in seconds, rounded up
// [MQTT-3.3.2-6].
func remaining(m *store.Message, now time.Time) uint32 {
	left := m.Expires.Sub(now)
	if left <= 0 {
		return 0
	}
	return uint32((left + time.Second - 1) / time.Second)
}

// publish makes bt.message the retained message if it says so, and gives every matching
// subscription its copy. It returns how many there were.
// [MQTT-3.3.2-3]
func (b *Broker) publish(bt *batch) int {
	m := &bt.message
	if m.retain && !bt.o.RefuseRetained { // before matching: a subscriber that comes in between gets it twice rather than not at all
		b.retain(bt, m)
	}
	n := b.spread(bt, "")
	for _, g := range bt.matches.Groups {
		if b.share(bt, g) {
			n++
		}
	}
	return n
}

// spread finds the subscriptions that match bt.message, gives each that is not shared its copy, and
// returns how many these were. With a client id it looks at the subscriptions of that client alone.
func (b *Broker) spread(bt *batch, clientID string) int {
	bt.another()
	b.index.Match(bt.message.topic, &bt.matches)
	if clientID != "" {
		bt.matches.Subs = slices.DeleteFunc(bt.matches.Subs, func(s topic.Subscription[*subscriber]) bool { return s.Key.clientID() != clientID })
	}
	if bt.matches.Filters > 1 && !bt.o.AllowDuplicates {
		bt.once()
	}
	for i := range bt.matches.Subs {
		b.deliver(bt, &bt.matches.Subs[i])
	}
	return len(bt.matches.Subs)
}

// mustStore reports whether publishing bt.message would take room in the store. It costs as much as publishing, and is asked when there
// is none.
func (b *Broker) mustStore(bt *batch) bool {
	m := &bt.message
	if m.retain && len(m.payload) > 0 && !isSys(m.topic) {
		return true
	}
	bt.matches.Reset()
	b.index.Match(m.topic, &bt.matches)
	stored := func(s topic.Subscription[*subscriber]) bool {
		return s.Key.ref != 0 && (min(m.qos, mqtt.SubscribeOptions(s.Options).QoS()) > 0 || s.Key.conn.Load() == nil && bt.o.QueueQoS0 || bt.o.UpgradeOutgoingQoS)
	}
	for _, g := range bt.matches.Groups {
		if s, ok := pick(g); ok && stored(s) {
			return true
		}
	}
	return slices.ContainsFunc(bt.matches.Subs, stored)
}

// once leaves clients before v5 a single match, the one with the highest QoS [MQTT-3.3.5-1]. Only subscriptions
// to different filters can be of one client.
// [MQTT-3.3.4-2]
func (bt *batch) once() {
	subs := bt.matches.Subs
	if bt.seen == nil {
		bt.seen = make(map[*subscriber]int)
	}
	kept := subs[:0]
	for _, s := range subs {
		if s.Key.old.Load() {
			if i, ok := bt.seen[s.Key]; ok {
				if mqtt.SubscribeOptions(s.Options).QoS() > mqtt.SubscribeOptions(kept[i].Options).QoS() {
					kept[i] = s
				}
				continue
			}
			bt.seen[s.Key] = len(kept)
		}
		kept = append(kept, s)
	}
	if len(bt.seen) > manySeen {
		bt.seen = nil
	}
	clear(bt.seen)
	clear(subs[len(kept):])
	bt.matches.Subs = kept
}

// manySeen is how many entries of once's map are kept room for.
const manySeen = 1024

// pick is the choice of share, as far as it can be told beforehand.
func pick(g *topic.Group[*subscriber]) (topic.Subscription[*subscriber], bool) {
	s, ok := g.Pick(func(s topic.Subscription[*subscriber]) bool { return s.Key.conn.Load() != nil })
	if !ok {
		s, ok = g.Pick(func(topic.Subscription[*subscriber]) bool { return true })
	}
	return s, ok
}

// What becomes of an offer other than a DropCause.
const (
	delivered = dropCauses + iota // or it waits
	skipped                       // the client was not to get it, or is gone: nothing to count
)

// share gives bt.message to one member of a shared group [MQTT-4.8.2-4], and reports whether there
// is one: to the next that is connected and takes it; if there is none, to the next that is away
// and whose session keeps it. What nobody takes is dropped once.
func (b *Broker) share(bt *batch, g *topic.Group[*subscriber]) (members bool) {
	lost, loser := skipped, ""
	for _, connected := range [...]bool{true, false} {
		_, taken := g.Pick(func(s topic.Subscription[*subscriber]) bool {
			members = true
			if s.Key.conn.Load() != nil != connected {
				return false
			}
			fate := b.offer(bt, &s, g.Shared())
			if fate < dropCauses {
				lost, loser = fate, s.Key.clientID()
			}
			return fate == delivered
		})
		if taken {
			return true
		}
	}
	if lost < dropCauses {
		drop(b, loser, lost, bt.message.topic)
	}
	return members
}

// deliver gives one subscription its copy of bt.message.
func (b *Broker) deliver(bt *batch, s *topic.Subscription[*subscriber]) {
	if fate := b.offer(bt, s, ""); fate < dropCauses {
		drop(b, s.Key.clientID(), fate, bt.message.topic)
	}
}

// offer gives one subscription its copy of bt.message, or says why it does not get it. group is
// the shared subscription by which it comes, if it does: then somebody else can have it instead, and
// what could only be dropped later is not taken.
// [MQTT-3.1.2-5, MQTT-4.5.0-1, MQTT-4.6.0-5, -6, MQTT-4.8.2-3]
func (b *Broker) offer(bt *batch, s *topic.Subscription[*subscriber], group string) DropCause {
	m, sub, o := &bt.message, s.Key, mqtt.SubscribeOptions(s.Options)
	if o.NoLocal() && sub == m.from {
		return skipped // [MQTT-3.8.3-3]
	}
	qos := bt.o.deliveryQoS(m.qos, o)
	d := store.Delivery{Group: group, QoS: qos, SubscriptionID: s.ID, Retain: m.retain && o.RetainAsPublished()} // [MQTT-3.3.1-12, -13]
	c, choice := sub.conn.Load(), group != ""
	stored := sub.ref != 0 && (qos > 0 || c == nil && bt.o.QueueQoS0)
	switch {
	case c == nil:
		if !stored {
			return skipped
		}
	case (choice || !stored) && !c.mayReceive(bt, m.topic, len(m.payload), &d): // else forward asks
		return DropUnauthorized
	case choice && !c.fits(bt, &d):
		return DropTooLarge
	}
	if !stored {
		return c.send(bt, &d)
	}
	d.Message = bt.kept()
	bt.enqueue(sub, d)
	return delivered
}

func (c *conn) mayReceive(bt *batch, name []byte, size int, d *store.Delivery) bool {
	return bt.o.may(Access{Client: c.client, Action: ActionReceive, Topic: name, QoS: d.QoS, Retain: d.Retain, Size: size})
}

// Publish routes a message of the embedding program's own, to be sent with the message's QoS and RETAIN.
func (b *Broker) Publish(m *store.Message) error {
	if err := topic.ValidName(m.Topic); err != nil {
		return err
	}
	bt := b.newBatch()
	defer bt.finish(nil)
	bt.message.use(m, bt.now)
	b.publish(bt)
	return nil
}

// PublishTo gives one client a message of the embedding program's own, once for each subscription of the client to its topic, shared ones aside, and
// reports whether there was one. The message is not retained. It may be called from an Interceptor.
func (b *Broker) PublishTo(clientID string, m *store.Message) (bool, error) {
	if err := topic.ValidName(m.Topic); err != nil {
		return false, err
	}
	bt := b.newBatch()
	defer bt.finish(nil)
	bt.message.use(m, bt.now)
	return clientID != "" && b.spread(bt, clientID) > 0, nil
}
