package bench

import (
	"fmt"
	"time"
)

// The names of phases.
const (
	phasePublish   = "publish"
	phaseSubscribe = "subscribe"
	phaseStore     = "store"
	phaseSend      = "send"
	phaseQueue     = "queue"
	phaseDrain     = "drain"
	phaseConnect   = "connect"
	phaseHold      = "hold"
)

// oneToOne has pairs of a publisher and a subscriber.
func (r *runner) oneToOne() error {
	if err := r.pairSubscribers(); err != nil {
		return err
	}
	if err := r.pairPublishers(1); err != nil {
		return err
	}
	return r.publish()
}

func (r *runner) pairTopic(i int) string { return fmt.Sprintf("%s/%d", r.id, i) }

func (r *runner) pairSubscribers() error {
	r.subscribers = make([]*subscriber, r.o.Pairs)
	return r.each(r.o.Pairs, connecting, func(i int) error {
		b := &ownBook{first: uint32(i), ledgers: make([]ledger, 1)}
		return r.addSubscriber(i, i, 1, b, r.pairTopic(i))
	})
}

func (r *runner) pairPublishers(fan int) error {
	return r.addPublishers(r.o.Pairs, func(i int) (*publisher, error) {
		p, err := r.newPublisher(i, r.pairTopic(i), -1)
		if err == nil {
			p.fan = fan
		}
		return p, err
	})
}

// addSubscriber connects and subscribes one.
func (r *runner) addSubscriber(i, first, publishers int, b book, filter string) error {
	s, err := r.newSubscriber(i, first, publishers, b, client{clean: true, stored: r.o.Stored})
	if err != nil {
		return err
	}
	r.keep(s.conn)
	if err := s.subscribe(filter, r.o.QoS); err != nil {
		return err
	}
	r.subscribers[i] = s
	return nil
}

// addPublishers connects n publishers.
func (r *runner) addPublishers(n int, create func(i int) (*publisher, error)) error {
	r.publishers = make([]*publisher, n)
	return r.each(n, connecting, func(i int) error {
		p, err := create(i)
		if err != nil {
			return err
		}
		r.keep(p.conn)
		r.publishers[i] = p
		return nil
	})
}

// fan has publishers whose every message goes to every subscriber.
func (r *runner) fan() error {
	topic := r.id + "/all"
	r.subscribers = make([]*subscriber, r.o.Subscribers)
	err := r.each(r.o.Subscribers, connecting, func(i int) error {
		return r.addSubscriber(i, 0, r.o.Publishers, &ownBook{ledgers: make([]ledger, r.o.Publishers)}, topic)
	})
	if err != nil {
		return err
	}
	if err := r.addTopicPublishers(topic, r.o.Subscribers); err != nil {
		return err
	}
	return r.publish()
}

// addTopicPublishers connects publishers of one topic.
func (r *runner) addTopicPublishers(topic string, fan int) error {
	return r.addPublishers(r.o.Publishers, func(i int) (*publisher, error) {
		p, err := r.newPublisher(i, topic, -1)
		if err == nil {
			p.fan = fan
		}
		return p, err
	})
}

// shareBooks returns the books of subscribers that receive messages together.
func (r *runner) shareBooks() []book {
	p := &pool{ledgers: make([]ledger, r.o.Publishers)}
	books := make([]book, r.o.Subscribers)
	for i := range books {
		books[i] = &shareBook{pool: p, first: i == 0, next: make([]uint32, r.o.Publishers)}
	}
	return books
}

// shared has one shared group.
func (r *runner) shared() error {
	topic, books := r.id+"/all", r.shareBooks()
	r.subscribers = make([]*subscriber, r.o.Subscribers)
	err := r.each(r.o.Subscribers, connecting, func(i int) error {
		return r.addSubscriber(i, 0, r.o.Publishers, books[i], "$share/bench/"+topic)
	})
	if err != nil {
		return err
	}
	if err := r.addTopicPublishers(topic, 1); err != nil {
		return err
	}
	return r.publish()
}

// publish starts the readers, warms up, and measures.
func (r *runner) publish() error {
	for _, s := range r.subscribers {
		r.readSubscriber(s)
	}
	for _, p := range r.publishers {
		r.readPublisher(p)
	}
	if err := r.warmUp(func() error { return r.traffic(r.o.WarmUp, 0) }); err != nil {
		return err
	}
	r.delivered.reset()
	r.acknowledged.reset()
	r.lateness.reset()
	sent, received := r.counters()
	var failed error
	err := r.phase(phasePublish, func() (measured, error) {
		failed = r.traffic(r.o.For, r.o.Messages) // what was measured until then is worth to be reported
		s, d := r.counters()
		m := measured{published: int(s - sent), delivered: int(d - received), cost: perMessage}
		m.count = m.delivered
		if len(r.subscribers) == 0 || r.o.Scenario == Slow {
			m.count = m.published
		}
		return m, nil
	})
	if err != nil {
		return err
	}
	r.describe()
	return failed
}

// describe adds the times to the phase.
func (r *runner) describe() {
	p := r.report.last()
	p.Latency, p.Acknowledged, p.Lateness = r.delivered.latency(), r.acknowledged.latency(), r.lateness.latency()
	if r.o.QoS == 0 {
		p.Acknowledged = nil // of pings
	}
	if r.o.Size < stampSize && r.paced {
		p.Latency = nil
	}
}

// traffic publishes for a time or, if it is not 0, a number of messages, and returns when all of it is settled.
func (r *runner) traffic(d time.Duration, messages int) error {
	for _, p := range r.publishers {
		p.base, p.quota = p.seq.Load(), -1
	}
	if r.paced {
		return r.pacedTraffic(d, messages)
	}
	n := len(r.publishers)
	r.expect(n)
	for i, p := range r.publishers {
		if messages > 0 {
			p.quota = messages / n
			if i < messages%n {
				p.quota++
			}
		}
	}
	timeUp := make(<-chan time.Time)
	if messages == 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		timeUp = timer.C
	}
	for _, p := range r.publishers {
		p.burst()
	}
	select {
	case <-timeUp:
	case <-r.ctx.Done():
	case <-r.done:
	case <-r.failed:
	}
	r.stopped.Store(true)
	return r.wait()
}

func (r *runner) pacedTraffic(d time.Duration, messages int) error {
	if messages == 0 {
		messages = max(int(d.Seconds()*r.o.Rate), 1)
	}
	units := r.publishers[0].fan
	if r.o.QoS > 0 {
		units++
	}
	r.expect(messages*units + 1)
	r.start = r.now()
	r.wg.Go(func() { r.pace(messages, units) })
	return r.wait()
}

// slow has subscribers that read nothing. What a publisher needs is measured; what becomes of the messages is the broker's choice.
func (r *runner) slow() error {
	topic := r.id + "/all"
	silent := make([]*subscriber, r.o.Subscribers)
	r.subscribers = silent
	err := r.each(r.o.Subscribers, connecting, func(i int) error {
		return r.addSubscriber(i, 0, r.o.Publishers, &ownBook{ledgers: make([]ledger, r.o.Publishers)}, topic)
	})
	r.subscribers = nil // nobody reads for them
	if err != nil {
		return err
	}
	if err := r.addTopicPublishers(topic, 0); err != nil {
		return err
	}
	for _, p := range r.publishers {
		p.ping = r.o.QoS == 0 && !r.paced
	}
	return r.publish()
}
