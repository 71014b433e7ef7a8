package broker

import (
	"errors"
	"slices"

	"github.com/uniomq/unio/broker/internal/session"
	"github.com/uniomq/unio/mqtt"
	"github.com/uniomq/unio/topic"
)

// Ends of a connection that the client asked for.
var (
	errDisconnect         = errors.New("client disconnected")
	errDisconnectWithWill = errors.New("client disconnected with will message")
)

// handle runs the protocol on one packet of a connected client. An error ends the connection; a v5
// client is told its reason code.
// [MQTT-4.9.0-3]
func (c *conn) handle(frame []byte, bt *batch) error {
	switch kind := mqtt.Type(frame[0] >> 4); kind {
	case mqtt.PUBLISH:
		return c.handlePublish(frame, bt)
	case mqtt.PUBACK, mqtt.PUBREC, mqtt.PUBCOMP:
		return c.handleAck(frame, bt)
	case mqtt.PUBREL:
		return c.handlePubrel(frame, bt)
	case mqtt.SUBSCRIBE:
		return c.handleSubscribe(frame, bt)
	case mqtt.UNSUBSCRIBE:
		return c.handleUnsubscribe(frame, bt)
	case mqtt.PINGREQ:
		return c.handlePing(frame, bt)
	case mqtt.DISCONNECT:
		return c.handleDisconnect(frame)
	case mqtt.AUTH:
		var a mqtt.Auth
		if err := a.Decode(c.version, frame); err != nil {
			return err
		}
		c.received(&a)
		return c.reauthenticate(&a)
	default: // [MQTT-3.1.0-2] a second CONNECT, and what only servers send
		return mqtt.ProtocolError
	}
}

// handlePublish takes a PUBLISH: what it may be, who gets it, and what the publisher is owed.
func (c *conn) handlePublish(frame []byte, bt *batch) error {
	p := &bt.publish
	if err := p.Decode(c.version, frame); err != nil {
		return err
	}
	if !c.again {
		bt.received++
		bt.publishBytesReceived += int64(len(p.Payload))
		c.received(p)
	}
	c.again = false
	if err := c.sess.Resolve(p); err != nil {
		return err
	}
	if err := c.checkPublish(p); err != nil {
		return err
	}
	p.Topic = c.mount(bt, p.Topic)
	var digest uint64 // before an Interceptor changes p
	if p.QoS == 2 {
		digest = session.Digest(p)
		duplicate, err := c.sess.Accept(p.PacketID, digest, int(c.owed.Load())+bt.owed)
		if err != nil {
			return err
		}
		if duplicate {
			bt.acks = append(bt.acks, ack{kind: mqtt.PUBREC, id: p.PacketID})
			return nil
		}
	}
	code, taken, err := c.admit(bt, p)
	if err != nil {
		c.again = true
		return err
	}
	if !code.Failed() && !taken {
		bt.load(c, p)
		if (c.b.full() || c.b.cramped()) && c.b.mustStore(bt) {
			drop(c.b, c.client.ID, DropStoreFull, p.Topic)
			if c.version < mqtt.V5 {
				return nil // it cannot be told, and is not acknowledged
			}
			code = mqtt.QuotaExceeded
		} else if n := c.b.publish(bt); n == 0 {
			code = mqtt.NoMatchingSubscribers
		}
	}
	c.owe(bt, p, digest, code)
	return nil
}

// throttle acknowledges what is owed before one more QoS 1 message than the Receive Maximum is taken, and waits until that
// has happened, or reports that the packet is to be held until then. How fast PUBACK comes is our doing: clients that count on it to come at once, and there are
// such, are held up and not disconnected. Unreleased QoS 2 messages are theirs, and waiting does not help.
func (c *conn) throttle(frame []byte, bt *batch) (hold bool, err error) {
	if frame[0]&^(publishDup|publishRetain) != publishQoS1 || !c.sess.Full(int(c.owed.Load())+bt.owed) {
		return false, nil
	}
	bt.settleUp(c)
	bt.flush()
	if c.event == nil {
		c.pause(c.throttled)
	} else if c.throttled() {
		return true, nil
	}
	if c.sess.Full(0) {
		return false, mqtt.ReceiveMaximumExceeded
	}
	return false, nil
}

// throttled reports whether PUBACKs are owed that must leave first.
func (c *conn) throttled() bool { return c.owed.Load() > 0 && c.sess.Full(int(c.owed.Load())) }

// The first byte of a PUBLISH.
const (
	publishQoS1   = byte(mqtt.PUBLISH)<<4 | 1<<1
	publishDup    = 1 << 3
	publishRetain = 1
)

// checkPublish finds what ends the connection.
func (c *conn) checkPublish(p *mqtt.Publish) error {
	l := c.b.options.Load()
	switch {
	case p.QoS > c.lo.maxQoS():
		return mqtt.QoSNotSupported // [MQTT-3.2.2-11]
	case p.Retain && l.RefuseRetained:
		return mqtt.RetainNotSupported // [MQTT-3.2.2-14]
	case len(p.Properties.SubscriptionIDs) > 0:
		return mqtt.ProtocolError // [MQTT-3.3.4-6]
	case c.version < mqtt.V5 && tooLong(c, p.Topic):
		return errMountedTooLong
	default:
		return c.b.checkTopic(p.Topic)
	}
}

