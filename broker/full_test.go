package broker_test

import (
	"sync/atomic"
	"testing"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/mqtt"
	"github.com/uniomq/unio/store"
	"github.com/uniomq/unio/store/memory"
)

// fullStore has no room while full is true.
type fullStore struct {
	store.Store
	full atomic.Bool
}

func (s *fullStore) Full() bool { return s.full.Load() }

// TestFullStoreRefusesWhatItWouldHaveToKeep has a store fill up and get room again. What needs no room goes on.
func TestFullStoreRefusesWhatItWouldHaveToKeep(t *testing.T) {
	s := &fullStore{Store: memory.New()}
	b, l := serve(t, broker.Options{Store: s})
	kept, _ := connect(t, l, stored("kept"))
	kept.subscribe("t")
	live, _ := connect(t, l, clean("live"))
	live.subscribe("live")
	pub, _ := connect(t, l, clean("pub"))
	p311 := clean("pub311")
	p311.Version = mqtt.V311
	old, _ := connect(t, l, p311)

	s.full.Store(true)
	for _, topic := range []string{"t", "retained"} {
		p := &mqtt.Publish{QoS: 1, PacketID: 1, Topic: []byte(topic), Payload: []byte("x"), Retain: topic == "retained"}
		pub.send(p)
		if a, ok := pub.read().(*mqtt.Ack); !ok || a.Reason != mqtt.QuotaExceeded {
			t.Errorf("PUBLISH to %s was answered with %+v", topic, a)
		}
		p.PacketID = 2
		old.send(p, &mqtt.Pingreq{})
		if a, ok := old.read().(*mqtt.Pingresp); !ok { // [MQTT-4.3.2-2 in 3.1.1] not acknowledged is not accepted
			t.Errorf("PUBLISH to %s over 3.1.1 was answered with %+v", topic, a)
		}
	}
	_, ack := connect(t, l, stored("new"))
	if ack.Reason != mqtt.QuotaExceeded {
		t.Errorf("a new stored session gets %v", ack.Reason)
	}
	if n := b.Stats().Dropped[broker.DropStoreFull]; n != 4 {
		t.Errorf("%d drops were counted, want 4", n)
	}
	for _, topic := range []string{"live", "nobody"} { // what needs no store
		if code := pub.publish(topic, "y"); code.Failed() {
			t.Errorf("PUBLISH to %s: %v", topic, code)
		}
	}
	if m := live.message(); string(m.Payload) != "y" {
		t.Errorf("the live subscriber got %q", m.Payload)
	}
	again, ack := connect(t, l, stored("kept"))
	if !ack.SessionPresent {
		t.Errorf("a session that is stored was not resumed: %+v", ack)
	}
	for filter, want := range map[string]mqtt.ReasonCode{"t": 1, "new": mqtt.QuotaExceeded} {
		again.send(&mqtt.Subscribe{PacketID: 9, Subscriptions: []mqtt.Subscription{{Filter: filter, Options: 1}}})
		if a, ok := again.read().(*mqtt.Suback); !ok || a.Reasons[0] != want {
			t.Errorf("SUBSCRIBE to %s was answered with %+v, want %v", filter, a, want)
		}
	}

	s.full.Store(false)
	if code := pub.publish("t", "z"); code != mqtt.Success {
		t.Errorf("with room again: %v", code)
	}
	if m := again.message(); string(m.Payload) != "z" {
		t.Errorf("got %q", m.Payload)
	}
}
