package broker_test

import (
	"fmt"
	"testing"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/mqtt"
)

// TestSlowReadersHoldAMessageOnce has thirty subscribers that read nothing of 18 MB: what waits for
// all of them is not much more than what waits for one.
func TestSlowReadersHoldAMessageOnce(t *testing.T) {
	onSockets(t, plainOptions, func(t *testing.T, b *broker.Broker, dial func() *client) {
		var slow []*client
		for i := range 30 {
			c := dial()
			slow = append(slow, c)
			p := clean(fmt.Sprint("slow", i))
			if i%2 == 0 {
				p = stored(fmt.Sprint("slow", i))
			}
			c.begin(p)
			c.send(&mqtt.Subscribe{PacketID: 1, Subscriptions: []mqtt.Subscription{{Filter: "slow/#", Options: mqtt.SubscribeOptions(i / 10)}}})
			c.read()
		}
		pub := dial()
		pub.begin(clean("pub"))
		payload := string(make([]byte, 4<<10))
		before := heapInUse()
		const n = 4500
		for range n {
			if code := pub.publish("slow/x", payload); code.Failed() {
				t.Fatal(code)
			}
		}
		grown := heapInUse() - before
		t.Logf("%d kB for %d kB published", grown>>10, n*len(payload)>>10)
		// 1,000 messages in the queues, 256 in the outputs: 5 MB, and their entries.
		if grown > 12<<20 {
			t.Errorf("%d bytes wait", grown)
		}
		if d := b.Stats().Dropped; d[broker.DropQueueFull] == 0 {
			t.Errorf("nothing was dropped from the queues: %v", d)
		}
		for _, c := range slow { // else Shutdown would wait for them
			_ = c.nc.Close()
		}
	})
}

// TestWithoutRoomNothingGrows says that there is no room, and that there is again.
func TestWithoutRoomNothingGrows(t *testing.T) {
	b, l := serveNarrow(t, broker.Options{})
	slow, _ := connect(t, l, clean("slow"))
	slow.send(&mqtt.Subscribe{PacketID: 1, Subscriptions: []mqtt.Subscription{{Filter: "t"}}})
	slow.read()
	closed, _ := connect(t, l, clean("window")) // acknowledges nothing
	closed.subscribe("t")
	good, _ := connect(t, l, clean("good"))
	good.send(&mqtt.Subscribe{PacketID: 1, Subscriptions: []mqtt.Subscription{{Filter: "t"}}})
	good.read()
	pub, _ := connect(t, l, clean("pub"))
	const window = 20
	send := func(n int) {
		t.Helper()
		for range n {
			if code := pub.publish("t", string(make([]byte, 1000))); code.Failed() {
				t.Fatal(code)
			}
			if m := good.message(); len(m.Payload) != 1000 {
				t.Fatalf("%d bytes", len(m.Payload))
			}
		}
	}
	b.SetRoom(0)
	send(window + 10)
	if n := b.Stats().Dropped[broker.DropQueueFull]; n != 10 {
		t.Errorf("%d messages were dropped that would have waited for a window, want 10", n)
	}
	pub.send(&mqtt.Publish{QoS: 1, PacketID: 1, Retain: true, Topic: []byte("other"), Payload: []byte("x")})
	if a, ok := pub.read().(*mqtt.Ack); !ok || a.Reason != mqtt.QuotaExceeded {
		t.Errorf("what would have to be stored is answered with %+v", a)
	}
	for _, p := range []mqtt.Connect{clean("new"), stored("newer")} {
		c, ack := connect(t, l, p)
		if ack.Reason != mqtt.Success {
			t.Errorf("a new client gets %v", ack.Reason)
			continue
		}
		c.subscribe("u")
	}
	b.SetRoom(10_000)
	send(20)
	b.SetRoom(-1)
	before := b.Stats().Dropped[broker.DropQueueFull]
	if before < 15 || before > 25 {
		t.Errorf("with room for 10,000 bytes %d of 20 messages of 1,000 were dropped", before-10)
	}
	send(10)
	if n := b.Stats().Dropped[broker.DropQueueFull]; n != before {
		t.Errorf("%d messages were dropped for want of room when there was some", n-before)
	}
}

// TestWithoutRoomALargePacketIsRefused sends most of a large packet while there is no room: its beginning is not held.
func TestWithoutRoomALargePacketIsRefused(t *testing.T) {
	b, l := serve(t, broker.Options{})
	c, _ := connect(t, l, clean("large"))
	frame := (&mqtt.Publish{Topic: []byte("t"), Payload: make([]byte, 300_000)}).Append(nil, mqtt.V5)
	half := len(frame) / 2
	if _, err := c.nc.Write(frame[:half]); err != nil {
		t.Fatal(err)
	}
	if _, err := c.nc.Write(frame[half:]); err != nil {
		t.Fatal(err)
	}
	c.send(&mqtt.Pingreq{})
	if p, ok := c.read().(*mqtt.Pingresp); !ok {
		t.Fatalf("with room the answer is %+v", p)
	}
	b.SetRoom(0)
	if _, err := c.nc.Write(frame[:half]); err != nil {
		t.Fatal(err)
	}
	if p, ok := c.read().(*mqtt.Disconnect); !ok || p.Reason != mqtt.QuotaExceeded {
		t.Errorf("without room the answer is %+v", p)
	}
}
