package main

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/uniomq/unio/mqtt"
)

// retainer changes retained messages, one at a time for each topic. A number that 5 divides clears the topic.
type retainer struct {
	acked, sent [topics]int
}

const topics = 10

func (r *retainer) play(w *world) error {
	l, err := dial(w, "retainer", mqtt.V5, true)
	if err != nil {
		return err
	}
	defer l.close()
	if err := r.check(w, l); err != nil {
		return err
	}
	if w.isDraining() {
		return errDone
	}
	for k := range r.sent {
		r.publish(l, k)
	}
	for {
		p, err := l.read()
		if err != nil {
			return err
		}
		if a, ok := p.(*mqtt.Ack); ok && a.Kind == mqtt.PUBACK {
			k := int(a.PacketID - 1)
			r.acked[k] = r.sent[k]
			r.publish(l, k)
		}
	}
}

func (r *retainer) publish(l *link, k int) {
	r.sent[k]++
	m := &mqtt.Publish{QoS: 1, Retain: true, PacketID: uint16(k + 1), Topic: fmt.Append(nil, "r/", k)}
	if r.sent[k]%5 != 0 {
		m.Payload = fmt.Append(nil, r.sent[k])
	}
	l.send(m)
}

// check compares what is retained with what was acknowledged, or sent since.
func (r *retainer) check(w *world, l *link) error {
	l.send(&mqtt.Subscribe{PacketID: 100, Subscriptions: []mqtt.Subscription{{Filter: "r/+"}}})
	l.send(&mqtt.Pingreq{})
	l.send(&mqtt.Unsubscribe{PacketID: 101, Filters: []string{"r/+"}})
	got := [topics]int{}
	for {
		p, err := l.read()
		if err != nil {
			return err
		}
		if m, ok := p.(*mqtt.Publish); ok {
			k, err := strconv.Atoi(strings.TrimPrefix(string(m.Topic), "r/"))
			if err != nil || !m.Retain {
				w.r.fault("retainer: got %+v", m)
				return errStopped
			}
			if got[k], err = strconv.Atoi(string(m.Payload)); err != nil {
				w.r.fault("retainer: got %+v", m)
			}
		}
		if _, ok := p.(*mqtt.Unsuback); ok {
			break
		}
	}
	for k, n := range got {
		ok := false
		for v := r.acked[k]; v <= r.sent[k]; v++ {
			ok = ok || n == v || n == 0 && v%5 == 0
		}
		if !ok {
			w.r.fault("retained message of r/%d is %d, which is %s: %d was acknowledged, %d sent", k, n, stale, r.acked[k], r.sent[k])
		}
		if n == r.sent[k] {
			r.acked[k] = n
		}
		w.r.count(&w.r.checks)
	}
	return nil
}

// changer changes the subscriptions of its session, one at a time, and looks what they are by publishing to them.
type changer struct {
	has    [topics]bool
	open   int // topic of the change that was not acknowledged, -1: none
	to     bool
	had    bool
	life   int
	random *rand.Rand
}

const endTopic = "c/end"

func (c *changer) play(w *world) error {
	if c.random == nil {
		c.random, c.open = rand.New(rand.NewPCG(w.seed, 1000)), -1
	}
	l, err := dial(w, "changer", mqtt.V311, false)
	if err != nil {
		return err
	}
	defer l.close()
	if c.had && !l.present {
		w.r.fault("changer: its session is %s", lost)
		c.had, c.has = false, [topics]bool{}
	}
	if !c.had {
		if err := c.change(l, endTopic, true); err != nil {
			return err
		}
		c.had = true
	}
	if err := c.check(w, l); err != nil {
		return err
	}
	for !w.isDraining() {
		k := c.random.IntN(topics)
		c.open, c.to = k, !c.has[k]
		if err := c.change(l, fmt.Sprint("c/", k), c.to); err != nil {
			return err
		}
		c.has[k], c.open = c.to, -1
	}
	return errDone
}

// change subscribes or unsubscribes, and waits for the acknowledgement.
func (c *changer) change(l *link, filter string, on bool) error {
	if on {
		l.send(&mqtt.Subscribe{PacketID: 1, Subscriptions: []mqtt.Subscription{{Filter: filter, Options: 1}}})
	} else {
		l.send(&mqtt.Unsubscribe{PacketID: 1, Filters: []string{filter}})
	}
	for {
		p, err := l.read()
		if err != nil {
			return err
		}
		switch p := p.(type) {
		case *mqtt.Suback, *mqtt.Unsuback:
			return nil
		case *mqtt.Publish:
			l.send(&mqtt.Ack{Kind: mqtt.PUBACK, PacketID: p.PacketID})
		}
	}
}

// check publishes to all topics and looks which come back.
func (c *changer) check(w *world, l *link) error {
	c.life++
	mark := fmt.Sprint(c.life)
	for k := range topics {
		l.send(&mqtt.Publish{QoS: 1, PacketID: uint16(k + 1), Topic: fmt.Append(nil, "c/", k), Payload: []byte(mark)})
	}
	l.send(&mqtt.Publish{QoS: 1, PacketID: topics + 1, Topic: []byte(endTopic), Payload: []byte(mark)})
	var got [topics]bool
	for end := false; !end; {
		p, err := l.read()
		if err != nil {
			return err
		}
		m, ok := p.(*mqtt.Publish)
		if !ok {
			continue
		}
		l.send(&mqtt.Ack{Kind: mqtt.PUBACK, PacketID: m.PacketID})
		if string(m.Payload) != mark {
			continue // of an earlier time
		}
		if end = string(m.Topic) == endTopic; end {
			break
		}
		k, err := strconv.Atoi(strings.TrimPrefix(string(m.Topic), "c/"))
		if err != nil {
			return err
		}
		got[k] = true
	}
	for k := range got {
		if k == c.open {
			c.has[k] = got[k] // either is right
		} else if got[k] != c.has[k] {
			w.r.fault("changer: subscription to c/%d is %v, which is %s", k, got[k], stale)
		}
		w.r.count(&w.r.checks)
	}
	c.open = -1
	return nil
}

// quitter begins a session and gives it up again, in turns.
type quitter struct {
	stored  bool // what was acknowledged last
	unknown bool // a CONNECT was not answered
	clean   bool
}

func (q *quitter) play(w *world) error {
	for !w.isDraining() {
		q.clean = !q.clean
		l, err := dial(w, "quitter", mqtt.V311, q.clean)
		if err != nil {
			q.unknown = true
			return err
		}
		want := q.stored && !q.clean
		if !q.unknown && l.present != want {
			w.r.fault("quitter: session present is %v, which is %s: clean session was %v, and a session stored %v", l.present, stale, q.clean, q.stored)
		}
		if q.clean && l.present {
			w.r.fault("quitter: session present with clean session")
		}
		w.r.count(&w.r.checks)
		q.stored, q.unknown = !q.clean, false
		l.send(&mqtt.Disconnect{})
		err = l.flush()
		l.close()
		if err != nil {
			return err
		}
	}
	return errDone
}
