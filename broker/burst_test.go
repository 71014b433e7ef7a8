package broker_test

import (
	"fmt"
	"runtime"
	"sync"
	"testing"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/internal/memnet"
	"github.com/uniomq/unio/mqtt"
)

// heapInUse returns the bytes of live objects. The second collection frees what finalizers and pools held back in the first.
func heapInUse() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// burst connects clients, of which each subscribes to filters and stores retained messages, calls full, and undoes all of it. It is a test of
// its own, so that nothing of the clients waits for the end of the caller's.
func burst(t *testing.T, l *memnet.Listener, gone *sync.WaitGroup, full func()) {
	t.Helper()
	if !t.Run("burst", func(t *testing.T) { comeAndGo(t, l, gone, full) }) {
		t.FailNow()
	}
}

func comeAndGo(t *testing.T, l *memnet.Listener, gone *sync.WaitGroup, full func()) {
	t.Helper()
	const clients, filters, retained = 1500, 8, 4
	all := make([]*client, clients)
	name := func(client, i int) string { return fmt.Sprintf("burst/%d/%d", client, i) }
	gone.Add(clients)
	for i := range all {
		c, _ := connect(t, l, mqtt.Connect{Version: mqtt.V5, ClientID: fmt.Sprint("burst", i), CleanStart: true})
		all[i] = c
		s := &mqtt.Subscribe{PacketID: 1}
		for j := range filters {
			filter := name(i, j)
			if j%4 == 0 {
				filter += "/+/#"
			}
			s.Subscriptions = append(s.Subscriptions, mqtt.Subscription{Filter: filter, Options: 1})
		}
		c.send(s)
		c.read()
		for j := range retained {
			c.send(&mqtt.Publish{Topic: []byte("retained/" + name(i, j)), QoS: 1, PacketID: 1, Retain: true, Payload: make([]byte, 200)})
			c.read() // PUBACK
		}
	}
	full()
	for i, c := range all {
		for j := range retained {
			c.send(&mqtt.Publish{Topic: []byte("retained/" + name(i, j)), QoS: 1, PacketID: 1, Retain: true})
			c.read()
		}
		c.send(&mqtt.Disconnect{})
		c.read() // the end
	}
	gone.Wait()
}

// TestMemoryReturnsAfterABurst is not parallel: it looks at the heap of the whole process.
func TestMemoryReturnsAfterABurst(t *testing.T) {
	var gone sync.WaitGroup
	b, l := serve(t, broker.Options{Events: broker.Events{Disconnected: func(*broker.Client, error) { gone.Done() }}})
	burst(t, l, &gone, func() {}) // pools and tables have their size
	before := heapInUse()
	var peak int64
	burst(t, l, &gone, func() { peak = heapInUse() })
	if s := b.Stats(); s.Connections != 0 || s.Sessions != 0 || s.Subscriptions != 0 || s.Retained != 0 {
		t.Fatalf("something is left: %+v", s)
	}
	grown, left := peak-before, heapInUse()-before
	t.Logf("%d kB at the peak, of which %d kB are left", grown>>10, left>>10)
	if grown < 5<<20 {
		t.Fatalf("the burst took %d bytes: too few to tell", grown)
	}
	// What a table or a pool keeps is there before, too. A tenth is far below what one kind of leak would leave.
	if left > grown/10 {
		t.Errorf("%d bytes of %d are left after the burst", left, grown)
	}
}
