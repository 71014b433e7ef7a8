package mosquittodb

import "encoding/binary"

// oldLayout is that of formats 3 and 4: one field behind the other, with a length before every string.
type oldLayout struct {
	username bool // format 4 knows the publisher's user and listener
}

func (l oldLayout) headerSize() int { return 6 }

func (l oldLayout) header(p []byte) (kind, uint32) {
	return kind(binary.BigEndian.Uint16(p)), binary.BigEndian.Uint32(p[2:])
}

// string is a text with its length before it.
func (c *chunk) string() string { return c.text(c.uint16()) }

func (l oldLayout) read(db *DB, c *chunk) error {
	switch c.kind {
	case kindConfig:
		db.Shutdown = c.byte() != 0
		size := c.byte()
		c.identifier()
		return checkIdentifierSize(c, size)
	case kindMessage:
		return l.message(db, c)
	case kindDelivery:
		d := Delivery{
			Offset: c.offset, ClientID: c.string(), Message: c.identifier(), PacketID: c.uint16(), QoS: c.byte(), Retain: c.byte() != 0,
			Direction: Direction(c.byte()), State: State(c.byte()), Dup: c.byte() != 0,
		}
		db.Deliveries = append(db.Deliveries, d)
		return checkDelivery(c, &d)
	case kindRetained:
		db.Retained = append(db.Retained, Retained{Offset: c.offset, Message: c.identifier()})
		return c.done()
	case kindSubscription:
		s := Subscription{Offset: c.offset, ClientID: c.string(), Filter: c.string(), Options: c.byte()}
		db.Subscriptions = append(db.Subscriptions, s)
		return checkSubscription(c, s.Options)
	case kindClient:
		cl := Client{Offset: c.offset, ID: c.string(), LastID: c.uint16(), Expiry: ExpiryNever}
		if size := len(c.body); size == 4 || size == 8 { // as the machine's time_t
			cl.Disconnect = c.time(size)
		} else {
			c.short = true
		}
		db.Clients = append(db.Clients, cl)
		return c.done()
	}
	return c.wrong("unknown")
}

func (l oldLayout) message(db *DB, c *chunk) error {
	m := Message{Offset: c.offset, ID: c.identifier(), ClientID: c.string()}
	if l.username {
		m.Username, m.Port = c.string(), c.uint16()
	}
	m.SourceID = c.uint16()
	c.uint16() // a packet id that means nothing
	m.Topic, m.QoS, m.Retain = c.string(), c.byte(), c.byte() != 0
	payload := c.uint32()
	if int64(payload) > int64(len(c.body)) {
		c.short, c.body = true, nil
	} else {
		m.Payload = c.bytes(int(payload))
	}
	db.Messages = append(db.Messages, m)
	return checkMessage(c, &m)
}
