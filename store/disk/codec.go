package disk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/uniomq/unio/store"
)

// errMalformed is what a value gives that is not as it was written. Checksums of the library below find damage first; this
// is for what they cannot see.
var errMalformed = errors.New("malformed value")

// decoder takes values apart. After the first mistake everything it returns is zero.
type decoder struct {
	p   []byte
	bad bool
}

func (d *decoder) byte() byte {
	if len(d.p) == 0 {
		d.bad = true
		return 0
	}
	b := d.p[0]
	d.p = d.p[1:]
	return b
}

func (d *decoder) uint() uint64 {
	v, n := binary.Uvarint(d.p)
	if n <= 0 {
		d.bad, d.p = true, nil
		return 0
	}
	d.p = d.p[n:]
	return v
}

// bytes returns the next n bytes, which are the value's own.
func (d *decoder) bytes(n uint64) []byte {
	if n > uint64(len(d.p)) {
		d.bad, d.p = true, nil
		return nil
	}
	b := d.p[:n]
	d.p = d.p[n:]
	return b
}

func (d *decoder) time() time.Time {
	if v := d.uint(); v != 0 {
		return time.Unix(0, int64(v))
	}
	return time.Time{}
}

func (d *decoder) err() error {
	if d.bad {
		return errMalformed
	}
	return nil
}

// appendTime appends a time in nanoseconds since 1970, 0 for the zero time.
func appendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return append(b, 0)
	}
	return binary.AppendUvarint(b, uint64(t.UnixNano()))
}

const flagRetain = 1 << 2 // beside the QoS in bits 0-1

// appendMessage appends the lengths of a message's strings, the strings, and the payload, which ends the value.
func appendMessage(b []byte, m *store.Message) []byte {
	flags := m.QoS
	if m.Retain {
		flags |= flagRetain
	}
	b = appendTime(append(b, flags), m.Expires)
	for _, n := range [...]int{len(m.Topic), len(m.ClientID), len(m.Username), len(m.Listener), len(m.Properties)} {
		b = binary.AppendUvarint(b, uint64(n))
	}
	b = append(append(append(append(b, m.Topic...), m.ClientID...), m.Username...), m.Listener...)
	return append(append(b, m.Properties...), m.Payload...)
}

func (d *decoder) message() *store.Message {
	flags := d.byte()
	m := &store.Message{QoS: flags & 3, Retain: flags&flagRetain != 0, Expires: d.time()}
	topic, client, user, listener, properties := d.uint(), d.uint(), d.uint(), d.uint(), d.uint()
	names := string(d.bytes(topic + client + user + listener)) // one allocation for all
	if properties > uint64(len(d.p)) {
		d.bad = true
	}
	if d.bad || topic+client+user+listener != uint64(len(names)) {
		d.bad = true
		return m
	}
	m.Topic, names = names[:topic], names[topic:]
	m.ClientID, names = names[:client], names[client:]
	m.Username, m.Listener = names[:user], names[user:]
	body := append([]byte(nil), d.p...)
	m.Properties, m.Payload = body[:properties:properties], body[properties:]
	d.p = nil
	return m
}

func decodeMessage(p []byte) (*store.Message, error) {
	d := decoder{p: p}
	m := d.message()
	return m, d.err()
}

// entry is a delivery in a session's queue, on the disk and in memory.
type entry struct {
	ordinal uint64
	total   uint64         // bytes of all messages up to this one since the queue began
	body    uint64         // number of the message's body if others refer to it, too; 0: it lies in the entry
	message *store.Message // nil: handed out, and not needed any more
	group   string         // as in store.Delivery
	subID   uint32
	id      uint16 // the packet id given out last: at QoS 0 an earlier entry's
	qos     byte
	retain  bool
	state   store.State
	settled bool
}

// Flags of an entry beside flagRetain. Entries without flagGroup are as they were before there was one.
const (
	flagShared = 1 << 3 // of a body
	flagGroup  = 1 << 4
)

