package client

import (
	"context"
	"errors"

	"github.com/uniomq/unio/mqtt"
)

// Publish accepts a message for sending; it waits while the queue is full, until ctx
// ends. The packet identifier and DUP are the client's to set. The memory that p points
// to must not change until the delivery is done; for QoS 0, until Publish returns.
func (c *Client) Publish(ctx context.Context, p *mqtt.Publish) (*Delivery, error) {
	for {
		d, err := c.TryPublish(p)
		if !errors.Is(err, ErrQueueFull) {
			if err == nil {
				c.signal(c.room) // there may be room for another one that waits
			}
			return d, err
		}
		select {
		case <-c.room:
		case <-c.done:
			return nil, c.Err()
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// TryPublish is Publish without waiting: it fails with ErrQueueFull.
func (c *Client) TryPublish(p *mqtt.Publish) (*Delivery, error) {
	if err := c.permits(p); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil || c.leaving {
		return nil, c.ended()
	}
	if len(c.out) >= MaxBuffered || p.QoS > 0 && len(c.session.outbound) >= c.opts.Queue {
		return nil, ErrQueueFull
	}
	id, err := c.nextID()
	if err != nil {
		return nil, err
	}
	d := &Delivery{packet: *p, done: make(chan struct{})}
	d.packet.PacketID, d.packet.Dup = id, false
	if p.QoS == 0 {
		c.send(&d.packet)
		close(d.done)
		return d, nil
	}
	c.session.add(d)
	c.pump()
	return d, nil
}

// permits checks a message against what CONNACK says.
func (c *Client) permits(p *mqtt.Publish) error {
	limits := &c.connack.Properties
	switch {
	case limits.Has(mqtt.PropMaximumQoS) && p.QoS > limits.MaximumQoS: // [MQTT-3.2.2-11]
		return ErrQoSNotSupported
	case p.Retain && limits.Has(mqtt.PropRetainAvailable) && limits.RetainAvailable == 0: // [MQTT-3.2.2-14]
		return ErrRetainNotAllowed
	}
	limit := uint32(mqtt.MaxPacketSize)
	if limits.Has(mqtt.PropMaximumPacketSize) { // [MQTT-3.2.2-15]
		limit = min(limit, limits.MaximumPacketSize)
	}
	if uint64(p.Size(c.version)) > uint64(limit) {
		return ErrPacketTooLarge
	}
	return nil
}

// ended returns why nothing can be sent. The caller holds mu.
func (c *Client) ended() error {
	if c.err != nil {
		return c.err
	}
	return ErrClosed
}

// nextID returns a packet identifier that is not in use [MQTT-2.2.1-3]. The caller
// holds mu.
func (c *Client) nextID() (uint16, error) {
	s := c.session
	for range 65535 {
		s.lastID++
		if s.lastID == 0 {
			s.lastID = 1
		}
		if c.requests[s.lastID] == nil && !s.taken.has(s.lastID) {
			return s.lastID, nil
		}
	}
	return 0, ErrNoPacketID
}

// pump sends waiting messages as far as the window allows. The caller holds mu.
func (c *Client) pump() {
	s := c.session
	for s.sent < len(s.outbound) && s.sent < c.window {
		d := s.outbound[s.sent]
		s.sent++
		if d.released {
			c.send(&mqtt.Ack{Kind: mqtt.PUBREL, PacketID: d.packet.PacketID})
			continue
		}
		d.packet.Dup, d.tried = d.tried, true // [MQTT-3.3.1-1]
		c.send(&d.packet)
	}
}

// acknowledged handles PUBACK, PUBREC and PUBCOMP.
func (c *Client) acknowledged(a *mqtt.Ack) {
	c.mu.Lock()
	defer c.mu.Unlock()
	d, i := c.session.find(a.PacketID)
	if d == nil {
		if a.Kind == mqtt.PUBREC { // the server may hold it from an earlier connection
			c.send(&mqtt.Ack{Kind: mqtt.PUBREL, PacketID: a.PacketID, Reason: mqtt.PacketIdentifierNotFound})
		}
		return
	}
	expected := mqtt.PUBACK
	switch {
	case d.released:
		expected = mqtt.PUBCOMP
	case d.packet.QoS == 2:
		expected = mqtt.PUBREC
	}
	switch {
	case a.Kind == mqtt.PUBREC && expected == mqtt.PUBREC && !a.Reason.Failed(),
		a.Kind == mqtt.PUBREC && expected == mqtt.PUBCOMP: // a repeated one
		d.released = true
		c.send(&mqtt.Ack{Kind: mqtt.PUBREL, PacketID: a.PacketID}) // [MQTT-4.3.3-5]
		return
	case a.Kind != expected:
		return
	}
	d.reason = a.Reason
	c.session.remove(i)
	close(d.done)
	c.pump()
	c.signal(c.room)
}