// errElsewhere says that an event loop must not handle a packet: somebody may wait. The connection leaves the loop, and goOn handles
// the packet from the beginning.
var errElsewhere = errors.New("not in an event loop")

// admit asks the hooks, and returns the code that refuses the message, or Success, and whether an Interceptor has taken it. The only
// error is errElsewhere: then no Interceptor was asked.
func (c *conn) admit(bt *batch, p *mqtt.Publish) (code mqtt.ReasonCode, taken bool, err error) {
	b, o := c.b, c.b.options.Load()
	if len(p.Topic) > topic.MaxBytes { // behind its mount point
		drop(b, c.client.ID, DropRefused, p.Topic)
		return mqtt.TopicNameInvalid, false, nil
	}
	if Reserved(p.Topic) {
		drop(b, c.client.ID, DropUnauthorized, p.Topic)
		return mqtt.NotAuthorized, false, nil
	}
	if n := o.MaxMessageSize; n > 0 && len(p.Payload) > int(n) {
		drop(b, c.client.ID, DropOversize, p.Topic)
		return mqtt.QuotaExceeded, false, nil
	}
	a := Access{Client: c.client, Action: ActionPublish, Topic: p.Topic, QoS: p.QoS, Retain: p.Retain, Dup: p.Dup, Size: len(p.Payload)}
	if !o.may(a) {
		drop(b, c.client.ID, DropUnauthorized, p.Topic)
		if p.QoS > 0 {
			bt.why = c.why(o, a)
		}
		return mqtt.NotAuthorized, false, nil
	}
	return c.intercept(bt, o, p)
}

// intercept asks the Interceptors; see admit.
func (c *conn) intercept(bt *batch, o *Options, p *mqtt.Publish) (code mqtt.ReasonCode, taken bool, err error) {
	for n, i := range o.Interceptors {
		if !concerns(i, p.Topic) {
			continue
		}
		switch {
		case bt.round != nil && mayBlock(o.Interceptors[n:], p.Topic):
			return mqtt.Success, false, errElsewhere
		case mayBlock(o.Interceptors[n:n+1], p.Topic):
			bt.settleUp(c) // what came before it does not wait
			bt.flush()
		default:
			bt.round.Flush() // it may take its time
		}
		if err := i.Intercept(c.client, p); errors.Is(err, ErrTaken) {
			if code := reason(err, mqtt.Success); code.Failed() {
				bt.end(c, code)
			}
			return mqtt.Success, true, nil
		} else if err != nil {
			drop(c.b, c.client.ID, DropRefused, p.Topic)
			return reason(err, mqtt.NotAuthorized), false, nil
		}
	}
	if IsControl(p.Topic) { // nobody has taken it
		drop(c.b, c.client.ID, DropUnauthorized, p.Topic)
		return mqtt.NotAuthorized, false, nil
	}
	return mqtt.Success, false, nil
}

// concerns reports whether an Interceptor is asked about a topic.
func concerns(i Interceptor, topic []byte) bool {
	s, ok := i.(Selective)
	return !ok || s.Concerns(topic)
}

// mayBlock reports whether one of the Interceptors that are asked about a topic may wait.
func mayBlock(all []Interceptor, topic []byte) bool {
	return slices.ContainsFunc(all, func(i Interceptor) bool {
		b, ok := i.(Blocking)
		return ok && b.MayBlock() && b.Concerns(topic)
	})
}

// load makes p the message that the batch routes.
func (bt *batch) load(c *conn, p *mqtt.Publish) {
	bt.message = message{
		topic: p.Topic, payload: p.Payload, qos: p.QoS, retain: p.Retain,
		from: c.sub, clientID: c.client.ID, username: c.client.Username, listener: c.client.Listener,
	}
	if !p.Properties.Empty() {
		bt.forwarded = p.Properties.AppendForwarded(bt.forwarded[:0])
		bt.message.forwarded = bt.forwarded
		bt.message.hasExpiry, bt.message.expiry = p.Properties.Has(mqtt.PropMessageExpiry), p.Properties.MessageExpiry
	}
}

