package bench

import (
	"context"
	"errors"
	"fmt"

	"github.com/uniomq/unio/mqtt"
)

// retained stores a set of retained messages, has it sent to subscribers, and removes it.
func (r *runner) retained() (err error) {
	if err := r.addTablePublishers(); err != nil {
		return err
	}
	for _, p := range r.publishers {
		p.index = func(seq uint32) int { return int(seq)*r.o.Publishers + int(p.number) }
		p.ping = r.o.QoS == 0
		r.readPublisher(p)
	}
	defer func() {
		r.close()
		err = errors.Join(err, r.removeRetained())
	}()
	err = r.phase(phaseStore, func() (measured, error) {
		err := r.traffic(0, r.o.Messages)
		sent, _ := r.counters()
		return measured{published: int(sent), count: int(sent), cost: perMessage}, err
	})
	if err != nil {
		return err
	}
	r.describe()
	if err := r.ctx.Err(); err != nil {
		return err
	}
	stored, _ := r.counters()
	r.subscribers = make([]*subscriber, r.o.Subscribers)
	err = r.each(r.o.Subscribers, connecting, func(i int) error {
		s, err := r.newSubscriber(i, 0, r.o.Publishers, newSetBook(r.o.Publishers, r.o.Messages), client{clean: true})
		if err == nil {
			r.keep(s.conn)
			r.subscribers[i] = s
		}
		return err
	})
	if err != nil {
		return err
	}
	r.direct = true
	r.expect(int(stored) * r.o.Subscribers)
	return r.receive(phaseSend, func(s *subscriber) error {
		packet := mqtt.Subscribe{PacketID: 1, Subscriptions: []mqtt.Subscription{
			{Filter: r.id + "/#", Options: mqtt.SubscribeOptions(r.o.QoS)},
		}}
		r.readSubscriber(s)
		return s.write(packet.Append(nil, s.version))
	})
}

// receive starts the subscribers and measures until all that is expected has arrived. If something is missing the phase is reported
// as far as it went.
func (r *runner) receive(name string, start func(*subscriber) error) error {
	var failed error
	err := r.phase(name, func() (measured, error) {
		for _, s := range r.subscribers {
			if err := start(s); err != nil {
				return measured{}, err
			}
		}
		failed = r.wait()
		_, received := r.counters()
		return measured{delivered: int(received), count: int(received), cost: perMessage}, nil
	})
	if err != nil {
		return err
	}
	return failed
}

// removeRetained removes what retained has stored. All connections of the run are closed.
func (r *runner) removeRetained() error {
	r.ctx = context.WithoutCancel(r.ctx)
	const inWrite = 500
	c, err := r.connect(r.ctx, client{id: r.id + "-r", clean: true, buffer: smallBuffer})
	if err != nil {
		return fmt.Errorf("remove the retained messages: %w", err)
	}
	defer c.disconnect()
	sent, _ := r.counters()
	for i := 0; i < int(sent); i += inWrite {
		c.out = c.out[:0]
		for j := i; j < min(i+inWrite, int(sent)); j++ {
			topic, _ := tableTopic(r.id, j)
			packet := mqtt.Publish{Retain: true, Topic: []byte(topic)}
			c.out = packet.Append(c.out, c.version)
		}
		if err := c.flush(); err != nil {
			return fmt.Errorf("remove the retained messages: %w", err)
		}
		if err := c.ping(); err != nil { // no more at a time than the broker takes
			return fmt.Errorf("remove the retained messages: %w", err)
		}
	}
	return nil
}

// offline has clients that subscribe and go, publishers whose messages queue for them, and then the clients' return.
func (r *runner) offline() (err error) {
	r.o.Stored = true
	if err := r.pairSubscribers(); err != nil {
		return err
	}
	defer func() {
		r.close()
		err = errors.Join(err, r.removeSessions())
	}()
	for _, s := range r.subscribers {
		s.disconnect()
	}
	if err := r.pairPublishers(0); err != nil {
		return err
	}
	for _, p := range r.publishers {
		r.readPublisher(p)
	}
	err = r.phase(phaseQueue, func() (measured, error) {
		err := r.traffic(0, r.o.Messages)
		sent, _ := r.counters()
		return measured{published: int(sent), count: int(sent), cost: perMessage}, err
	})
	if err != nil {
		return err
	}
	r.describe()
	if err := r.ctx.Err(); err != nil {
		return err
	}
	queued, _ := r.counters()
	r.direct = true
	r.expect(int(queued))
	return r.receive(phaseDrain, func(s *subscriber) error {
		back, err := r.connect(r.ctx, client{id: fmt.Sprintf("%s-s%d", r.id, s.number), stored: true, buffer: len(s.buf)})
		if err != nil {
			return err
		}
		r.keep(back)
		if s.conn = back; !back.sessionPresent {
			return fmt.Errorf("subscriber %d came back and the broker has no session of it", s.number)
		}
		r.readSubscriber(s)
		return nil
	})
}

// removeSessions removes the stored sessions. All connections of the run are closed.
func (r *runner) removeSessions() error {
	r.ctx = context.WithoutCancel(r.ctx)
	return r.each(len(r.subscribers), connecting, func(i int) error {
		c, err := r.connect(r.ctx, client{id: fmt.Sprintf("%s-s%d", r.id, i), clean: true, buffer: smallBuffer})
		if err != nil {
			return fmt.Errorf("remove the sessions: %w", err)
		}
		c.disconnect()
		return nil
	})
}
