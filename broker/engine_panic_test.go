package broker_test

import (
	"testing"
	"time"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/mqtt"
)

// TestPanicOfSentEndsOnlyItsConnection has the hook panic at PUBACK, which is sent when the batch is finished.
func TestPanicOfSentEndsOnlyItsConnection(t *testing.T) {
	o := func() broker.Options {
		return broker.Options{Events: broker.Events{Sent: func(c *broker.Client, p mqtt.Packet) {
			if a, ok := p.(*mqtt.Ack); ok && a.Kind == mqtt.PUBACK && c.ID == "bad" {
				panic("oops")
			}
		}}}
	}
	onSockets(t, o, func(t *testing.T, b *broker.Broker, dial func() *client) {
		sub := dial()
		sub.begin(clean("sub"))
		sub.subscribe("t")
		bad := dial()
		bad.begin(clean("bad"))
		bad.send(&mqtt.Publish{QoS: 1, PacketID: 1, Topic: []byte("t"), Payload: []byte("x")})
		_ = sub.nc.SetDeadline(time.Now().Add(3 * time.Second))
		if m, ok := sub.read().(*mqtt.Publish); !ok || string(m.Payload) != "x" {
			t.Error("the subscriber was never flushed")
		}
		if n := b.Stats().Panics; n != 1 {
			t.Errorf("%d panics", n)
		}
	})
}

// TestPanicOfSentAtConnack: the hook is called with the mutex held.
func TestPanicOfSentAtConnack(t *testing.T) {
	o := func() broker.Options {
		return broker.Options{Events: broker.Events{Sent: func(c *broker.Client, p mqtt.Packet) {
			if _, ok := p.(*mqtt.Connack); ok && c.ID == "bad" {
				panic("oops")
			}
		}}}
	}
	onSockets(t, o, func(t *testing.T, b *broker.Broker, dial func() *client) {
		bad := dial()
		p := clean("bad")
		bad.send(&p)
		_ = bad.nc.SetDeadline(time.Now().Add(3 * time.Second))
		for bad.read() != nil {
		}
		if n := b.Stats().Panics; n != 1 {
			t.Errorf("%d panics", n)
		}
	})
}

// TestPanicOfDisconnected: the last hook of a connection.
func TestPanicOfDisconnected(t *testing.T) {
	told := make(chan string, 1)
	o := func() broker.Options {
		return broker.Options{Events: broker.Events{
			Disconnected: func(c *broker.Client, _ error) {
				if c.ID == "bad" {
					panic("oops")
				}
			},
			Panicked: func(c *broker.Client, _ any, _, _ []byte) { told <- c.ID },
		}}
	}
	onSockets(t, o, func(t *testing.T, _ *broker.Broker, dial func() *client) {
		bad := dial()
		bad.begin(clean("bad"))
		bad.send(&mqtt.Disconnect{})
		if id := <-told; id != "bad" {
			t.Errorf("a panic of %q", id)
		}
	})
}
