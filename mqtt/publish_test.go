package mqtt

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

var publishCases = []wireCase{
	{
		name: "QoS 0", versions: before5, wire: "30 07 0003 'a/b' 'hi'",
		packet: &Publish{Topic: []byte("a/b"), Payload: []byte("hi")},
	},
	{
		name: "empty payload", versions: before5, wire: "31 05 0003 'a/b'",
		packet: &Publish{Retain: true, Topic: []byte("a/b"), Payload: []byte{}},
	},
	{
		name: "QoS 1", versions: before5, wire: "32 09 0003 'a/b' 000a 'hi'",
		packet: &Publish{QoS: 1, Topic: []byte("a/b"), PacketID: 10, Payload: []byte("hi")},
	},
	{
		name: "QoS 2, DUP, retain", versions: before5, wire: "3d 09 0003 'a/b' ffff 'hi'",
		packet: &Publish{Dup: true, QoS: 2, Retain: true, Topic: []byte("a/b"), PacketID: 65535, Payload: []byte("hi")},
	},
	{
		name: "DUP at QoS 0", versions: only31, wire: "38 07 0003 'a/b' 'hi'",
		packet:    &Publish{Topic: []byte("a/b"), Payload: []byte("hi")},
		canonical: "30 07 0003 'a/b' 'hi'",
	},
	{
		name: "topic beyond ASCII", versions: before5, wire: "30 0b 0009 'h\u00f6he/\u65e5'",
		packet: &Publish{Topic: []byte("h\u00f6he/\u65e5"), Payload: []byte{}},
	},
	{
		name: "no properties", versions: only5, wire: "32 0a 0003 'a/b' 000a 00 'hi'",
		packet: &Publish{QoS: 1, Topic: []byte("a/b"), PacketID: 10, Payload: []byte("hi")},
	},
	{
		name: "topic alias alone", versions: only5, wire: "30 08 0000 03 23 0005 'hi'",
		packet: &Publish{
			Topic: []byte{}, Payload: []byte("hi"),
			Properties: props(func(p *Properties) { p.SetTopicAlias(5) }),
		},
	},
	{
		name: "every property", versions: only5,
		wire: "34 41 0003 'a/b' 000a 37 01 01 02 0000003c 03 000a 'text/plain' 08 0003 'r/t' 09 0002 0102" +
			" 0b 01 0b ffffff7f 23 0005 26 0001 'b' 0001 '1' 26 0001 'a' 0001 '2' 'hi'",
		packet: &Publish{
			QoS: 2, Topic: []byte("a/b"), PacketID: 10, Payload: []byte("hi"),
			Properties: props(func(p *Properties) {
				p.SetPayloadFormat(1)
				p.SetMessageExpiry(60)
				p.SetContentType("text/plain")
				p.SetResponseTopic("r/t")
				p.SetCorrelationData([]byte{1, 2})
				p.AddSubscriptionID(1)
				p.AddSubscriptionID(268_435_455)
				p.SetTopicAlias(5)
				p.AddUser("b", "1")
				p.AddUser("a", "2")
			}),
		},
	},
}

func TestPublish(t *testing.T) {
	t.Parallel()
	testWire(t, publishCases)
}

func TestPublishWritesForwardedBehindProperties(t *testing.T) {
	t.Parallel()
	in := &Publish{}
	if err := in.Decode(V5, wire("30 20 0001 't' 1c 02 0000003c 26 0001 'b' 0001 '1' 03 0001 'c' 23 0005 26 0001 'a' 0001 '2' 01 01")); err != nil {
		t.Fatal(err)
	}
	forwarded := in.Properties.AppendForwarded(nil)
	if want := wire("26 0001 'b' 0001 '1' 03 0001 'c' 26 0001 'a' 0001 '2' 01 01"); !bytes.Equal(forwarded, want) {
		t.Fatalf("AppendForwarded:\n got %x\nwant %x", forwarded, want)
	}
	out := &Publish{Topic: in.Topic, Payload: []byte("x"), Forwarded: forwarded}
	out.Properties.SetMessageExpiry(50)
	out.Properties.AddSubscriptionID(7)
	want := wire("30 20 0001 't' 1b 02 00000032 0b 07 26 0001 'b' 0001 '1' 03 0001 'c' 26 0001 'a' 0001 '2' 01 01 'x'")
	if got := out.Append(nil, V5); !bytes.Equal(got, want) {
		t.Errorf("5.0:\n got %x\nwant %x", got, want)
	}
	if got, want := out.Append(nil, V311), wire("30 04 0001 't' 'x'"); !bytes.Equal(got, want) {
		t.Errorf("3.1.1:\n got %x\nwant %x", got, want)
	}
	for _, v := range every {
		if got, want := out.Size(v), len(out.Append(nil, v)); got != want {
			t.Errorf("%v: Size %d, want %d", v, got, want)
		}
	}
}

func TestPublishSizeIsExactAtEachHeaderLength(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 100, 121, 122, 123, 124, 125, 16370, 16380, 16384, 2097140, 2097152} {
		p := &Publish{QoS: 1, Topic: []byte("abc"), PacketID: 1, Payload: make([]byte, n)}
		for _, v := range every {
			if got, want := p.Size(v), len(p.Append(nil, v)); got != want {
				t.Errorf("payload %d, %v: Size %d, want %d", n, v, got, want)
			}
		}
	}
}

