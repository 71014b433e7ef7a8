package bench

import (
	"fmt"
	"strings"

	"github.com/uniomq/unio/mqtt"
)

// A table of topics has one for each number below ten million, all of the same length, so that a packet is made another's by
// writing digits into it: PREFIX/s07/d0000407/t, and in every hundredth the same s.

// tableTopic returns a topic of the table, and where its digits begin.
func tableTopic(prefix string, i int) (topic string, digits int) {
	return fmt.Sprintf("%s/s%02d/d%07d/t", prefix, i%100, i), len(prefix) + 2
}

// putTableDigits writes the digits of topic i, from where tableTopic says that they begin.
func putTableDigits(p []byte, i int) {
	p[0], p[1] = byte('0'+i/10%10), byte('0'+i%10)
	for at := 10; at >= 4; at-- { // behind "07/d"
		p[at] = byte('0' + i%10)
		i /= 10
	}
}

// tableFilter returns the filter that matches topic i and no other.
func tableFilter(prefix string, i int, mix string) string {
	if mix == MixMixed {
		mix = [...]string{MixExact, MixPlus, MixExact, MixHash}[i%4]
	}
	topic, _ := tableTopic(prefix, i)
	switch stem := strings.TrimSuffix(topic, "/t"); mix {
	case MixPlus:
		return stem + "/+"
	case MixHash:
		return stem + "/#"
	}
	return topic
}

// wildcards has a table of filters, spread over the subscribers, and publishers that publish to each of its topics in turn.
func (r *runner) wildcards() error {
	books := r.shareBooks()
	r.subscribers = make([]*subscriber, r.o.Subscribers)
	err := r.each(r.o.Subscribers, connecting, func(i int) error {
		s, err := r.newSubscriber(i, 0, r.o.Publishers, books[i], client{clean: true, stored: r.o.Stored})
		if err == nil {
			r.keep(s.conn)
			r.subscribers[i] = s
		}
		return err
	})
	if err != nil {
		return err
	}
	err = r.phase(phaseSubscribe, func() (measured, error) {
		err := r.each(r.o.Subscribers, r.o.Subscribers, func(i int) error { return r.subscribeTable(r.subscribers[i], i) })
		return measured{count: r.o.Filters, cost: perSubscription}, err
	})
	if err != nil {
		return err
	}
	if err := r.addTablePublishers(); err != nil {
		return err
	}
	for _, p := range r.publishers {
		p.fan = 1
		p.index = func(seq uint32) int {
			const scatter = 2_654_435_761 // so that a topic's neighbours are not those that were published just before
			return int(uint64(seq*scatter+p.number*104_729) * uint64(r.o.Filters) >> 32)
		}
	}
	return r.publish()
}

// addTablePublishers connects publishers of the table's topics; their index is to be set.
func (r *runner) addTablePublishers() error {
	topic, digits := tableTopic(r.id, 0)
	return r.addPublishers(r.o.Publishers, func(i int) (*publisher, error) { return r.newPublisher(i, topic, digits) })
}

// subscribeTable subscribes one of the subscribers to its part of the table, one filter in a packet, some packets in flight.
func (r *runner) subscribeTable(s *subscriber, number int) error {
	const inFlight = 20
	var out []byte
	for i := number; i < r.o.Filters; {
		out = out[:0]
		sent := 0
		for ; sent < inFlight && i < r.o.Filters; sent++ {
			packet := mqtt.Subscribe{PacketID: uint16(sent + 1), Subscriptions: []mqtt.Subscription{
				{Filter: tableFilter(r.id, i, r.o.Mix), Options: mqtt.SubscribeOptions(r.o.QoS)},
			}}
			out = packet.Append(out, s.version)
			i += r.o.Subscribers
		}
		if err := s.write(out); err != nil {
			return err
		}
		for range sent {
			frame, err := s.next()
			if err != nil {
				return fmt.Errorf("wait for SUBACK: %w", err)
			}
			if err := granted(s.version, frame, r.o.QoS); err != nil {
				return err
			}
		}
		r.operations.Add(int64(sent))
		if err := r.ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}
