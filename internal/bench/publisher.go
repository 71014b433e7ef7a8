package bench

import (
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/uniomq/unio/mqtt"
)

const (
	// writeBytes bounds one write of a publisher's: it holds that many bytes of encoded packets.
	writeBytes = 64 << 10
	// inlineBytes is what any socket's buffer takes, so that to write it does not wait. A larger window gets a goroutine of its
	// own, for its writer may be a subscriber's reader, without which the broker cannot go on.
	inlineBytes = 64 << 10
)

// publisher sends messages. Flat out it sends a window, waits until all of it is settled, that is acknowledged and delivered, and
// sends the next: burst is called by whoever settles the last message. Paced, due is called by the pacer at given times.
type publisher struct {
	*conn
	r      *runner
	number uint32
	qos    int
	fan    int  // how many subscribers a message reaches
	ping   bool // a PINGREQ behind each window; its answer says that the broker has seen all of it

	sending                    sync.Mutex // guards packets and scratch
	packets                    []byte     // as many as one write takes, each of stride bytes
	stride                     int
	stampAt, idAt, topicDigits int              // in a packet; -1: it has none
	index                      func(uint32) int // which topic a sequence number goes to, where there are several
	scratch                    []byte           // packets and a PINGREQ

	seq         atomic.Uint32 // of the next message
	sentAt      atomic.Int64  // when the window was written
	outstanding atomic.Int64  // what is to come until the window is settled
	quota       int           // messages left to send; negative: no limit

	ack     mqtt.Ack
	settled int // by this batch of acknowledgements

	mu      sync.Mutex // guards the rest, which is for paced publishers
	base    uint32     // seq at the start of the schedule
	free    []uint16   // packet identifiers
	flight  []uint32   // sequence numbers by packet identifier
	pending int        // messages that are due and for which no identifier is free
	queue   []byte     // packets to write
}

// newPublisher connects a publisher for a topic. If the topic holds digits that change, digits is where they begin (see
// tableTopic), else -1.
func (r *runner) newPublisher(number int, topic string, digits int) (*publisher, error) {
	c, err := r.connect(r.ctx, client{id: fmt.Sprintf("%s-p%d", r.id, number), clean: true, buffer: smallBuffer})
	if err != nil {
		return nil, err
	}
	p := &publisher{conn: c, r: r, number: uint32(number), qos: r.o.QoS, quota: -1, topicDigits: -1}
	if p.qos > 0 && r.o.Window > c.receiveMaximum {
		c.Close()
		return nil, fmt.Errorf("window %d: the broker allows %d messages in flight", r.o.Window, c.receiveMaximum)
	}
	p.encode(topic, digits, r.o.Size, r.o.Scenario == Retained)
	for i := r.o.Window; i > 0; i-- {
		p.free = append(p.free, uint16(i))
	}
	p.flight = make([]uint32, r.o.Window+1)
	return p, nil
}

// encode prepares the packets.
func (p *publisher) encode(topic string, digits, size int, retain bool) {
	m := mqtt.Publish{QoS: byte(p.qos), Retain: retain, Topic: []byte(topic), PacketID: uint16(min(p.qos, 1)), Payload: make([]byte, size)}
	one := m.Append(nil, p.version)
	p.stride, p.idAt, p.stampAt = len(one), mqtt.PacketIDOffset(one), -1
	if size >= stampSize {
		p.stampAt = len(one) - size
	}
	if digits >= 0 {
		p.topicDigits = len(one) - size - min(p.qos, 1)*2 - len(topic) + digits
		if p.version == mqtt.V5 {
			p.topicDigits-- // the length of the properties, of which there are none
		}
	}
	p.packets = nil
	for range max(min(p.r.o.Window, writeBytes/p.stride), 1) {
		p.packets = append(p.packets, one...)
	}
}

// patch makes a packet that of a message.
func (p *publisher) patch(packet []byte, seq uint32, id uint16) {
	if p.stampAt >= 0 {
		putStamp(packet[p.stampAt:], p.number, seq)
	}
	if p.idAt >= 0 {
		binary.BigEndian.PutUint16(packet[p.idAt:], id)
	}
	if p.topicDigits >= 0 {
		putTableDigits(packet[p.topicDigits:], p.index(seq))
	}
}

// burst sends the next window, if there is to be one.
func (p *publisher) burst() {
	n := p.r.o.Window
	if p.quota >= 0 {
		n = min(n, p.quota)
		p.quota -= n
	}
	if n == 0 || p.r.stopped.Load() {
		p.r.complete(1)
		return
	}
	todo := n * p.fan
	if p.qos > 0 {
		todo += n
	}
	if p.ping {
		todo++
	}
	p.outstanding.Store(int64(todo))
	p.sentAt.Store(p.r.now())
	first := p.seq.Load()
	p.seq.Add(uint32(n))
	if n*p.stride <= inlineBytes {
		p.send(first, n)
		return
	}
	p.r.wg.Go(func() { p.send(first, n) })
}

