package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/uniomq/unio/mqtt"
)

// subscriber takes what all publishers send, in a session that is never given up.
type subscriber struct {
	name    string
	version mqtt.Version
	leaves  bool // disconnects after some messages
	rare    int  // connects only in each so many'th life of the broker

	ready    chan struct{} // its subscription was acknowledged
	had      bool
	last     map[string]int  // by publisher: the number received last
	received map[uint16]bool // packet ids at QoS 2, between PUBLISH and PUBREL
}

func (s *subscriber) play(w *world) error {
	drain := w.isDraining()
	if s.had && !drain && s.rare > 0 && w.life()%s.rare != 0 {
		return nil
	}
	if s.had && drain { // then it is known what must come
		for _, p := range w.publishers {
			<-p.done
		}
	}
	l, err := dial(w, "sub"+s.name, s.version, false)
	if err != nil {
		return err
	}
	defer l.close()
	if s.had && !l.present {
		w.r.fault("subscriber %s: its session is %s", s.name, lost)
	}
	if !s.had {
		s.last, s.received = make(map[string]int), make(map[uint16]bool)
		l.send(&mqtt.Subscribe{PacketID: 1, Subscriptions: []mqtt.Subscription{{Filter: subject + "+", Options: 2}}})
		p, err := l.read()
		if err != nil {
			return err
		}
		if _, ok := p.(*mqtt.Suback); !ok {
			return fmt.Errorf("got %+v for SUBSCRIBE", p)
		}
		s.had = true
		close(s.ready)
		if drain {
			return nil
		}
	}
	for n := 0; !drain || !s.complete(w); n++ {
		if s.leaves && !drain && n == 100 {
			return nil // as if the network had failed
		}
		p, err := l.read()
		if err != nil {
			if drain {
				s.missing(w, err)
				return errDone
			}
			return err
		}
		switch p := p.(type) {
		case *mqtt.Publish:
			s.deliver(w, l, p)
		case *mqtt.Ack: // PUBREL
			delete(s.received, p.PacketID)
			l.send(&mqtt.Ack{Kind: mqtt.PUBCOMP, PacketID: p.PacketID})
		}
	}
	l.send(&mqtt.Disconnect{})
	if err := l.flush(); err != nil {
		return err
	}
	return errDone
}

func (s *subscriber) deliver(w *world, l *link, p *mqtt.Publish) {
	switch p.QoS {
	case 1:
		l.send(&mqtt.Ack{Kind: mqtt.PUBACK, PacketID: p.PacketID})
	case 2:
		l.send(&mqtt.Ack{Kind: mqtt.PUBREC, PacketID: p.PacketID})
		if s.received[p.PacketID] {
			w.r.count(&w.r.again)
			if !p.Dup { // [MQTT-3.3.1-1]
				w.r.fault("subscriber %s: packet id %d comes again without DUP", s.name, p.PacketID)
			}
			return
		}
		s.received[p.PacketID] = true
	}
	from := strings.TrimPrefix(string(p.Topic), subject)
	n, err := strconv.Atoi(string(p.Payload))
	if err != nil {
		w.r.fault("subscriber %s: payload %q", s.name, p.Payload)
		return
	}
	want := s.last[from]
	switch {
	case n == want:
		s.last[from]++
		w.r.count(&w.r.received)
	case n > want:
		w.r.fault("subscriber %s: %d of %s after %d: %s or %s", s.name, n, from, want-1, lost, reordered)
		s.last[from] = n + 1
	case p.QoS == 2:
		w.r.fault("subscriber %s: %d of %s after %d: %s", s.name, n, from, want-1, duplicated)
	default:
		w.r.count(&w.r.again)
	}
}

// complete reports whether all has arrived that ever will.
func (s *subscriber) complete(w *world) bool {
	for _, p := range w.publishers {
		if s.last[p.name] < p.next {
			return false
		}
	}
	return len(s.received) == 0
}

func (s *subscriber) missing(w *world, err error) {
	for _, p := range w.publishers {
		if s.last[p.name] < p.next {
			w.r.fault("subscriber %s: messages %d to %d of %s are %s (%v)", s.name, s.last[p.name], p.next-1, p.name, lost, err)
		}
	}
}
