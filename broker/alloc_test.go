//go:build !race

package broker_test

import (
	"runtime"
	"testing"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/mqtt"
)

// Not under the race detector, which makes sync.Pool forget things at random.
func TestMessageAllocatesNothing(t *testing.T) {
	connect := sockets(t, authorizer(func(a broker.Access) bool { return len(a.Topic) > 0 || a.Action == broker.ActionConnect }))
	for _, v := range []mqtt.Version{mqtt.V311, mqtt.V5} {
		for qos := range byte(3) {
			for _, share := range []string{"", "$share/g/"} {
				x := newExchange(connect, v, qos, share)
				for range 100 { // pools and windows have their size
					x.run()
				}
				if n := testing.AllocsPerRun(1000, x.run); n >= 1 {
					t.Errorf("MQTT %v, QoS %d, %s: %v allocations for a message", v, qos, share, n)
				}
			}
		}
	}
}

// TestPacketsThatSpanReadsNeedNoNewBuffer sends many small messages in few writes, so that nearly
// each read ends within one.
func TestPacketsThatSpanReadsNeedNoNewBuffer(t *testing.T) {
	_, l := serve(t, broker.Options{})
	c, _ := connect(t, l, clean("c"))
	const rounds, round = 32, 256 << 10
	publish := mqtt.Publish{Topic: []byte("t"), Payload: make([]byte, 100)}
	var packets []byte
	for len(packets) < round {
		packets = publish.Append(packets, mqtt.V5)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range rounds {
		if _, err := c.nc.Write(packets); err != nil {
			t.Fatal(err)
		}
		c.quiet()
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > rounds*round*3/2 { // the test's own connection takes as many
		t.Errorf("%d bytes of memory were allocated for %d bytes that came", n, rounds*round)
	}
}
