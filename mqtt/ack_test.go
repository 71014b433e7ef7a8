package mqtt

import (
	"bytes"
	"testing"
)

var ackCases = []wireCase{
	{name: "PUBACK", versions: every, wire: "40 02 000a", packet: &Ack{Kind: PUBACK, PacketID: 10}},
	{name: "PUBREC", versions: every, wire: "50 02 000a", packet: &Ack{Kind: PUBREC, PacketID: 10}},
	{name: "PUBREL", versions: every, wire: "62 02 000a", packet: &Ack{Kind: PUBREL, PacketID: 10}},
	{name: "PUBCOMP", versions: every, wire: "70 02 000a", packet: &Ack{Kind: PUBCOMP, PacketID: 10}},
	{
		name: "PUBREL repeated", versions: only31, wire: "6a 02 000a", packet: &Ack{Kind: PUBREL, PacketID: 10},
		canonical: "62 02 000a",
	},
	{
		name: "reason alone", versions: only5, wire: "40 03 000a 10",
		packet: &Ack{Kind: PUBACK, PacketID: 10, Reason: NoMatchingSubscribers},
	},
	{
		name: "success spelled out", versions: only5, wire: "40 03 000a 00",
		packet: &Ack{Kind: PUBACK, PacketID: 10}, canonical: "40 02 000a",
	},
	{
		name: "no properties spelled out", versions: only5, wire: "50 04 000a 87 00",
		packet: &Ack{Kind: PUBREC, PacketID: 10, Reason: NotAuthorized}, canonical: "50 03 000a 87",
	},
	{
		name: "reason and properties", versions: only5,
		wire: "62 10 000a 92 0c 1f 0002 'no' 26 0001 'k' 0001 'v'",
		packet: &Ack{
			Kind: PUBREL, PacketID: 10, Reason: PacketIdentifierNotFound,
			Properties: props(func(p *Properties) { p.SetReasonString("no"); p.AddUser("k", "v") }),
		},
	},
	{
		name: "success and properties", versions: only5, wire: "70 09 000a 00 05 1f 0002 'ok'",
		packet: &Ack{
			Kind: PUBCOMP, PacketID: 10,
			Properties: props(func(p *Properties) { p.SetReasonString("ok") }),
		},
	},
}

func TestAck(t *testing.T) {
	t.Parallel()
	testWire(t, ackCases)
}

func TestAckTakesItsKindFromTheFrame(t *testing.T) {
	t.Parallel()
	a := Ack{Kind: PUBACK}
	if err := a.Decode(V5, wire("62 02 000a")); err != nil || a.Type() != PUBREL {
		t.Errorf("%v, %v", a.Type(), err)
	}
}

func TestPubackDoesNotAllocate(t *testing.T) {
	for _, v := range every {
		frame := wire("40 02 000a")
		var a Ack
		dst := make([]byte, 0, 16)
		if n := testing.AllocsPerRun(100, func() {
			if a.Decode(v, frame) != nil {
				t.Fail()
			}
			dst = a.Append(dst[:0], v)
		}); n != 0 {
			t.Errorf("%v: %v allocations", v, n)
		}
		if !bytes.Equal(dst, frame) {
			t.Errorf("%v: %x", v, dst)
		}
	}
}

func BenchmarkPubackDecode(b *testing.B) {
	b.ReportAllocs()
	frame := wire("40 02 000a")
	var a Ack
	for b.Loop() {
		if err := a.Decode(V5, frame); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPubackAppend(b *testing.B) {
	b.ReportAllocs()
	a := Ack{Kind: PUBACK, PacketID: 10}
	var dst []byte
	for b.Loop() {
		dst = a.Append(dst[:0], V5)
	}
}
