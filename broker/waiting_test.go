package broker_test

import (
	"io"
	"runtime"
	"testing"
	"time"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/mqtt"
)

// TestWhatWaitsForSocketsIsCounted has a subscriber that reads nothing until packets wait for it, and
// then all.
func TestWhatWaitsForSocketsIsCounted(t *testing.T) {
	onSockets(t, plainOptions, func(t *testing.T, b *broker.Broker, dial func() *client) {
		slow, gone := dial(), dial()
		for i, c := range []*client{slow, gone} {
			c.begin(clean([]string{"slow", "gone"}[i]))
			c.send(&mqtt.Subscribe{PacketID: 1, Subscriptions: []mqtt.Subscription{{Filter: "t"}}})
			c.read()
		}
		pub := dial()
		pub.begin(clean("pub"))
		if n := b.Stats(); n.PacketsWaiting != 0 || n.BytesWaiting != 0 {
			t.Errorf("%d packets, %d bytes wait for nobody", n.PacketsWaiting, n.BytesWaiting)
		}
		payload, sent := string(make([]byte, 4<<10)), int64(0)
		for b.Stats().PacketsWaiting < 20 && sent < 100_000 {
			if code := pub.publish("t", payload); code.Failed() {
				t.Fatal(code)
			}
			sent++
		}
		if n := b.Stats(); n.PacketsWaiting < 20 || n.PacketsWaiting > 2*sent || n.BytesWaiting < 20*4<<10/2 {
			t.Errorf("%d packets, %d bytes wait of %d messages", n.PacketsWaiting, n.BytesWaiting, sent)
		}
		_ = gone.nc.Close()
		go func() { _, _ = io.Copy(io.Discard, slow.nc) }()
		n := b.Stats()
		for until := time.Now().Add(20 * time.Second); n.PacketsWaiting != 0 || n.BytesWaiting != 0; n = b.Stats() {
			if time.Now().After(until) {
				t.Fatalf("%d packets, %d bytes wait although all is read", n.PacketsWaiting, n.BytesWaiting)
			}
			runtime.Gosched()
		}
	})
}
