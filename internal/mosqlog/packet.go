package mosqlog

import (
	"fmt"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/mqtt"
)

// received logs a packet from a client. CONNECT shows its will only, when the
// client is accepted: the line of the new client says the rest.
func (o *Observer) received(c *broker.Client, p mqtt.Packet) {
	if !o.takes(LevelDebug) {
		return
	}
	id := name(c)
	switch p := p.(type) {
	case *mqtt.Connect:
		o.wills.Store(c, willLines(p.Will))
	case *mqtt.Publish:
		o.publish("Received PUBLISH from", id, p)
	case *mqtt.Ack:
		switch p.Kind {
		case mqtt.PUBACK, mqtt.PUBCOMP:
			o.printf(LevelDebug, "Received %s from %s (Mid: %d, RC:%d)", p.Kind, id, p.PacketID, byte(p.Reason))
		default:
			o.printf(LevelDebug, "Received %s from %s (Mid: %d)", p.Kind, id, p.PacketID)
		}
	case *mqtt.Subscribe:
		o.printf(LevelDebug, "Received SUBSCRIBE from %s", id)
		for _, s := range p.Subscriptions {
			o.printf(LevelDebug, "\t%s (QoS %d)", s.Filter, byte(s.Options)&3)
		}
	case *mqtt.Unsubscribe:
		o.printf(LevelDebug, "Received UNSUBSCRIBE from %s", id)
		for _, filter := range p.Filters {
			o.printf(LevelDebug, "\t%s", filter)
		}
	default:
		o.printf(LevelDebug, "Received %s from %s", p.Type(), id)
	}
}

// sent logs a packet to a client.
func (o *Observer) sent(c *broker.Client, p mqtt.Packet) {
	if !o.takes(LevelDebug) {
		return
	}
	id := name(c)
	switch p := p.(type) {
	case *mqtt.Connack:
		o.printf(LevelDebug, "Sending CONNACK to %s (%d, %d)", id, bit(p.SessionPresent), connackCode(c, p))
	case *mqtt.Publish:
		o.publish("Sending PUBLISH to", id, p)
	case *mqtt.Ack:
		switch p.Kind {
		case mqtt.PUBACK, mqtt.PUBREC:
			o.printf(LevelDebug, "Sending %s to %s (m%d, rc%d)", p.Kind, id, p.PacketID, byte(p.Reason))
		default:
			o.printf(LevelDebug, "Sending %s to %s (m%d)", p.Kind, id, p.PacketID)
		}
	case *mqtt.Disconnect:
		o.printf(LevelDebug, "Sending DISCONNECT to %s (rc%d)", id, byte(p.Reason))
	case *mqtt.Auth:
		o.printf(LevelDebug, "Sending AUTH to %s (rc%d)", id, byte(p.Reason))
	default:
		o.printf(LevelDebug, "Sending %s to %s", p.Type(), id)
	}
}

// connackCode returns the code that the client is told: before 5.0 that is a return
// code, the last of the packet's four bytes.
func connackCode(c *broker.Client, p *mqtt.Connack) byte {
	if c == nil || c.Version == mqtt.V5 || c.Version == 0 {
		return byte(p.Reason)
	}
	packet := p.Append(nil, c.Version)
	return packet[len(packet)-1]
}

// publish logs a PUBLISH without its payload.
func (o *Observer) publish(what, id string, p *mqtt.Publish) {
	o.printf(LevelDebug, "%s %s (d%d, q%d, r%d, m%d, '%s', ... (%d bytes))",
		what, id, bit(p.Dup), p.QoS, bit(p.Retain), p.PacketID, p.Topic, len(p.Payload))
}

// will logs the will of a CONNECT, behind the line of the new client as Mosquitto does.
func (o *Observer) will(c *broker.Client) {
	if lines, ok := o.wills.LoadAndDelete(c); ok {
		for _, line := range lines.([]string) {
			o.printf(LevelDebug, "%s", line)
		}
	}
}

// willLines returns what is logged of a will.
func willLines(w *mqtt.Will) []string {
	if w == nil {
		return []string{"No will message specified."}
	}
	return []string{
		fmt.Sprintf("Will message specified (%d bytes) (r%d, q%d).", len(w.Payload), bit(w.Retain), w.QoS),
		"\t" + w.Topic,
	}
}
