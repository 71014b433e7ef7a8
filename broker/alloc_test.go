//go:build !race

package broker_test

import (
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
