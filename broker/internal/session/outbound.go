package session

import (
	"math"
	"sort"

	"github.com/uniomq/unio/internal/fifo"
	"github.com/uniomq/unio/mqtt"
	"github.com/uniomq/unio/store"
)

// Outbound is what the session knows of the messages that are sent to its client.
type Outbound struct {
	windowBytes  int64 // 0: none
	limit        store.Limit
	window       int32
	lastID       uint16
	aliasMaximum uint16
	used         *used // nil: nothing was sent at QoS 1 or 2, nothing has waited, no alias was given; most clients only ever get QoS 0
}

// used is what is in flight, what waits, and the aliases.
//
// flights holds the QoS 1 and 2 messages in flight in the order in which they
// were sent, which is the order of their packet ids, going round after 65535. An
// acknowledged one stays as a gap until all before it are acknowledged; gap and
// flight together never span more than 65535 ids, so that no id is used twice.
type used struct {
	flights []flight
	head    int // flights[:head] is done
	count   int // flights that are not gaps
	bytes   int64

	queue       fifo.Queue[store.Delivery] // waits for the window; only of sessions that are not stored
	queuedBytes int64

	aliases []string // by alias-1

	kept  map[uint16]*kept // by packet id, see Keep
	spare []*kept          // for use again
}

// use returns used, which there is from now on.
func (o *Outbound) use() *used {
	if o.used == nil {
		o.used = new(used)
	}
	return o.used
}

type flight struct {
	ordinal uint64
	size    uint32 // payload, bytes
	id      uint16
	qos     byte
	state   store.State // Queued: a gap
}

// Room is how many more QoS 1 and 2 messages may be sent now.
func (o *Outbound) Room() int { return max(int(o.window)-o.InFlight(), 0) }

// InFlight is how many are sent and not acknowledged.
func (o *Outbound) InFlight() int {
	if o.used == nil {
		return 0
	}
	return o.used.count
}

// CanSend reports whether a QoS 1 or 2 delivery with the packet id may be sent now: the
// window is open, in messages and in bytes, and the id is not within what is still in flight. A message that is
// larger than the whole window goes alone.
// [MQTT-4.9.0-1, -2]
func (o *Outbound) CanSend(id uint16) bool {
	u := o.used
	if u == nil {
		return o.window > 0
	}
	if u.count >= int(o.window) || o.windowBytes > 0 && u.bytes >= o.windowBytes {
		return false
	}
	if u.head == len(u.flights) {
		return true
	}
	last := u.flights[len(u.flights)-1].id
	return u.distance(id) > u.distance(last)
}

// distance is how many ids after the oldest in flight an id comes.
func (u *used) distance(id uint16) int {
	d := int(id) - int(u.flights[u.head].id)
	if d < 0 {
		d += math.MaxUint16
	}
	return d
}

// NextID is the packet id for the next QoS 1 or 2 message of a session that is not
// stored: from 1 without gaps. It is used up by Sent.
// [MQTT-2.2.1-4, MQTT-2.3.1-4, MQTT-4.3.2-1, MQTT-4.3.3-1]
func (o *Outbound) NextID() uint16 { return o.lastID%math.MaxUint16 + 1 }

// Sent notes that a QoS 1 or 2 delivery with a payload of size bytes is in flight, in state Sent or Released.
// CanSend must have allowed its packet id.
// [MQTT-4.3.2-3, MQTT-4.3.3-3]
func (o *Outbound) Sent(d *store.Delivery, size int, state store.State) {
	u := o.use()
	u.flights = append(u.flights, flight{ordinal: d.Ordinal, size: uint32(size), id: d.PacketID, qos: d.QoS, state: state})
	u.count++
	u.bytes += int64(size)
	o.lastID = d.PacketID
}

// Skip uses up the packet id of a delivery that is dropped when its turn to be sent has come, as
// Mosquitto does.
func (o *Outbound) Skip(d *store.Delivery) {
	if d.QoS > 0 {
		o.lastID = d.PacketID
	}
}

// Outcome is what an acknowledgement means.
type Outcome struct {
	Ordinal uint64
	Known   bool // a message in flight has the packet id
	Done    bool // and is now done with
	Pubrel  bool // PUBREL is to be sent
}