// send writes n messages. A window may be settled before the write of the one before has returned: the kernel has the bytes already,
// but the buffers are not free.
func (p *publisher) send(first uint32, n int) {
	p.sending.Lock()
	defer p.sending.Unlock()
	batch := len(p.packets) / p.stride
	for sent := 0; sent < n; {
		k := min(batch, n-sent)
		for i := range k {
			p.patch(p.packets[i*p.stride:], first+uint32(sent+i), uint16(sent+i+1))
		}
		sent += k
		out := p.packets[:k*p.stride]
		if sent == n && p.ping {
			p.scratch = append(p.scratch[:0], out...)
			out = (*mqtt.Pingreq)(nil).Append(p.scratch, p.version)
			p.scratch = out
		}
		if err := p.write(out); err != nil {
			p.r.lost(fmt.Errorf("publisher %d: %w", p.number, err))
			return
		}
	}
}

// credit settles a part of the window.
func (p *publisher) credit(n int) {
	if p.r.paced {
		p.r.complete(n)
		return
	}
	if p.outstanding.Add(-int64(n)) == 0 {
		p.burst()
	}
}

// handle takes an acknowledgement.
func (p *publisher) handle(frame []byte) error {
	switch t := mqtt.Type(frame[0] >> 4); t {
	case mqtt.PUBACK, mqtt.PUBREC, mqtt.PUBCOMP:
		if err := p.ack.Decode(p.version, frame); err != nil {
			return err
		}
		id := p.ack.PacketID
		if p.ack.Reason.Failed() {
			return fmt.Errorf("message refused: %w", p.ack.Reason)
		}
		if t == mqtt.PUBREC {
			p.ack = mqtt.Ack{Kind: mqtt.PUBREL, PacketID: id}
			p.out = p.ack.Append(p.out, p.version)
			return nil
		}
		if int(id) >= len(p.flight) {
			return fmt.Errorf("%v for packet %d, which was never used", t, id)
		}
		p.settled++
		if p.r.paced {
			p.release(id)
		}
	case mqtt.PINGRESP:
		p.settled++
	default:
		return unexpected(p.version, frame)
	}
	return nil
}

// settle is the end of a batch of acknowledgements.
func (p *publisher) settle() error {
	n := p.settled
	if n == 0 {
		return nil
	}
	p.settled = 0
	if !p.r.paced {
		p.r.acknowledged.add(time.Duration(p.r.now()-p.sentAt.Load()), uint64(n))
	} else if err := p.catchUp(); err != nil {
		return err
	}
	p.credit(n)
	return nil
}

// due sends a message of the schedule, or leaves it for later if too many are in flight. It is written by flushDue.
func (p *publisher) due() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.qos > 0 && len(p.free) == 0 {
		p.pending++
		return
	}
	p.put()
}

func (p *publisher) put() {
	seq, id := p.seq.Load(), uint16(0)
	p.seq.Store(seq + 1)
	if p.qos > 0 {
		id = p.free[len(p.free)-1]
		p.free = p.free[:len(p.free)-1]
		p.flight[id] = seq
	}
	at := len(p.queue)
	p.queue = append(p.queue, p.packets[:p.stride]...)
	p.patch(p.queue[at:], seq, id)
}

func (p *publisher) flushDue() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.writeQueue()
}

func (p *publisher) writeQueue() error {
	if len(p.queue) == 0 {
		return nil
	}
	err := p.write(p.queue)
	p.queue = p.queue[:0]
	return err
}

// release frees a packet identifier.
func (p *publisher) release(id uint16) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free = append(p.free, id)
	p.r.acknowledged.add(time.Duration(p.r.now()-p.r.intended(p, p.flight[id])), 1)
}

// catchUp sends what was due while no identifier was free.
func (p *publisher) catchUp() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for ; p.pending > 0 && len(p.free) > 0; p.pending-- {
		p.put()
	}
	return p.writeQueue()
}

// unexpected makes an error of a packet that should not have come.
func unexpected(v mqtt.Version, frame []byte) error {
	t := mqtt.Type(frame[0] >> 4)
	if t == mqtt.DISCONNECT {
		var d mqtt.Disconnect
		if err := d.Decode(v, frame); err == nil {
			return fmt.Errorf("the broker disconnected: %w", d.Reason)
		}
	}
	return fmt.Errorf("unexpected %v", t)
}