func TestPublishDropsPropertiesThatItMayNotCarry(t *testing.T) {
	t.Parallel()
	p := &Publish{Topic: []byte("t")}
	p.Properties.SetReasonString("no")
	p.Properties.SetWillDelay(1)
	if got, want := p.Append(nil, V5), wire("30 04 0001 't' 00"); !bytes.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
}

func TestPublishWritesNoDupAtQoS0(t *testing.T) {
	t.Parallel()
	p := &Publish{Dup: true, Topic: []byte("t")}
	if got, want := p.Append(nil, V311), wire("30 03 0001 't'"); !bytes.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
}

func TestPacketIDOffsetPatches(t *testing.T) {
	t.Parallel()
	for _, payload := range []int{0, 200, 20000} {
		for _, v := range every {
			p := &Publish{QoS: 2, Topic: []byte("a/b"), PacketID: 1, Payload: make([]byte, payload)}
			p.Properties.SetTopicAlias(3)
			frame := p.Append(nil, v)
			at := PacketIDOffset(frame)
			if at < 0 {
				t.Fatalf("payload %d, %v: no offset", payload, v)
			}
			frame[at], frame[at+1] = 0x12, 0x34
			if err := p.Decode(v, frame); err != nil || p.PacketID != 0x1234 {
				t.Errorf("payload %d, %v: packet identifier %x, %v", payload, v, p.PacketID, err)
			}
		}
	}
}

func TestPacketIDOffsetOfOthersIsMinusOne(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "32", "32 80", "30 07 0003 'a/b' 'hi'", "40 02 0001", "32 01 00", "32 05 0003 'a/b'"} {
		if got := PacketIDOffset(wire(s)); got != -1 {
			t.Errorf("%s: %d", s, got)
		}
	}
}

func TestPublishDoesNotAllocate(t *testing.T) {
	cases := map[string]struct {
		v    Version
		wire string
	}{
		"3.1.1":               {V311, publishCases[2].wire},
		"5.0":                 {V5, publishCases[6].wire},
		"5.0 with properties": {V5, publishCases[8].wire},
	}
	for name, c := range cases {
		frame := wire(c.wire)
		var p Publish
		dst := make([]byte, 0, 256)
		if err := p.Decode(c.v, frame); err != nil { // allocates User and SubscriptionIDs once
			t.Fatal(err)
		}
		if n := testing.AllocsPerRun(100, func() {
			if p.Decode(c.v, frame) != nil {
				t.Fail()
			}
			dst = p.Append(dst[:0], c.v)
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
		if !bytes.Equal(dst, frame) {
			t.Errorf("%s:\n got %x\nwant %x", name, dst, frame)
		}
	}
}

func TestDecodedFieldsCannotGrowIntoTheFrame(t *testing.T) {
	t.Parallel()
	frame := wire(publishCases[8].wire)
	original := slices.Clone(frame)
	var p Publish
	if err := p.Decode(V5, frame); err != nil {
		t.Fatal(err)
	}
	p.Topic = append(p.Topic, "xxxxxx"...)
	p.Properties.ContentType = append(p.Properties.ContentType, "xxxxxx"...)
	p.Properties.User[0].Name = append(p.Properties.User[0].Name, "xxxxxx"...)
	if !bytes.Equal(frame, original) {
		t.Errorf("appending to a field changed the frame:\n got %x\nwant %x", frame, original)
	}
}

// benchPublishes are the shapes of the benchmarks: a 64 byte payload as in most
// comparisons, and a message with all that an application may set.
func benchPublishes() map[string]*Publish {
	plain := &Publish{QoS: 1, PacketID: 7, Topic: []byte("plant/7/line/3/temperature"), Payload: []byte(strings.Repeat("x", 64))}
	rich := *plain
	rich.Properties = props(func(p *Properties) {
		p.SetPayloadFormat(1)
		p.SetMessageExpiry(60)
		p.SetContentType("application/json")
		p.SetResponseTopic("plant/7/answers")
		p.SetCorrelationData([]byte("0123456789abcdef"))
		p.AddUser("trace", "4bf92f3577b34da6")
	})
	return map[string]*Publish{"plain": plain, "6-properties": &rich}
}

func benchEachPublish(b *testing.B, run func(b *testing.B, v Version, p *Publish)) {
	for _, name := range []string{"plain", "6-properties"} {
		for _, v := range since311 {
			if name != "plain" && v < V5 {
				continue
			}
			b.Run("v"+v.String()+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				run(b, v, benchPublishes()[name])
			})
		}
	}
}

func BenchmarkPublishDecode(b *testing.B) {
	benchEachPublish(b, func(b *testing.B, v Version, p *Publish) {
		frame := p.Append(nil, v)
		var in Publish
		for b.Loop() {
			if err := in.Decode(v, frame); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkPublishAppend(b *testing.B) {
	benchEachPublish(b, func(b *testing.B, v Version, p *Publish) {
		var dst []byte
		for b.Loop() {
			dst = p.Append(dst[:0], v)
		}
	})
}

func BenchmarkSplit(b *testing.B) {
	b.ReportAllocs()
	frame := benchPublishes()["plain"].Append(nil, V5)
	for b.Loop() {
		if f, _, err := Split(frame, 1<<20); err != nil || f == nil {
			b.Fatal(err)
		}
	}
}
