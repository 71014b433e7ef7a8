package bench

import (
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/uniomq/unio/mqtt"
)

// subscriber receives messages, keeps account of them, and acknowledges as many at a time as one read brought.
type subscriber struct {
	*conn
	r       *runner
	number  int
	book    book
	first   uint32 // it hears publishers first to first+publishers-1
	several bool

	publish mqtt.Publish
	ack     mqtt.Ack
	now     int64 // when the batch was read; 0: between batches
	arrived []credit
	settled []credit
	// QoS 2, until PUBREL:
	held     []int32  // publisher by packet identifier, if there are several
	repeated []uint16 // packet identifiers of messages that were here before

	received, duplicates, late atomic.Uint64
}

// credit is a number of a publisher's messages.
type credit struct{ publisher, n int }

// count adds a message to a list that has a publisher's messages in a row together.
func count(list []credit, publisher int) []credit {
	if last := len(list) - 1; last >= 0 && list[last].publisher == publisher {
		list[last].n++
		return list
	}
	return append(list, credit{publisher, 1})
}

// newSubscriber connects a subscriber. first and publishers say whom it hears.
func (r *runner) newSubscriber(number, first, publishers int, b book, who client) (*subscriber, error) {
	who.id = fmt.Sprintf("%s-s%d", r.id, number)
	who.buffer = min(max(publishers*r.o.Window*(r.o.Size+64), 2*smallBuffer), largeBuffer)
	c, err := r.connect(r.ctx, who)
	if err != nil {
		return nil, err
	}
	return &subscriber{conn: c, r: r, number: number, book: b, first: uint32(first), several: publishers > 1}, nil
}

// handle takes a packet.
func (s *subscriber) handle(frame []byte) error {
	switch t := mqtt.Type(frame[0] >> 4); t {
	case mqtt.PUBLISH:
		return s.take(frame)
	case mqtt.PUBREL:
		if err := s.ack.Decode(s.version, frame); err != nil {
			return err
		}
		id := s.ack.PacketID
		s.answer(mqtt.PUBCOMP, id)
		publisher := int32(s.first)
		if s.several {
			if int(id) >= len(s.held) {
				return fmt.Errorf("PUBREL for packet %d, which was never used", id)
			}
			publisher = s.held[id]
		}
		if i := slices.Index(s.repeated, id); i >= 0 {
			s.repeated = slices.Delete(s.repeated, i, i+1)
			return nil
		}
		s.settled = count(s.settled, int(publisher))
	case mqtt.SUBACK: // of a subscription that was not waited for
		return granted(s.version, frame, s.r.o.QoS)
	default:
		return unexpected(s.version, frame)
	}
	return nil
}

// take is handle for a message.
func (s *subscriber) take(frame []byte) error {
	m := &s.publish
	if err := m.Decode(s.version, frame); err != nil {
		return err
	}
	if s.now == 0 {
		s.now = s.r.now()
	}
	publisher, v, err := s.judge(m)
	if err != nil {
		return err
	}
	switch m.QoS {
	case 1:
		s.answer(mqtt.PUBACK, m.PacketID)
	case 2:
		s.answer(mqtt.PUBREC, m.PacketID)
	}
	switch v {
	case duplicate:
		s.duplicates.Add(1)
		if m.QoS == 2 {
			s.repeated = append(s.repeated, m.PacketID)
		}
		return nil
	case late:
		s.late.Add(1)
	case fresh:
	}
	s.hold(m, publisher)
	s.arrived = count(s.arrived, publisher)
	if m.QoS < 2 {
		s.settled = count(s.settled, publisher)
	}
	return nil
}

// judge says whose message it is, and whether it is new.
func (s *subscriber) judge(m *mqtt.Publish) (publisher int, v verdict, err error) {
	if len(m.Payload) != s.r.o.Size {
		return 0, 0, fmt.Errorf("payload of %d bytes on %s, expected %d", len(m.Payload), m.Topic, s.r.o.Size)
	}
	if len(m.Payload) < stampSize {
		return int(s.first), fresh, nil
	}
	p, seq := stamp(m.Payload)
	if int(p) >= len(s.r.publishers) || !s.several && p != s.first || int32(s.r.publishers[p].seq.Load()-seq) <= 0 {
		return 0, 0, fmt.Errorf("message %d of publisher %d on %s, which was never sent", seq, p, m.Topic)
	}
	v = s.book.arrive(p, seq)
	if s.r.paced && v != duplicate {
		s.r.delivered.add(time.Duration(s.now-s.r.intended(s.r.publishers[p], seq)), 1)
	}
	return int(p), v, nil
}

// hold notes for PUBREL whose message it was.
func (s *subscriber) hold(m *mqtt.Publish, publisher int) {
	if m.QoS < 2 || !s.several {
		return
	}
	if more := int(m.PacketID) + 1 - len(s.held); more > 0 {
		s.held = append(s.held, make([]int32, more)...)
	}
	s.held[m.PacketID] = int32(publisher)
}

func (s *subscriber) answer(kind mqtt.Type, id uint16) {
	s.ack = mqtt.Ack{Kind: kind, PacketID: id}
	s.out = s.ack.Append(s.out, s.version)
}

// settle is the end of a batch, whose acknowledgements are on their way: its messages are counted, which may make publishers
// send more.
func (s *subscriber) settle() error {
	var n int
	for _, c := range s.arrived {
		n += c.n
		if !s.r.paced && !s.r.direct {
			s.r.delivered.add(time.Duration(s.now-s.r.publishers[c.publisher].sentAt.Load()), uint64(c.n))
		}
	}
	s.received.Add(uint64(n))
	s.now, s.arrived = 0, s.arrived[:0]
	for _, c := range s.settled {
		if s.r.direct {
			s.r.complete(c.n)
		} else {
			s.r.publishers[c.publisher].credit(c.n)
		}
	}
	s.settled = s.settled[:0]
	return nil
}
