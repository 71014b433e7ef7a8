package metrics_test

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/uniomq/unio/mqtt"
)

// client speaks as much MQTT 5 as a reader of $SYS needs. It counts what goes over its connection.
type client struct {
	t        testing.TB
	nc       net.Conn
	messages chan message // closed when the connection has ended
	read     atomic.Int64

	mu    sync.Mutex // guards writing and wrote
	wrote int64
}

type message struct {
	topic, value string
	qos          byte
	retain       bool
}

// connect connects a client over nc, and reads until the test ends or close is called.
func connect(t testing.TB, nc net.Conn, p mqtt.Connect) *client {
	t.Helper()
	p.Version = mqtt.V5
	c := &client{t: t, nc: nc, messages: make(chan message, 4096)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c.receive()
	}()
	t.Cleanup(func() {
		_ = nc.Close()
		<-ended
	})
	c.send(&p)
	return c
}

// subscribe asks for filters with RETAIN as it was published, so that retained messages can be told from others.
func (c *client) subscribe(qos byte, filters ...string) {
	s := mqtt.Subscribe{PacketID: 1}
	for _, f := range filters {
		s.Subscriptions = append(s.Subscriptions, mqtt.Subscription{Filter: f, Options: mqtt.SubscribeOptions(qos | 8)})
	}
	c.send(&s)
}

func (c *client) publish(topic, payload string, qos byte) {
	p := mqtt.Publish{Topic: []byte(topic), Payload: []byte(payload), QoS: qos}
	if qos > 0 {
		p.PacketID = 1
	}
	c.send(&p)
}

func (c *client) send(p mqtt.Packet) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, _ := c.nc.Write(p.Append(nil, mqtt.V5)) // a connection that has ended shows in messages
	c.wrote += int64(n)
}

func (c *client) receive() {
	defer close(c.messages)
	var in []byte
	buf := make([]byte, 16<<10)
	for {
		n, err := c.nc.Read(buf)
		c.read.Add(int64(n))
		in = append(in, buf[:n]...)
		if in = c.handle(in); err != nil {
			return
		}
	}
}

// handle handles whole packets and returns what is left.
func (c *client) handle(in []byte) []byte {
	for {
		frame, rest, err := mqtt.Split(in, 0)
		if err != nil {
			c.t.Errorf("the broker sent garbage: %v", err)
			return nil
		}
		if frame == nil {
			return in
		}
		p, err := mqtt.Decode(mqtt.V5, frame)
		if err != nil {
			c.t.Errorf("the broker sent a bad packet: %v", err)
			return nil
		}
		c.answer(p)
		in = rest
	}
}

// answer acknowledges QoS 2, the only one with which the tree is published.
func (c *client) answer(p mqtt.Packet) {
	switch p := p.(type) {
	case *mqtt.Publish:
		c.messages <- message{string(p.Topic), string(p.Payload), p.QoS, p.Retain}
		if p.QoS == 2 {
			c.send(&mqtt.Ack{Kind: mqtt.PUBREC, PacketID: p.PacketID})
		}
	case *mqtt.Ack:
		if p.Kind == mqtt.PUBREL {
			c.send(&mqtt.Ack{Kind: mqtt.PUBCOMP, PacketID: p.PacketID})
		}
	}
}
