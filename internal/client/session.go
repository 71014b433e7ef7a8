package client

import (
	"slices"

	"github.com/uniomq/unio/mqtt"
)

// Session is the client's part of an MQTT session [MQTT 5.0, 4.1]: messages sent and
// not acknowledged, QoS 2 messages received and not released, and where packet
// identifiers are. The zero value is a new session. It is used by one Client at a time:
// give it to the next when Close or Disconnect of the last one has returned.
type Session struct {
	// outbound holds the messages accepted and not acknowledged, in order. The first
	// sent of them are on their way, the others wait for the window.
	outbound []*Delivery
	sent     int
	taken    idSet               // the packet identifiers of outbound
	inbound  map[uint16]struct{} // QoS 2, until PUBREL
	lastID   uint16
}

// Pending returns the number of messages that are not acknowledged. No Client may be
// using the session.
func (s *Session) Pending() int { return len(s.outbound) }

// resume prepares the session for a new connection: everything is to be sent again, in
// its order [MQTT-4.6.0-1].
func (s *Session) resume(present bool) {
	if s.inbound == nil || !present {
		s.inbound = map[uint16]struct{}{}
	}
	s.sent = 0
	for _, d := range s.outbound {
		d.packet.Properties.Clear(mqtt.PropTopicAlias) // of the connection that is gone
		if !present {                                  // the server knows nothing of them
			d.released, d.tried = false, false
		}
	}
}

// add appends a message that was accepted.
func (s *Session) add(d *Delivery) {
	s.outbound = append(s.outbound, d)
	s.taken.flip(d.packet.PacketID)
}

// find returns the message on its way with the packet identifier and its index, or nil.
func (s *Session) find(id uint16) (*Delivery, int) {
	for i, d := range s.outbound[:s.sent] {
		if d.packet.PacketID == id {
			return d, i
		}
	}
	return nil, 0
}

// remove takes the message at index i, one on its way, out.
func (s *Session) remove(i int) {
	s.taken.flip(s.outbound[i].packet.PacketID)
	s.outbound = slices.Delete(s.outbound, i, i+1)
	s.sent--
}

// idSet is a set of packet identifiers.
type idSet [1 << 16 / 64]uint64

func (s *idSet) has(id uint16) bool { return s[id/64]>>(id%64)&1 == 1 }
func (s *idSet) flip(id uint16)     { s[id/64] ^= 1 << (id % 64) }

// Delivery is a message on its way to the server.
type Delivery struct {
	packet   mqtt.Publish
	tried    bool // it was sent before in this session
	released bool // PUBREC was received: PUBREL is what to repeat
	reason   mqtt.ReasonCode
	done     chan struct{}
}

// PacketID returns the packet identifier. QoS 0 messages are counted with the others,
// though theirs is not sent.
func (d *Delivery) PacketID() uint16 { return d.packet.PacketID }

// Done returns a channel that is closed when the server has acknowledged the message,
// or as soon as it was accepted at QoS 0. It stays open when the connection ends: the
// session's next connection sends the message again.
func (d *Delivery) Done() <-chan struct{} { return d.done }

// Reason returns the server's reason code. It may be called when Done is closed.
func (d *Delivery) Reason() mqtt.ReasonCode { return d.reason }
