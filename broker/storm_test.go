package broker_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/mqtt"
)

// TestTakeoverStormOnSockets has few client ids fought over by many connections that publish to each other, so that
// connections are closed by others while they run the protocol. Everybody must get CONNACK, and Shutdown must find an end.
func TestTakeoverStormOnSockets(t *testing.T) {
	onSockets(t, plainOptions, func(t *testing.T, b *broker.Broker, dial func() *client) {
		var wg sync.WaitGroup
		for w := range 8 {
			wg.Go(func() {
				random := rand.New(rand.NewPCG(1, uint64(w)))
				for range 150 {
					fight(t, dial().nc, fmt.Sprint("id", random.IntN(3)), random)
				}
			})
		}
		wg.Wait()
		t.Cleanup(func() { // behind Shutdown
			if n := b.Stats(); n.Connections != 0 || n.Unaccepted != 0 || n.Panics != 0 {
				t.Errorf("after shutdown: %+v", n)
			}
		})
	})
}

// fight connects, takes the id from whoever has it, says something, and goes.
func fight(t *testing.T, nc net.Conn, id string, random *rand.Rand) {
	defer nc.Close()
	connect := mqtt.Connect{ClientID: id, CleanStart: random.IntN(2) == 0}
	connect.Properties.SetSessionExpiry(uint32(random.IntN(2) * 60))
	p := connect.Append(nil, mqtt.V5)
	p = (&mqtt.Subscribe{PacketID: 1, Subscriptions: []mqtt.Subscription{{Filter: "t", Options: 1}}}).Append(p, mqtt.V5)
	for i := range random.IntN(20) {
		p = (&mqtt.Publish{QoS: byte(i % 2), PacketID: uint16(i % 2), Topic: []byte("t"), Payload: make([]byte, 100)}).Append(p, mqtt.V5)
	}
	_, _ = nc.Write(p) // it may be taken over before the end
	var first [1]byte
	if _, err := io.ReadFull(nc, first[:]); err != nil || mqtt.Type(first[0]>>4) != mqtt.CONNACK {
		t.Errorf("instead of CONNACK came %x, %v", first, err)
	}
}