func appendEntry(b []byte, e *entry) []byte {
	flags := e.qos
	if e.retain {
		flags |= flagRetain
	}
	if e.body != 0 {
		flags |= flagShared
	}
	if e.group != "" {
		flags |= flagGroup
	}
	b = binary.AppendUvarint(append(b, flags), uint64(e.id))
	b = binary.AppendUvarint(b, uint64(e.subID))
	b = binary.AppendUvarint(b, e.total)
	if e.group != "" {
		b = append(binary.AppendUvarint(b, uint64(len(e.group))), e.group...)
	}
	if e.body != 0 {
		return binary.AppendUvarint(b, e.body)
	}
	return appendMessage(b, e.message)
}

// decodeEntry leaves the message of a shared body to be read.
func decodeEntry(ordinal uint64, p []byte, withMessage bool) (entry, error) {
	d := decoder{p: p}
	flags := d.byte()
	e := entry{ordinal: ordinal, qos: flags & 3, retain: flags&flagRetain != 0}
	e.id, e.subID, e.total = uint16(d.uint()), uint32(d.uint()), d.uint()
	if flags&flagGroup != 0 {
		e.group = string(d.bytes(d.uint()))
	}
	switch {
	case flags&flagShared != 0:
		e.body = d.uint()
	case withMessage:
		e.message = d.message()
	}
	if ordinal == 0 {
		d.bad = true
	}
	return e, d.err()
}

// progress is how far a queue was sent, and the totals there, so that its length is known without reading it.
type progress struct {
	ordinal uint64
	total   uint64
	id      uint16
}

func appendProgress(b []byte, p progress) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(binary.AppendUvarint(b, p.ordinal), p.total), uint64(p.id))
}

func decodeProgress(p []byte) (progress, error) {
	d := decoder{p: p}
	return progress{ordinal: d.uint(), total: d.uint(), id: uint16(d.uint())}, d.err()
}

const (
	flagAttached = 1 << iota
	flagWill
	flagWillExpiry
)

// appendSession appends what a session is besides what it holds.
func appendSession(b []byte, s *session) []byte {
	var flags byte
	if s.attached {
		flags |= flagAttached
	}
	if s.will != nil {
		flags |= flagWill
		if s.will.HasExpiry {
			flags |= flagWillExpiry
		}
	}
	b = binary.AppendUvarint(append(b, flags), uint64(s.expiry))
	b = binary.AppendUvarint(appendTime(b, s.expires), s.uncertain)
	b = append(binary.AppendUvarint(b, uint64(len(s.key))), s.key...)
	if s.will != nil {
		b = appendTime(binary.AppendUvarint(b, uint64(s.will.Delay)), s.will.At)
		b = appendMessage(binary.AppendUvarint(b, uint64(s.will.Expiry)), s.will.Message)
	}
	return b
}

func decodeSession(ref store.Ref, p []byte) (*session, error) {
	d := decoder{p: p}
	flags := d.byte()
	s := &session{ref: ref, expiry: uint32(d.uint()), expires: d.time(), uncertain: d.uint(), attached: flags&flagAttached != 0}
	s.key = string(d.bytes(d.uint()))
	if flags&flagWill != 0 {
		s.will = &store.Will{Delay: uint32(d.uint()), At: d.time(), Expiry: uint32(d.uint()), HasExpiry: flags&flagWillExpiry != 0}
		s.will.Message = d.message()
	}
	return s, d.err()
}

func appendSubscription(b []byte, s store.Subscription) []byte {
	return binary.AppendUvarint(append(b, s.Options), uint64(s.ID))
}

func decodeSubscription(filter string, p []byte) (store.Subscription, error) {
	d := decoder{p: p}
	return store.Subscription{Filter: filter, Options: d.byte(), ID: uint32(d.uint())}, d.err()
}

// damaged says where a value is not as it was written.
func damaged(key []byte, err error) error {
	return fmt.Errorf("key %q: %w", key, err)
}
