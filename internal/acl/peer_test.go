package acl

import (
	"net"
	"slices"
	"testing"
	"time"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/mqtt"
)

// patience is how long a broker may take for anything.
const patience = 20 * time.Second

// peer is a client's connection to a broker.
type peer struct {
	t      *testing.T
	client *broker.Client
	conn   net.Conn
	in     []byte
	id     uint16
}

func (p *peer) send(packet mqtt.Packet) {
	p.t.Helper()
	if _, err := p.conn.Write(packet.Append(nil, mqtt.V5)); err != nil {
		p.t.Fatal(err)
	}
}

func (p *peer) next() mqtt.Packet {
	p.t.Helper()
	_ = p.conn.SetReadDeadline(time.Now().Add(patience))
	buf := make([]byte, 4096)
	for {
		frame, rest, err := mqtt.Split(p.in, mqtt.MaxPacketSize)
		if err != nil {
			p.t.Fatal(err)
		}
		if len(frame) > 0 {
			p.in = rest
			packet, err := mqtt.Decode(mqtt.V5, frame)
			if err != nil {
				p.t.Fatalf("%x: %v", frame, err)
			}
			return packet
		}
		n, err := p.conn.Read(buf)
		if err != nil {
			p.t.Fatal(err)
		}
		p.in = append(slices.Clip(p.in), buf[:n]...)
	}
}

// publish sends an empty message and returns what its acknowledgement says.
func (p *peer) publish(name string) mqtt.ReasonCode {
	p.t.Helper()
	return p.publishPacket(&mqtt.Publish{Topic: []byte(name)})
}

func (p *peer) publishPacket(m *mqtt.Publish) mqtt.ReasonCode {
	p.t.Helper()
	p.id++
	m.QoS, m.PacketID = 1, p.id
	p.send(m)
	for {
		switch ack := p.next().(type) {
		case *mqtt.Ack:
			return ack.Reason
		case *mqtt.Publish: // p subscribes, too
		default:
			p.t.Fatalf("publish to %q: %+v", m.Topic, ack)
		}
	}
}

// dial connects a client, which must be accepted.
func dial(t *testing.T, network, address string, c *mqtt.Connect) *peer {
	t.Helper()
	p, reason := try(t, network, address, c)
	if reason != mqtt.Success {
		t.Fatalf("client %q, user %q: %v", c.ClientID, c.Username, reason)
	}
	return p
}

// try connects a client and returns what the broker answers.
func try(t *testing.T, network, address string, c *mqtt.Connect) (*peer, mqtt.ReasonCode) {
	t.Helper()
	conn, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	p := &peer{t: t, conn: conn}
	p.send(c)
	ack, ok := p.next().(*mqtt.Connack)
	if !ok {
		t.Fatalf("client %q, user %q: no CONNACK", c.ClientID, c.Username)
	}
	return p, ack.Reason
}

func (p *peer) subscribe(filter string, qos byte) {
	p.t.Helper()
	p.id++
	p.send(&mqtt.Subscribe{PacketID: p.id, Subscriptions: []mqtt.Subscription{{Filter: filter, Options: mqtt.SubscribeOptions(qos)}}})
	switch ack := p.next().(type) {
	case *mqtt.Suback:
		for _, code := range ack.Reasons {
			if code >= mqtt.UnspecifiedError {
				p.t.Fatalf("subscribe to %q: %v", filter, code)
			}
		}
	default:
		p.t.Fatalf("subscribe to %q: %+v", filter, ack)
	}
}

// received returns the topics of the messages that have come. What earlier packets of
// others, already acknowledged, led to is sent before the answer to a PINGREQ.
func (p *peer) received() []string {
	p.t.Helper()
	p.send(&mqtt.Pingreq{})
	var topics []string
	for {
		switch packet := p.next().(type) {
		case *mqtt.Publish:
			topics = append(topics, string(packet.Topic))
			if packet.QoS == 1 {
				p.send(&mqtt.Ack{Kind: mqtt.PUBACK, PacketID: packet.PacketID})
			}
		case *mqtt.Pingresp:
			return topics
		default:
			p.t.Fatalf("wait for messages: %+v", packet)
		}
	}
}
