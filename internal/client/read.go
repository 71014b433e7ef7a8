package client

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/uniomq/unio/mqtt"
)

// readLoop owns the reading half. It ends when the connection does, and ends it when
// the server closes it or breaks the protocol.
func (c *Client) readLoop() {
	err := c.read()
	var wrong *mqtt.Error
	if errors.As(err, &wrong) && c.version == mqtt.V5 {
		c.leave(&mqtt.Disconnect{Reason: wrong.Reason}, wrong)
		_, _ = io.Copy(io.Discard, c.conn) // until writeLoop has told the server
	}
	c.mu.Lock()
	if c.leaving {
		err = c.cause
	}
	c.mu.Unlock()
	c.fail(err)
}

// read handles packets until the connection ends, and returns why.
func (c *Client) read() error {
	for {
		frame, err := c.in.next()
		var wrong *mqtt.Error
		switch {
		case errors.As(err, &wrong):
			return err
		case err != nil:
			return fmt.Errorf("%w: %w", ErrLost, err)
		}
		if err := c.handle(frame); err != nil {
			return err
		}
	}
}

// handle handles a packet.
func (c *Client) handle(frame []byte) error {
	c.mu.Lock()
	c.heard = true
	leaving := c.leaving
	t := mqtt.Type(frame[0] >> 4)
	c.handling = t == mqtt.PUBLISH && !leaving
	c.mu.Unlock()
	if leaving { // we said good-bye: only the end of the stream is of interest
		return nil
	}
	if t == mqtt.PUBLISH {
		err := c.publish(frame)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.handling = false
		c.bow()
		return err
	}
	if t == mqtt.SUBACK || t == mqtt.UNSUBACK { // outlives the frame
		frame = slices.Clone(frame)
	}
	p, err := mqtt.Decode(c.version, frame)
	if err != nil {
		return err
	}
	c.opts.Trace(Received, p)
	switch p := p.(type) {
	case *mqtt.Ack:
		if p.Kind == mqtt.PUBREL {
			c.release(p.PacketID)
		} else {
			c.acknowledged(p)
		}
	case *mqtt.Suback:
		c.answered(p.PacketID, p)
	case *mqtt.Unsuback:
		c.answered(p.PacketID, p)
	case *mqtt.Pingresp:
		c.mu.Lock()
		c.pinged = false
		c.mu.Unlock()
	case *mqtt.Disconnect:
		if c.version != mqtt.V5 {
			return &mqtt.Error{Reason: mqtt.ProtocolError, Detail: "DISCONNECT of a server before version 5.0"}
		}
		return &DisconnectedError{mqtt.Disconnect{Reason: p.Reason}}
	default:
		return &mqtt.Error{Reason: mqtt.ProtocolError, Detail: t.String() + " from a server"}
	}
	return nil
}

// publish handles a PUBLISH: to OnPublish first, then the acknowledgement.
func (c *Client) publish(frame []byte) error {
	p := &c.incoming
	if err := p.Decode(c.version, frame); err != nil {
		return err
	}
	c.opts.Trace(Received, p)
	if err := c.resolveAlias(p); err != nil {
		return err
	}
	switch p.QoS {
	case 0:
		c.opts.OnPublish(p)
	case 1:
		c.opts.OnPublish(p)
		c.answer(&mqtt.Ack{Kind: mqtt.PUBACK, PacketID: p.PacketID})
	case 2:
		c.mu.Lock()
		_, known := c.session.inbound[p.PacketID]
		over := !known && len(c.session.inbound) >= c.receiveMaximum()
		c.mu.Unlock()
		if over { // [MQTT-3.3.4-9]
			return &mqtt.Error{Reason: mqtt.ReceiveMaximumExceeded, Detail: "too many QoS 2 messages"}
		}
		if !known { // [MQTT-4.3.3-10]
			c.opts.OnPublish(p)
		}
		c.mu.Lock()
		c.session.inbound[p.PacketID] = struct{}{}
		c.mu.Unlock()
		c.answer(&mqtt.Ack{Kind: mqtt.PUBREC, PacketID: p.PacketID})
	}
	return nil
}

// receiveMaximum returns how many QoS 2 messages the server may have unfinished.
func (c *Client) receiveMaximum() int {
	if p := &c.opts.Connect.Properties; c.version == mqtt.V5 && p.Has(mqtt.PropReceiveMaximum) {
		return int(p.ReceiveMaximum)
	}
	return 65535
}

// resolveAlias sets the topic of a message that has a topic alias.
func (c *Client) resolveAlias(p *mqtt.Publish) error {
	if !p.Properties.Has(mqtt.PropTopicAlias) {
		return nil
	}
	alias, limit := p.Properties.TopicAlias, uint16(0)
	if own := &c.opts.Connect.Properties; own.Has(mqtt.PropTopicAliasMaximum) {
		limit = own.TopicAliasMaximum
	}
	if alias == 0 || alias > limit { // [MQTT-3.1.2-26]
		return &mqtt.Error{Reason: mqtt.TopicAliasInvalid, Detail: "topic alias above our maximum"}
	}
	if len(p.Topic) > 0 {
		c.aliases[alias] = slices.Clone(p.Topic)
		return nil
	}
	topic, ok := c.aliases[alias]
	if !ok {
		return &mqtt.Error{Reason: mqtt.ProtocolError, Detail: "topic alias without a topic"}
	}
	p.Topic = topic
	return nil
}

// release handles PUBREL.
func (c *Client) release(id uint16) {
	c.mu.Lock()
	_, known := c.session.inbound[id]
	delete(c.session.inbound, id)
	c.mu.Unlock()
	a := &mqtt.Ack{Kind: mqtt.PUBCOMP, PacketID: id}
	if !known {
		a.Reason = mqtt.PacketIdentifierNotFound
	}
	c.answer(a)
}
