package mosquittodb

import "encoding/binary"

// layout is how the chunks of some formats are made.
type layout interface {
	headerSize() int
	header(p []byte) (kind, uint32)
	read(db *DB, c *chunk) error
}

func layoutOf(version int) layout {
	if version < 5 {
		return oldLayout{username: version >= 4}
	}
	return &newLayout{clientSize: clientSize5}
}

// identifierSize is the size of a message's identifier that every known build of Mosquitto has.
const identifierSize = 8

func checkIdentifierSize(c *chunk, size byte) error {
	if size != identifierSize && !c.short {
		return c.wrong("expected identifiers of %d bytes, not %d", identifierSize, size)
	}
	return c.done()
}

// checkDelivery checks what a delivery's numbers may be.
func checkDelivery(c *chunk, d *Delivery) error {
	if err := c.done(); err != nil {
		return err
	}
	switch {
	case d.QoS > 2:
		return c.wrong("expected QoS 0, 1 or 2, not %d", d.QoS)
	case d.Direction > Out:
		return c.wrong("expected direction 0 or 1, not %d", d.Direction)
	case d.State > Queued:
		return c.wrong("expected a state of 0 to %d, not %d", Queued, d.State)
	}
	return nil
}

func checkMessage(c *chunk, m *Message) error {
	if err := c.done(); err != nil {
		return err
	}
	if m.QoS > 2 {
		return c.wrong("expected QoS 0, 1 or 2, not %d", m.QoS)
	}
	return nil
}

func checkSubscription(c *chunk, qos byte) error {
	if err := c.done(); err != nil {
		return err
	}
	if qos > 2 {
		return c.wrong("expected QoS 0, 1 or 2, not %d", qos)
	}
	return nil
}

// newLayout is that of formats 5 and 6: what is fixed is a structure of C, and the strings come behind it.
type newLayout struct {
	clientSize int
}

// The sizes of the structures. Format 6 has two fields more in a client, which some compilers fill up to a multiple of 8; the size of the chunk of
// settings tells which.
const (
	configSize        = 10
	configSizePadded  = 16
	clientSize5       = 16
	clientSize6       = 20
	clientSize6Padded = 24
)

func (l *newLayout) headerSize() int { return 8 }

func (l *newLayout) header(p []byte) (kind, uint32) {
	return kind(binary.BigEndian.Uint32(p)), binary.BigEndian.Uint32(p[4:])
}

func (l *newLayout) read(db *DB, c *chunk) error {
	switch c.kind {
	case kindConfig:
		return l.config(db, c)
	case kindMessage:
		return l.message(db, c)
	case kindDelivery:
		return l.delivery(db, c)
	case kindRetained:
		db.Retained = append(db.Retained, Retained{Offset: c.offset, Message: c.identifier()})
		return c.done()
	case kindSubscription:
		return l.subscription(db, c)
	case kindClient:
		return l.client(db, c)
	}
	return c.wrong("unknown")
}

func (l *newLayout) config(db *DB, c *chunk) error {
	padded := c.length == configSizePadded
	if db.Version >= 6 {
		l.clientSize = clientSize6
		if padded {
			l.clientSize = clientSize6Padded
		}
	}
	c.identifier() // the last one given out
	db.Shutdown = c.byte() != 0
	size := c.byte()
	c.bytes(min(len(c.body), configSizePadded-configSize))
	return checkIdentifierSize(c, size)
}

func (l *newLayout) message(db *DB, c *chunk) error {
	m := Message{Offset: c.offset, ID: c.identifier(), Expires: c.time(8)}
	payload := c.uint32()
	m.SourceID = c.uint16()
	id, name, topic := c.uint16(), c.uint16(), c.uint16()
	m.Port, m.QoS, m.Retain = c.uint16(), c.byte(), c.byte() != 0
	m.ClientID, m.Username, m.Topic = c.text(id), c.text(name), c.text(topic)
	if int64(payload) > int64(len(c.body)) {
		c.short, c.body = true, nil
	} else {
		m.Payload = c.bytes(int(payload))
	}
	m.Properties = c.properties()
	db.Messages = append(db.Messages, m)
	return checkMessage(c, &m)
}

// properties takes the rest of the chunk, if there is one: a length as in a packet, and the properties.
func (c *chunk) properties() []byte {
	if len(c.body) == 0 {
		return nil
	}
	n, size := binary.Uvarint(c.body) // the same form as MQTT's variable byte integer [MQTT 5.0, 1.5.5], which has 4 bytes at most
	if size <= 0 || size > 4 || n != uint64(len(c.body)-size) {
		c.short, c.body = true, nil
		return nil
	}
	c.bytes(size)
	return c.bytes(int(n))
}

// subscriptionID is the identifier of the property that a delivery may have [MQTT 5.0, 3.3.2.3.8].
const subscriptionID = 11

func (l *newLayout) delivery(db *DB, c *chunk) error {
	d := Delivery{Offset: c.offset, Message: c.identifier(), PacketID: c.uint16()}
	id := c.uint16()
	d.QoS, d.State = c.byte(), State(c.byte())
	flags := c.byte()
	d.Retain, d.Dup, d.Direction = flags&0xF0 != 0, flags&0x0F != 0, Direction(c.byte())
	d.ClientID = c.text(id)
	p := c.properties()
	for len(p) > 0 && !c.short {
		n, size := binary.Uvarint(p[1:])
		if p[0] != subscriptionID || size <= 0 || size > 4 || n == 0 {
			return c.wrong("expected no property but a subscription identifier")
		}
		d.SubscriptionID, p = uint32(n), p[1+size:]
	}
	db.Deliveries = append(db.Deliveries, d)
	return checkDelivery(c, &d)
}

func (l *newLayout) subscription(db *DB, c *chunk) error {
	s := Subscription{Offset: c.offset, ID: c.uint32()}
	id, filter := c.uint16(), c.uint16()
	qos := c.byte()
	s.Options = qos&3 | c.byte()&^3
	c.bytes(2) // filled up to a multiple of 4, by every compiler
	s.ClientID, s.Filter = c.text(id), c.text(filter)
	db.Subscriptions = append(db.Subscriptions, s)
	return checkSubscription(c, qos)
}

func (l *newLayout) client(db *DB, c *chunk) error {
	before := len(c.body)
	cl := Client{Offset: c.offset, Expires: c.time(8), Expiry: c.uint32(), LastID: c.uint16()}
	id, name := c.uint16(), uint16(0)
	if l.clientSize != clientSize5 {
		cl.Port, name = c.uint16(), c.uint16()
	}
	c.bytes(l.clientSize - (before - len(c.body)))
	cl.ID, cl.Username = c.text(id), c.text(name)
	db.Clients = append(db.Clients, cl)
	return c.done()
}
