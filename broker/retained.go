package broker

import (
	"sync/atomic"
	"time"

	"github.com/uniomq/unio/store"
)

// retainedMessage is the retained message of a topic. The broker's tree is what is asked; the store keeps a copy
// for the next start.
type retainedMessage struct {
	message *store.Message
	serial  uint64      // counts retained messages: a subscription knows those that came after it
	stale   atomic.Bool // replaced or cleared since
}

// retain makes m its topic's retained message, or clears it if the payload is empty [MQTT-3.3.1-5, -6].
// [MQTT-3.3.1-7]
func (b *Broker) retain(bt *batch, m *message) {
	kept := bt.kept()
	var old, fresh *retainedMessage
	if len(m.payload) == 0 {
		var ok bool
		if old, ok = b.retained.Delete(kept.Topic); !ok {
			return
		}
	} else {
		fresh = &retainedMessage{message: kept, serial: b.serial.Add(1)}
		old, _ = b.retained.Set(kept.Topic, fresh)
	}
	if old != nil {
		old.stale.Store(true)
		b.counters.retainedBytes.Add(-int64(len(old.message.Payload)))
	}
	b.counters.retainedBytes.Add(int64(len(m.payload)))
	if !isSys(m.topic) { // the broker's own state is not what it starts with next time
		bt.retain(kept, fresh)
	}
}

// retaining is what a transaction retains.
type retaining struct {
	message *store.Message
	there   *retainedMessage // in the tree; nil: it was cleared
}

// retain stages what the tree has for a topic.
func (bt *batch) retain(m *store.Message, there *retainedMessage) {
	bt.stage().Retain(m)
	bt.commit.retained = append(bt.commit.retained, retaining{m, there})
}

// reconcile is called when the store has what a transaction retained. Of two publishers to one topic at once the second in the tree may be
// the first in the store: then it is stored again. What was replaced after it was set was marked stale before its successor was committed.
func (b *Broker) reconcile(all []retaining) {
	for _, a := range all {
		if a.there != nil && !a.there.stale.Load() {
			continue
		}
		now := &store.Message{Topic: a.message.Topic}
		there, ok := b.retained.Get(a.message.Topic)
		if ok {
			now = there.message
		}
		if len(now.Payload)+len(a.message.Payload) == 0 {
			continue
		}
		bt := b.newBatch()
		bt.retain(now, there)
		bt.finish(nil)
	}
}

func (b *Broker) recoverRetained(m *store.Message) error {
	b.retained.Set(m.Topic, &retainedMessage{message: m})
	b.counters.retainedBytes.Add(int64(len(m.Payload)))
	return nil
}

// sweepRetained removes retained messages that have expired. Nobody gets them in any case.
func (b *Broker) sweepRetained() {
	defer b.wg.Done()
	t := time.NewTicker(time.Minute)
	defer t.Stop()
	last := time.Now()
	for {
		select {
		case now := <-t.C:
			if every := b.options.Load().RetainedSweep; every > 0 && now.Sub(last) >= every {
				last = now
				b.removeExpired(now)
			}
		case <-b.ctx.Done():
			return
		}
	}
}

func (b *Broker) removeExpired(now time.Time) {
	var expired []*retainedMessage
	b.retained.Match("#", func(r *retainedMessage) bool {
		if r.message.Expired(now) {
			expired = append(expired, r)
		}
		return true
	})
	bt := b.newBatch()
	defer bt.finish(nil)
	for _, r := range expired {
		if _, ok := b.retained.DeleteFunc(r.message.Topic, func(there *retainedMessage) bool { return there == r }); ok {
			r.stale.Store(true)
			b.counters.retainedBytes.Add(-int64(len(r.message.Payload)))
			bt.retain(&store.Message{Topic: r.message.Topic}, nil)
		}
	}
}

// mayStillPublish reports whether the source of a retained message would be allowed to publish it today. The
// embedding program's own messages have no source.
func (bt *batch) mayStillPublish(m *store.Message) bool {
	if bt.o.Authorizer == nil || !bt.o.CheckRetainSource || m.ClientID == "" {
		return true
	}
	return bt.o.may(Access{
		Client: bt.b.source(m), Action: ActionPublish, Topic: []byte(m.Topic),
		QoS: m.QoS, Retain: true, Size: len(m.Payload), Source: true,
	})
}

// source returns the client that a message came from, or what is remembered of it.
func (b *Broker) source(m *store.Message) *Client {
	if c := b.connOf(b.sessionOf(m)); c != nil && c.client.Username == m.Username && c.client.Listener == m.Listener {
		return c.client
	}
	return &Client{ID: m.ClientID, Username: m.Username, HasUsername: m.Username != "", Listener: m.Listener, Partial: true}
}