// owe notes the acknowledgement of a PUBLISH. It leaves when the batch is committed. Before v5 a refusal
// cannot be told, and is acknowledged [MQTT-3.3.5-2 in 3.1.1].
// [MQTT-2.2.1-5, MQTT-2.3.1-6, MQTT-3.3.4-1, MQTT-4.3.2-2, -5, MQTT-4.3.3-8]
func (c *conn) owe(bt *batch, p *mqtt.Publish, digest uint64, code mqtt.ReasonCode) {
	switch p.QoS {
	case 1:
		bt.acks = append(bt.acks, ack{kind: mqtt.PUBACK, id: p.PacketID, reason: code.In(mqtt.PUBACK), why: bt.because()})
		bt.owed++
	case 2:
		if code == mqtt.NoMatchingSubscribers {
			code = mqtt.Success // as in Mosquitto, which routes only after PUBREL, and does not know yet
		}
		bt.acks = append(bt.acks, ack{kind: mqtt.PUBREC, id: p.PacketID, reason: code.In(mqtt.PUBREC), why: bt.because()})
		if code.Failed() && c.version == mqtt.V5 {
			c.free(bt, p.PacketID) // [MQTT-4.3.3-9] it is free again
			return
		}
		c.sess.Receive(p.PacketID, digest)
		if c.sub.ref != 0 {
			bt.stage().Receive(c.sub.ref, p.PacketID, digest)
		}
	}
}

// handlePubrel ends a QoS 2 message from the client.
// [MQTT-3.7.2-1, MQTT-4.3.3-13]
func (c *conn) handlePubrel(frame []byte, bt *batch) error {
	a := &bt.ack
	if err := a.Decode(c.version, frame); err != nil {
		return err
	}
	c.received(a)
	c.free(bt, a.PacketID)
	// [MQTT-4.3.3-11] Success for an id that is not known, too, as in Mosquitto: its PUBCOMP was lost,
	// and there are clients that take 0x92 for the failure of a message that was delivered.
	bt.acks = append(bt.acks, ack{kind: mqtt.PUBCOMP, id: a.PacketID})
	return nil
}

// free forgets the packet id of a QoS 2 message from the client, if there is one.
func (c *conn) free(bt *batch, id uint16) {
	if c.sess.Release(id) && c.sub.ref != 0 {
		bt.stage().Release(c.sub.ref, id)
	}
}

// handleAck takes what a client answers to a message that it was sent, and sends on what waited for that.
// [MQTT-3.6.2-1]
func (c *conn) handleAck(frame []byte, bt *batch) error {
	a := &bt.ack
	if err := a.Decode(c.version, frame); err != nil {
		return err
	}
	c.received(a)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase >= session.Closing {
		return nil
	}
	out, err := c.sess.Acknowledge(a)
	if err != nil {
		return err
	}
	if ref := c.sub.ref; ref != 0 && out.Known {
		if !out.Done {
			// PUBREL lets the client forget the packet id: the message must not be sent again from then on, so that this waits.
			bt.stage().SetReleased(ref, out.Ordinal)
			bt.acks = append(bt.acks, ack{kind: mqtt.PUBREL, id: a.PacketID})
			return nil
		}
		bt.stage().Settle(ref, out.Ordinal)
	}
	if out.Pubrel {
		bt.ack = mqtt.Ack{Kind: mqtt.PUBREL, PacketID: a.PacketID}
		bt.packet(c, &bt.ack)
	}
	if out.Done {
		c.taken()
		c.pump(bt)
	}
	return nil
}

func (c *conn) handlePing(frame []byte, bt *batch) error {
	var p mqtt.Pingreq
	if err := p.Decode(c.version, frame); err != nil {
		return err
	}
	c.received(&p)
	if len(bt.acks) > 0 { // in the order of the packets, as far as that does not mean to wait for a store
		bt.acks = append(bt.acks, ack{kind: mqtt.PINGRESP})
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase < session.Closing {
		bt.packet(c, &mqtt.Pingresp{}) // [MQTT-3.12.4-1]
	}
	return nil
}

// handleDisconnect ends the connection as the client wishes. It may change how long the session lives on.
func (c *conn) handleDisconnect(frame []byte) error {
	var p mqtt.Disconnect
	if err := p.Decode(c.version, frame); err != nil {
		return err
	}
	c.received(&p)
	if !fromClient(p.Reason) {
		return mqtt.ProtocolError // [MQTT-3.14.2-1]
	}
	if p.Properties.Has(mqtt.PropSessionExpiry) {
		if c.expiry == 0 && p.Properties.SessionExpiry != 0 {
			return mqtt.ProtocolError // [MQTT-3.14.2.2.2] a session that was to end with the connection does
		}
		c.expiry = min(p.Properties.SessionExpiry, c.b.options.Load().maxSessionExpiry())
	}
	if p.Reason != mqtt.NormalDisconnection {
		return errDisconnectWithWill // [MQTT-3.14.4-3] only 0x00 discards the will
	}
	return errDisconnect
}

// fromClient reports whether a client may give the reason code in DISCONNECT.
func fromClient(r mqtt.ReasonCode) bool {
	switch r {
	case mqtt.NormalDisconnection, mqtt.DisconnectWithWill, mqtt.UnspecifiedError, mqtt.MalformedPacket, mqtt.ProtocolError,
		mqtt.ImplementationSpecificError, mqtt.TopicNameInvalid, mqtt.ReceiveMaximumExceeded, mqtt.TopicAliasInvalid, mqtt.PacketTooLarge,
		mqtt.MessageRateTooHigh, mqtt.QuotaExceeded, mqtt.AdministrativeAction, mqtt.PayloadFormatInvalid:
		return true
	default:
		return false
	}
}
