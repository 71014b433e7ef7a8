package main

import (
	"fmt"

	"github.com/uniomq/unio/mqtt"
)

// publisher sends the same window of messages again and again, with packet ids 1 to window: they are free again once
// the window is settled.
type publisher struct {
	*conn
	qos, window int
	publishes   []byte // the window's PUBLISH packets
	releases    []byte // its PUBREL packets
	ack         mqtt.Ack
}

func newPublisher(o options, id, topic string) (*publisher, error) {
	c, err := dial(o, id, 4096)
	if err != nil {
		return nil, err
	}
	p := &publisher{conn: c, qos: o.qos, window: o.window}
	payload := make([]byte, o.size)
	for i := range o.window {
		payload[0] = byte(i) // the place in the window: the subscriber checks it
		m := mqtt.Publish{QoS: byte(o.qos), Topic: []byte(topic), Payload: payload}
		if o.qos > 0 {
			m.PacketID = uint16(i + 1)
		}
		p.publishes = m.Append(p.publishes, o.version)
		release := mqtt.Ack{Kind: mqtt.PUBREL, PacketID: uint16(i + 1)}
		p.releases = release.Append(p.releases, o.version)
	}
	return p, nil
}

// send writes one window.
func (p *publisher) send() error { return p.write(p.publishes) }

// settle completes the acknowledgements of a window that was sent.
func (p *publisher) settle() error {
	switch p.qos {
	case 1:
		return p.acknowledged(mqtt.PUBACK)
	case 2:
		if err := p.acknowledged(mqtt.PUBREC); err != nil {
			return err
		}
		if err := p.write(p.releases); err != nil {
			return err
		}
		return p.acknowledged(mqtt.PUBCOMP)
	}
	return nil
}

// acknowledged reads one acknowledgement for each message of the window.
func (p *publisher) acknowledged(kind mqtt.Type) error {
	for i := range p.window {
		frame, err := p.next()
		if err != nil {
			return fmt.Errorf("wait for %v %d of %d: %w", kind, i+1, p.window, err)
		}
		if mqtt.Type(frame[0]>>4) != kind {
			return fmt.Errorf("packet of type %d, want %d", frame[0]>>4, kind)
		}
		p.ack.Kind = kind
		if err := p.ack.Decode(p.version, frame); err != nil {
			return err
		}
		if p.ack.Reason >= 0x80 {
			return fmt.Errorf("message %d refused with %#x", p.ack.PacketID, byte(p.ack.Reason))
		}
	}
	return nil
}

// subscriber receives messages and acknowledges them, as many at a time as one read brought.
type subscriber struct {
	*conn
	qos, window int
	ordered     bool // there is one publisher, so that places in the window follow each other
	place       int  // expected of the next message
	publish     mqtt.Publish
	ack         mqtt.Ack
}

func newSubscriber(o options, id, topic string) (*subscriber, error) {
	c, err := dialSession(o, id, readBuffer(o), o.stored)
	if err != nil {
		return nil, err
	}
	if err := c.subscribe(topic, o.qos); err != nil {
		return nil, err
	}
	return &subscriber{conn: c, qos: o.qos, window: o.window, ordered: o.scenario != "fan-in"}, nil
}

// readBuffer returns a size that takes a window in one read, within reason.
func readBuffer(o options) int {
	in := o.window
	if o.scenario == "fan-in" {
		in *= o.pairs
	}
	return min(max(in*(o.size+64), 2048), 256<<10)
}

// receive takes n messages, until the last is acknowledged; at QoS 2 until it is released. Each message that is
// complete is counted with done, which may be nil.
func (s *subscriber) receive(n int, done func(int)) error {
	for complete := 0; complete < n; {
		before := complete
		frame, err := s.next()
		if err != nil {
			return fmt.Errorf("wait for message %d of %d: %w", complete+1, n, err)
		}
		switch t := mqtt.Type(frame[0] >> 4); t {
		case mqtt.PUBLISH:
			if err := s.take(frame); err != nil {
				return err
			}
			if s.qos < 2 {
				complete++
			}
		case mqtt.PUBREL:
			s.ack.Kind = mqtt.PUBREL
			if err := s.ack.Decode(s.version, frame); err != nil {
				return err
			}
			s.answer(mqtt.PUBCOMP, s.ack.PacketID)
			complete++
		default:
			return fmt.Errorf("packet of type %d, want PUBLISH", t)
		}
		if done != nil && complete > before {
			done(complete - before)
		}
	}
	return s.flush()
}

func (s *subscriber) take(frame []byte) error {
	m := &s.publish
	if err := m.Decode(s.version, frame); err != nil {
		return err
	}
	if s.ordered {
		if int(m.Payload[0]) != s.place {
			return fmt.Errorf("message %d of a window, want %d: lost, repeated or out of order", m.Payload[0], s.place)
		}
		s.place = (s.place + 1) % s.window
	}
	switch m.QoS {
	case 1:
		s.answer(mqtt.PUBACK, m.PacketID)
	case 2:
		s.answer(mqtt.PUBREC, m.PacketID)
	}
	return nil
}

func (s *subscriber) answer(kind mqtt.Type, id uint16) {
	s.ack = mqtt.Ack{Kind: kind, PacketID: id}
	s.out = s.ack.Append(s.out, s.version)
}
