package broker_test

import (
	"strings"
	"testing"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/mqtt"
	"github.com/uniomq/unio/topic"
)

// TestTopicThatIsTooLongBehindTheMountPointIsRefused has somebody outside of the mount point, who
// would get what is longer than a packet can carry.
func TestTopicThatIsTooLongBehindTheMountPointIsRefused(t *testing.T) {
	const point = "site/"
	b, outside := serve(t, broker.Options{})
	inside := listenWith(t, b, broker.ListenerOptions{MountPoint: point})
	out, _ := connect(t, outside, clean("out"))
	out.subscribe("#")
	in, _ := connect(t, inside, clean("in"))
	fits := strings.Repeat("a", topic.MaxBytes-len(point))
	long := fits + "a"

	for qos, want := range []mqtt.Type{mqtt.PINGRESP, mqtt.PUBACK, mqtt.PUBREC} {
		m := &mqtt.Publish{Topic: []byte(long), QoS: byte(qos), PacketID: uint16(qos)}
		in.send(m, &mqtt.Pingreq{})
		p := in.read()
		if a, ok := p.(*mqtt.Ack); p == nil || p.Type() != want || ok && a.Reason != mqtt.TopicNameInvalid {
			t.Fatalf("QoS %d: %+v", qos, p)
		}
		if qos > 0 {
			in.read() // PINGRESP
		}
	}
	for _, filter := range []string{long, "$share/g/" + long[len("$share/g/"):]} {
		if code := in.trySubscribe(filter); code != mqtt.TopicFilterInvalid {
			t.Errorf("subscribe: %v", code)
		}
		in.send(&mqtt.Unsubscribe{PacketID: 1, Filters: []string{filter}})
		if ack := in.read().(*mqtt.Unsuback); ack.Reasons[0] != mqtt.TopicFilterInvalid {
			t.Errorf("unsubscribe: %v", ack.Reasons)
		}
	}
	_ = in.publish(fits, "x")
	if m := out.message(); string(m.Topic) != point+fits || string(m.Payload) != "x" {
		t.Errorf("outside came a topic of %d bytes and %q", len(m.Topic), m.Payload)
	}
	if n := b.Stats().Dropped[broker.DropRefused]; n != 3 {
		t.Errorf("%d dropped, want 3", n)
	}

	will := mqtt.Connect{Version: mqtt.V5, ClientID: "will", CleanStart: true, Will: &mqtt.Will{Topic: long, Payload: []byte("x")}}
	if _, ack := connect(t, inside, will); ack.Reason != mqtt.TopicNameInvalid {
		t.Errorf("will: %v", ack.Reason)
	}
	will.Version = mqtt.V311
	refused := dial(t, inside, mqtt.V311)
	refused.send(&will)
	if p := refused.read(); p != nil {
		t.Errorf("will of 3.1.1: %+v", p)
	}
	for name, p := range map[string]mqtt.Packet{
		"publish":     &mqtt.Publish{Topic: []byte(long), QoS: 1, PacketID: 1},
		"subscribe":   &mqtt.Subscribe{PacketID: 1, Subscriptions: []mqtt.Subscription{{Filter: long}}},
		"unsubscribe": &mqtt.Unsubscribe{PacketID: 1, Filters: []string{long}},
	} {
		old, _ := connect(t, inside, mqtt.Connect{Version: mqtt.V311, ClientID: "old", CleanStart: true})
		old.send(p, &mqtt.Pingreq{})
		if p := old.read(); p != nil {
			t.Errorf("%s of 3.1.1: %+v", name, p)
		}
	}
	out.quiet()
}
