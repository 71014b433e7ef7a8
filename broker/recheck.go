package broker

import (
	"github.com/uniomq/unio/mqtt"
	"github.com/uniomq/unio/topic"
)

// Recheck asks the Authorizer again whether connected clients may have the subscriptions that they have, and ends those for which
// it says no. It is to be called when the Authorizer's rules have changed. which says whose; nil: everybody's. It returns how many have ended.
//
// A client is not told: MQTT has no packet for it. What waits for it and matches no other subscription of its is not delivered. A session
// without a connection is asked about when its client comes back, since only then it is known who that is. All else is asked when it
// happens: a subscription stays, without deliveries, while the client may subscribe and not receive.
func (b *Broker) Recheck(which func(*Client) bool) (ended int) {
	b.rechecks.Add(1)
	b.mu.Lock()
	conns := make([]*conn, 0, len(b.conns))
	for c := range b.conns {
		if c.accepted.Load() && (which == nil || which(c.client)) {
			conns = append(conns, c)
		}
	}
	b.mu.Unlock()
	for _, c := range conns {
		if c.sub.conn.Load() == c {
			ended += b.recheckOne(c)
		}
	}
	return ended
}

func (b *Broker) recheckOne(c *conn) int {
	bt := b.newBatch()
	defer bt.finish(nil)
	defer func() { // it is not the connection's goroutine
		if v := recover(); v != nil {
			b.panicked(c.client, v, nil)
			bt.end(c, mqtt.ImplementationSpecificError)
		}
	}()
	return c.recheck(bt)
}

// recheck asks about all subscriptions of c.
func (c *conn) recheck(bt *batch) (ended int) {
	if bt.o.Authorizer == nil {
		return 0
	}
	for _, filter := range c.sub.filters.all() {
		s, ok := c.b.index.Get(filter, c.sub)
		if !ok {
			continue
		}
		group, rest, _ := topic.SplitShare(filter)
		a := Access{Client: c.client, Action: ActionSubscribe, Topic: []byte(rest), Share: group, QoS: mqtt.SubscribeOptions(s.Options).QoS()}
		if !bt.o.may(a) && c.revoke(bt, filter) {
			ended++
		}
	}
	return ended
}

// revoke ends a subscription, and what waits because of it. It reports whether there was one.
func (c *conn) revoke(bt *batch, filter string) bool {
	_, rest, _ := topic.SplitShare(filter)
	c.sub.revoke(rest)
	if c.ending(filter) {
		c.mu.Lock()
		c.unexpect(filter)
		c.mu.Unlock()
	}
	return c.unsubscribe(bt, filter)
}

// revoke remembers a filter for the messages that wait because of it, maybe until another connection.
func (s *subscriber) revoke(filter string) {
	if s.revoked.Load() == nil {
		s.revoked.CompareAndSwap(nil, new(filterSet))
	}
	s.revoked.Load().add(filter)
}

// isRevoked reports whether a message waits because of nothing but subscriptions that were revoked.
func (s *subscriber) isRevoked(name string) bool {
	revoked := s.revoked.Load()
	return revoked != nil && revoked.any(func(filter string) bool { return topic.Match(filter, name) }) &&
		!s.filters.any(func(filter string) bool {
			_, rest, _ := topic.SplitShare(filter)
			return topic.Match(rest, name)
		})
}
