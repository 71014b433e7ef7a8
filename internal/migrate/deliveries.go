package migrate

import (
	"fmt"
	"strconv"

	"github.com/uniomq/unio/internal/mosquittodb"
	"github.com/uniomq/unio/mqtt"
	"github.com/uniomq/unio/store"
	"github.com/uniomq/unio/topic"
)

func (p *plan) readDeliveries() error {
	queues := make(map[*session][]*mosquittodb.Delivery)
	for i := range p.db.Deliveries {
		in := &p.db.Deliveries[i]
		s := p.session(in.ClientID, deliveriesAlone)
		switch {
		case s == nil:
		case p.messages[in.Message] == nil:
			p.report.leave(deliveriesMissing, fmt.Sprintf("%s, packet id %d", strconv.Quote(in.ClientID), in.PacketID))
		case in.Direction == mosquittodb.In:
			p.receive(s, in)
		default:
			queues[s] = append(queues[s], in)
		}
	}
	for _, s := range p.order {
		p.place(s, queues[s])
	}
	return nil
}

// receive takes over a message that a client has sent and not released.
func (p *plan) receive(s *session, in *mosquittodb.Delivery) {
	m := p.messages[in.Message]
	if in.QoS != 2 || in.PacketID == 0 {
		p.report.leave(receivedOdd, fmt.Sprintf("%q of %q, QoS %d, packet id %d", m.Topic, in.ClientID, in.QoS, in.PacketID))
		return
	}
	s.Received = append(s.Received, in.PacketID)
	if in.State == mosquittodb.ResendPubcomp {
		return // it was released, and delivered then
	}
	p.received = append(p.received, m)
}

// wasSent reports whether the client may have got the message.
func wasSent(d *mosquittodb.Delivery) bool {
	switch d.State {
	case mosquittodb.WaitForPuback, mosquittodb.WaitForPubrec, mosquittodb.ResendPubrel, mosquittodb.WaitForPubcomp:
		return true
	default:
		return d.Dup && d.State != mosquittodb.Queued
	}
}

// place divides a client's queue into what was sent and what was not. Whatever is before the last that was sent counts as sent, as
// messages go in order.
func (p *plan) place(s *session, queue []*mosquittodb.Delivery) {
	last := -1
	for i, d := range queue {
		if wasSent(d) {
			last = i
		}
	}
	used := make(map[uint16]bool)
	for i, in := range queue {
		m := p.messages[in.Message]
		d := store.Delivery{Message: m, SubscriptionID: in.SubscriptionID, QoS: in.QoS, Retain: in.Retain}
		sent := i <= last && in.QoS > 0 && in.PacketID != 0 && !used[in.PacketID]
		switch {
		case !sent && m.Expired(p.o.Now): // one that was sent is sent again all the same [MQTT 5.0, 3.3.2.3.3]
			p.report.leave(queuedExpired, fmt.Sprintf("%q for %q", m.Topic, s.ClientID))
		case !sent:
			if len(s.queued) == 0 && last < 0 && in.PacketID != 0 {
				s.LastID = in.PacketID - 1 // so that this one gets the same again
			}
			s.queued = append(s.queued, d)
		default:
			used[in.PacketID] = true
			d.PacketID, d.State = in.PacketID, store.Sent
			if in.State == mosquittodb.ResendPubrel || in.State == mosquittodb.WaitForPubcomp {
				d.State = store.Released
			}
			s.sent = append(s.sent, d)
		}
	}
}

// deliverReceived gives the messages that were received and not released to the sessions that subscribe to them.
func (p *plan) deliverReceived() {
	index := topic.NewIndex[*session]()
	for _, s := range p.order {
		for _, sub := range s.Subscriptions {
			index.Subscribe(sub.Filter, topic.Subscription[*session]{Key: s, Options: sub.Options, ID: sub.ID})
		}
	}
	var found topic.Matches[*session]
	for _, m := range p.received {
		if m.Expired(p.o.Now) {
			p.report.leave(receivedExpired, strconv.Quote(m.Topic))
			continue
		}
		if m.Retain {
			p.retain(m)
		}
		found.Reset()
		index.Match([]byte(m.Topic), &found)
		for _, g := range found.Groups {
			if sub, ok := g.Pick(func(topic.Subscription[*session]) bool { return true }); ok {
				p.deliver(m, sub)
			}
		}
		for _, sub := range once(found.Subs) {
			p.deliver(m, sub)
		}
		p.report.Delivered++
	}
}

// once leaves a session one subscription, that with the highest QoS, unless one of them shows that the client speaks MQTT 5, which takes a copy
// for each [MQTT-3.3.5-1], [MQTT-3.3.4-2].
func once(subs []topic.Subscription[*session]) []topic.Subscription[*session] {
	of := make(map[*session]int) // index in out
	var out []topic.Subscription[*session]
	for _, sub := range subs {
		i, again := of[sub.Key]
		five := func(s topic.Subscription[*session]) bool { return s.ID != 0 || s.Options&^3 != 0 }
		switch {
		case !again || five(sub) || five(out[i]):
			of[sub.Key] = len(out)
			out = append(out, sub)
		case mqtt.SubscribeOptions(sub.Options).QoS() > mqtt.SubscribeOptions(out[i].Options).QoS():
			out[i] = sub
		}
	}
	return out
}

func (p *plan) deliver(m *store.Message, sub topic.Subscription[*session]) {
	options := mqtt.SubscribeOptions(sub.Options)
	qos := min(m.QoS, options.QoS())
	if qos == 0 || options.NoLocal() && sub.Key.ClientID == m.ClientID { // at QoS 0 nothing is kept for who is away
		return
	}
	sub.Key.queued = append(sub.Key.queued, store.Delivery{
		Message: m, SubscriptionID: sub.ID, QoS: qos, Retain: m.Retain && options.RetainAsPublished(),
	})
}
