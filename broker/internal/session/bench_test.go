package session

import (
	"testing"

	"github.com/uniomq/unio/mqtt"
	"github.com/uniomq/unio/store"
)

// BenchmarkInbound takes a QoS 2 message and its release.
func BenchmarkInbound(b *testing.B) {
	s := New(Config{ReceiveMaximum: 20})
	p := mqtt.Publish{QoS: 2, Topic: []byte("bench/session")}
	b.ReportAllocs()
	for b.Loop() {
		p.PacketID++
		if p.PacketID == 0 {
			p.PacketID = 1
		}
		if duplicate, err := s.Accept(p.PacketID, Digest(&p), 0); duplicate || err != nil {
			b.Fatal(duplicate, err)
		}
		s.Receive(p.PacketID, Digest(&p))
		if !s.Release(p.PacketID) {
			b.Fatal("unknown")
		}
	}
}

// BenchmarkOutbound sends a window of QoS 1 messages and takes their acknowledgements.
func BenchmarkOutbound(b *testing.B) {
	const window = 20
	s := New(Config{Window: window})
	var d store.Delivery
	var ack mqtt.Ack
	b.ReportAllocs()
	for b.Loop() {
		first := s.NextID()
		for range window {
			d = store.Delivery{PacketID: s.NextID(), QoS: 1}
			s.Sent(&d, 64, store.Sent)
		}
		for i := range uint16(window) {
			id := first + i
			if id < first { // identifiers go round, and 0 is none
				id++
			}
			ack = mqtt.Ack{Kind: mqtt.PUBACK, PacketID: id}
			if out, err := s.Acknowledge(&ack); err != nil || !out.Done {
				b.Fatal(out, err)
			}
		}
	}
}
