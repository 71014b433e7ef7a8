package main

import (
	"fmt"
	"sync"

	"github.com/uniomq/unio/mqtt"
)

// publisher sends numbered messages, some at a time, and sends again what was not acknowledged.
type publisher struct {
	name    string
	qos     byte
	version mqtt.Version
	clean   bool

	next     int // number of the next message
	id       uint16
	inFlight []outgoing
	had      bool          // a session was promised
	done     chan struct{} // closed when the world drains and all is acknowledged
	once     sync.Once
}

type outgoing struct {
	number   int
	id       uint16
	released bool // PUBREC came
}

const (
	window  = 10
	quota   = 150 // messages for each life of the broker, so that queues do not grow without bound
	subject = "p/"
)

func (p *publisher) play(w *world) error {
	l, err := dial(w, "pub"+p.name, p.version, p.clean)
	if err != nil {
		return err
	}
	defer l.close()
	if p.had && !l.present {
		w.r.fault("publisher %s: its session is %s", p.name, lost)
	}
	p.had = !p.clean
	for _, s := range w.subscribers {
		select {
		case <-s.ready:
		default:
			return fmt.Errorf("subscriber %s has not subscribed yet", s.name)
		}
	}
	for i := range p.inFlight { // [MQTT-4.4.0-1]
		if m := &p.inFlight[i]; m.released {
			l.send(&mqtt.Ack{Kind: mqtt.PUBREL, PacketID: m.id})
		} else {
			p.send(l, m, !p.clean)
		}
	}
	drain := w.isDraining()
	for left := quota; ; {
		for !drain && left > 0 && len(p.inFlight) < window {
			p.id = p.id%65535 + 1
			p.inFlight = append(p.inFlight, outgoing{number: p.next, id: p.id})
			p.next++
			left--
			p.send(l, &p.inFlight[len(p.inFlight)-1], false)
		}
		if drain && len(p.inFlight) == 0 {
			p.once.Do(func() { close(p.done) })
			l.send(&mqtt.Disconnect{})
			if err := l.flush(); err != nil {
				return err
			}
			return errDone
		}
		packet, err := l.read()
		if err != nil {
			return err
		}
		ack, ok := packet.(*mqtt.Ack)
		if !ok {
			w.r.fault("publisher %s: got %+v", p.name, packet)
			return errStopped
		}
		if err := p.acknowledge(w, l, ack); err != nil {
			return err
		}
	}
}

func (p *publisher) send(l *link, m *outgoing, dup bool) {
	l.send(&mqtt.Publish{
		Dup: dup, QoS: p.qos, PacketID: m.id, Topic: []byte(subject + p.name), Payload: fmt.Append(nil, m.number),
	})
}

func (p *publisher) acknowledge(w *world, l *link, a *mqtt.Ack) error {
	for i := range p.inFlight {
		m := &p.inFlight[i]
		if m.id != a.PacketID {
			continue
		}
		switch {
		case a.Reason.Failed() && a.Kind != mqtt.PUBCOMP: // that may have come before the crash
			w.r.fault("publisher %s: message %d was refused with %v", p.name, m.number, a.Reason)
		case a.Kind == mqtt.PUBREC:
			m.released = true
			l.send(&mqtt.Ack{Kind: mqtt.PUBREL, PacketID: m.id})
			return nil
		}
		if i > 0 && a.Kind == mqtt.PUBACK { // [MQTT-4.6.0-2]
			w.r.fault("publisher %s: PUBACK for %d %s, before that for %d", p.name, m.number, reordered, p.inFlight[0].number)
		}
		p.inFlight = append(p.inFlight[:i:i], p.inFlight[i+1:]...)
		w.r.count(&w.r.acked)
		return nil
	}
	if a.Kind == mqtt.PUBCOMP || a.Kind == mqtt.PUBREC {
		return nil // a repeated one
	}
	w.r.fault("publisher %s: %v for an unknown message, packet id %d", p.name, a.Kind, a.PacketID)
	return errStopped
}
