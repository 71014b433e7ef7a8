package mosquittodb_test

import (
	"encoding/binary"

	"github.com/uniomq/unio/internal/mosquittodb"
)

// writer makes files by the definition of their format, for those that no Mosquitto at hand writes. Its machine's byte order and padding
// may be chosen.
type writer struct {
	version  int
	order    binary.ByteOrder
	unpadded bool // as 32-bit x86 has it
	shutdown bool
	b        []byte
}

func newWriter(version int) *writer { return &writer{version: version, order: binary.LittleEndian} }

// begin writes the header and the settings.
func (w *writer) begin() *writer {
	w.b = append(w.b, "\x00\xb5\x00mosquitto db\x00\x00\x00\x00"...)
	w.b = binary.BigEndian.AppendUint32(w.b, uint32(w.version))
	var shutdown byte
	if w.shutdown {
		shutdown = 1
	}
	if w.old() {
		w.chunk(1, w.native64([]byte{shutdown, 8}, 1))
		return w
	}
	c := append(w.native64(nil, 1), shutdown, 8)
	if w.unpadded {
		c = append(c, 0, 0)
	} else {
		c = append(c, make([]byte, 6)...)
	}
	w.chunk(1, c)
	return w
}

func (w *writer) old() bool { return w.version < 5 }

func (w *writer) native64(b []byte, v uint64) []byte {
	p := make([]byte, 8)
	w.order.PutUint64(p, v)
	return append(b, p...)
}

func (w *writer) chunk(kind uint32, body []byte) {
	if w.old() {
		w.b = binary.BigEndian.AppendUint16(w.b, uint16(kind))
	} else {
		w.b = binary.BigEndian.AppendUint32(w.b, kind)
	}
	w.b = append(binary.BigEndian.AppendUint32(w.b, uint32(len(body))), body...)
}

func text(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
}

func flag(v bool, one byte) byte {
	if v {
		return one
	}
	return 0
}

func uint16s(b []byte, vs ...uint16) []byte {
	for _, v := range vs {
		b = binary.BigEndian.AppendUint16(b, v)
	}
	return b
}

func properties(b, p []byte) []byte {
	if p == nil {
		return b
	}
	return append(binary.AppendUvarint(b, uint64(len(p))), p...)
}

func (w *writer) message(m *mosquittodb.Message) {
	b := w.native64(nil, m.ID)
	if w.old() {
		b = text(b, m.ClientID)
		if w.version >= 4 {
			b = uint16s(text(b, m.Username), m.Port)
		}
		b = text(uint16s(b, m.SourceID, 0), m.Topic)
		b = binary.BigEndian.AppendUint32(append(b, m.QoS, flag(m.Retain, 1)), uint32(len(m.Payload)))
		w.chunk(2, append(b, m.Payload...))
		return
	}
	b = binary.BigEndian.AppendUint32(w.native64(b, uint64(m.Expires)), uint32(len(m.Payload)))
	b = uint16s(b, m.SourceID, uint16(len(m.ClientID)), uint16(len(m.Username)), uint16(len(m.Topic)), m.Port)
	b = append(b, m.QoS, flag(m.Retain, 1))
	b = append(append(append(append(b, m.ClientID...), m.Username...), m.Topic...), m.Payload...)
	w.chunk(2, properties(b, m.Properties))
}

func (w *writer) client(c *mosquittodb.Client) {
	if w.old() {
		w.chunk(6, w.native64(uint16s(text(nil, c.ID), c.LastID), uint64(c.Disconnect)))
		return
	}
	b := binary.BigEndian.AppendUint32(w.native64(nil, uint64(c.Expires)), c.Expiry)
	b = uint16s(b, c.LastID, uint16(len(c.ID)))
	if w.version >= 6 {
		b = uint16s(b, c.Port, uint16(len(c.Username)))
		if !w.unpadded {
			b = append(b, 0, 0, 0, 0)
		}
	}
	b = append(b, c.ID...)
	if w.version >= 6 {
		b = append(b, c.Username...)
	}
	w.chunk(6, b)
}

func (w *writer) delivery(d *mosquittodb.Delivery) {
	if w.old() {
		b := uint16s(w.native64(text(nil, d.ClientID), d.Message), d.PacketID)
		w.chunk(3, append(b, d.QoS, flag(d.Retain, 1), byte(d.Direction), byte(d.State), flag(d.Dup, 1)))
		return
	}
	b := uint16s(w.native64(nil, d.Message), d.PacketID, uint16(len(d.ClientID)))
	b = append(b, d.QoS, byte(d.State), flag(d.Retain, 0x10)|flag(d.Dup, 1), byte(d.Direction))
	b = append(b, d.ClientID...)
	if d.SubscriptionID != 0 {
		b = properties(b, binary.AppendUvarint([]byte{11}, uint64(d.SubscriptionID)))
	}
	w.chunk(3, b)
}

func (w *writer) subscription(s *mosquittodb.Subscription) {
	if w.old() {
		w.chunk(5, append(text(text(nil, s.ClientID), s.Filter), s.Options))
		return
	}
	b := uint16s(binary.BigEndian.AppendUint32(nil, s.ID), uint16(len(s.ClientID)), uint16(len(s.Filter)))
	b = append(b, s.Options&3, s.Options&^3, 0, 0)
	w.chunk(5, append(append(b, s.ClientID...), s.Filter...))
}

// retained refers to a message by its ID.
func (w *writer) retained(id uint64) { w.chunk(4, w.native64(nil, id)) }

// all writes everything that db has.
func (w *writer) all(db *mosquittodb.DB) []byte {
	w.shutdown = db.Shutdown
	w.begin()
	for i := range db.Messages {
		w.message(&db.Messages[i])
	}
	for i := range db.Clients {
		w.client(&db.Clients[i])
	}
	for i := range db.Deliveries {
		w.delivery(&db.Deliveries[i])
	}
	for i := range db.Subscriptions {
		w.subscription(&db.Subscriptions[i])
	}
	for i := range db.Retained {
		w.retained(db.Retained[i].Message)
	}
	return w.b
}