// Acknowledge takes a PUBACK, PUBREC or PUBCOMP of the client.
// [MQTT-4.3.3-1, MQTT-4.4.0-2, MQTT-4.8.2-6]
func (o *Outbound) Acknowledge(a *mqtt.Ack) (Outcome, error) {
	f := o.used.find(a.PacketID)
	if f == nil {
		// A PUBREC for an unknown id is answered with a PUBREL, unless it is an error itself; the others
		// are ignored.
		return Outcome{Pubrel: a.Kind == mqtt.PUBREC && a.Reason < 0x80}, nil
	}
	out := Outcome{Ordinal: f.ordinal, Known: true}
	switch {
	case a.Kind == mqtt.PUBACK && f.qos == 1, // [MQTT-4.3.2-4]
		a.Kind == mqtt.PUBREC && f.qos == 2 && f.state == store.Sent && a.Reason >= 0x80, // [MQTT-4.3.3-4]
		a.Kind == mqtt.PUBCOMP && f.state == store.Released:
		out.Done = true
		o.used.done(f)
	case a.Kind == mqtt.PUBREC && f.qos == 2 && a.Reason < 0x80:
		f.state = store.Released // [MQTT-4.3.3-7] the message itself must not be sent again
		out.Pubrel = true
	default:
		return out, mqtt.ProtocolError // the wrong acknowledgement for this QoS
	}
	return out, nil
}

func (u *used) find(id uint16) *flight {
	if u == nil || u.head == len(u.flights) || id == 0 {
		return nil
	}
	live := u.flights[u.head:]
	i := 0
	if live[0].id != id { // clients acknowledge in order [MQTT-4.6.0-2]
		want := u.distance(id)
		i = sort.Search(len(live), func(i int) bool { return u.distance(live[i].id) >= want })
	}
	if i == len(live) || live[i].id != id || live[i].state == store.Queued {
		return nil
	}
	return &live[i]
}

func (u *used) done(f *flight) {
	u.unkeep(f.id)
	f.state = store.Queued
	u.count--
	u.bytes -= int64(f.size)
	for u.head < len(u.flights) && u.flights[u.head].state == store.Queued {
		u.head++
	}
	switch {
	case u.head == len(u.flights):
		u.flights, u.head = u.flights[:0], 0
	case u.head >= 64 && u.head > len(u.flights)/2:
		u.flights, u.head = u.flights[:copy(u.flights, u.flights[u.head:])], 0
	}
}

// Push puts a delivery behind those that wait for the window. It reports false,
// and keeps nothing, when the limit is reached: the newest message is the one dropped.
func (o *Outbound) Push(d *store.Delivery) bool {
	u := o.use()
	n, size := o.Waiting(), d.Message.Size()
	if o.limit.Messages > 0 && n >= o.limit.Messages || o.limit.Bytes > 0 && n > 0 && u.queuedBytes+size > o.limit.Bytes {
		return false
	}
	u.queue.Push(*d)
	u.queuedBytes += size
	return true
}

// Waiting is how many deliveries wait for the window.
func (o *Outbound) Waiting() int {
	if o.used == nil {
		return 0
	}
	return o.used.queue.Len()
}

// Front is the delivery that has waited longest, nil if none waits. It is valid until the next Pop or Push.
func (o *Outbound) Front() *store.Delivery {
	if o.Waiting() == 0 {
		return nil
	}
	return o.used.queue.At(0)
}

// Pop removes the delivery that Front returned.
func (o *Outbound) Pop() {
	u := o.used
	u.queuedBytes -= u.queue.At(0).Message.Size()
	u.queue.Pop()
	if u.queue.Len() == 0 {
		u.queue = fifo.Queue[store.Delivery]{} // waiting is the exception: no memory is held for it
	}
}

// Alias returns the topic alias to send for a topic and whether the client knows
// it already. Aliases are handed out in order, first come first served; 0: none is left.
func (o *Outbound) Alias(topic []byte) (alias uint16, known bool) {
	if o.aliasMaximum == 0 {
		return 0, false
	}
	u := o.use()
	for i, t := range u.aliases {
		if t == string(topic) {
			return uint16(i + 1), true
		}
	}
	if len(u.aliases) >= int(o.aliasMaximum) {
		return 0, false
	}
	u.aliases = append(u.aliases, string(topic))
	return uint16(len(u.aliases)), false
}

// UsesAliases reports whether Alias can return anything but 0.
func (o *Outbound) UsesAliases() bool { return o.aliasMaximum > 0 }
