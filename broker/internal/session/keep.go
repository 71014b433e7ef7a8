package session

import "github.com/uniomq/unio/store"

// kept is a delivery of a shared subscription that is in flight at QoS 1, for another member if the
// session ends before it is acknowledged. Its memory is used again, so that a message that is
// acknowledged soon costs none.
type kept struct {
	delivery store.Delivery
	message  store.Message // if the delivery has none; its slices and its topic are in body
	topic    int           // body[:topic]
	payload  int           // body[topic:payload]; the rest are the properties
	body     []byte
}

// What is held for later use at most.
const (
	keptSpare = 16
	keptBytes = 1 << 10 // each
)

// Keep holds on to a delivery that was just sent at QoS 1, by a session that is not stored. If it
// has no Message, that is m with the topic, which are copied.
func (o *Outbound) Keep(d *store.Delivery, m *store.Message, topic []byte) {
	u := o.use()
	if u.kept == nil {
		u.kept = make(map[uint16]*kept)
	}
	var k *kept
	if last := len(u.spare) - 1; last >= 0 {
		k, u.spare = u.spare[last], u.spare[:last]
	} else {
		k = new(kept)
	}
	k.delivery = *d
	k.delivery.State = store.Sent
	if d.Message == nil {
		k.body = append(append(append(k.body[:0], topic...), m.Payload...), m.Properties...)
		k.topic, k.payload, k.message = len(topic), len(topic)+len(m.Payload), *m
		k.message.Payload, k.message.Properties = nil, nil
	}
	u.kept[d.PacketID] = k
}

// unkeep lets go of what Keep has taken, if it has.
func (u *used) unkeep(id uint16) {
	k := u.kept[id]
	if k == nil {
		return
	}
	delete(u.kept, id)
	if len(u.spare) < keptSpare && cap(k.body) <= keptBytes {
		k.delivery, k.message = store.Delivery{}, store.Message{}
		u.spare = append(u.spare, k)
	}
}

// take returns the delivery, with its message.
func (k *kept) take() store.Delivery {
	d := k.delivery
	if d.Message == nil {
		m := k.message
		m.Topic, m.Payload, m.Properties = string(k.body[:k.topic]), k.body[k.topic:k.payload:k.payload], k.body[k.payload:]
		d.Message = &m
	}
	return d
}

// Orphans returns the deliveries of shared subscriptions that a session leaves behind that was not
// stored, in order: those in flight at QoS 1, and those that wait. The session must not be used any
// more.
func (o *Outbound) Orphans() (all []store.Delivery) {
	u := o.used
	if u == nil {
		return nil
	}
	for i := range u.flights[u.head:] {
		f := &u.flights[u.head+i]
		if k := u.kept[f.id]; f.state == store.Sent && k != nil {
			all = append(all, k.take())
		}
	}
	for i := range u.queue.Len() {
		if d := u.queue.At(i); d.Group != "" {
			all = append(all, *d)
		}
	}
	return all
}
