package session

import (
	"fmt"
	"testing"

	"github.com/uniomq/unio/mqtt"
	"github.com/uniomq/unio/store"
)

// TestOrphansAreWhatAMemberHasNotAcknowledged has messages of a shared subscription acknowledged, in flight and waiting.
func TestOrphansAreWhatAMemberHasNotAcknowledged(t *testing.T) {
	t.Parallel()
	s := New(Config{Window: 4, ReceiveMaximum: 1})
	send := func(payload string) {
		d := store.Delivery{PacketID: s.NextID(), QoS: 1, Group: "$share/g/t"}
		s.Sent(&d, len(payload), store.Sent)
		buffer := []byte("t" + payload + "p")
		s.Keep(&d, &store.Message{Payload: buffer[1 : 1+len(payload)], Properties: buffer[1+len(payload):], Username: "u"}, buffer[:1])
		clear(buffer) // it was copied
	}
	for _, p := range []string{"a", "bb", "ccc", "dddd"} {
		send(p)
	}
	for _, id := range []uint16{3, 1} {
		if _, err := s.Acknowledge(&mqtt.Ack{Kind: mqtt.PUBACK, PacketID: id}); err != nil {
			t.Fatal(err)
		}
	}
	send("e") // in memory that was used before
	other := store.Delivery{PacketID: s.NextID(), QoS: 1}
	s.Sent(&other, 1, store.Sent)
	waits := &store.Message{Topic: "t", Payload: []byte("f")}
	s.Push(&store.Delivery{QoS: 1, Message: waits})
	s.Push(&store.Delivery{QoS: 2, Group: "$share/g/t", Message: waits})
	got := ""
	for _, d := range s.Orphans() {
		got += fmt.Sprintf("%d/%d %s %s%s%s; ", d.QoS, d.State, d.Message.Topic, d.Message.Payload, d.Message.Properties, d.Message.Username)
	}
	if want := "1/1 t bbpu; 1/1 t ddddpu; 1/1 t epu; 2/0 t f; "; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
