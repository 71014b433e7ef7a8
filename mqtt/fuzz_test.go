package mqtt

import (
	"bytes"
	"errors"
	"reflect"
	"testing"
)

// checkFrame checks what must hold for any frame: an error is an *Error; a packet
// that was read is written as a packet that reads the same; a struct that was used
// before gives the same result as a new one.
func checkFrame(t *testing.T, v Version, frame []byte, used Packet) {
	t.Helper()
	p, err := Decode(v, frame)
	if used != nil {
		if again := used.Decode(v, frame); !errors.Is(again, err) {
			t.Fatalf("%x: a used struct gives %v, a new one %v", frame, again, err)
		}
	}
	if err != nil {
		var e *Error
		if !errors.As(err, &e) || !e.Reason.Failed() {
			t.Fatalf("%x: %#v is not an Error with a failure", frame, err)
		}
		return
	}
	v = versionOf(p, v)
	written := p.Append(nil, v)
	if used != nil && !bytes.Equal(used.Append(nil, v), written) {
		t.Fatalf("%x: a used struct is written as %x, a new one as %x", frame, used.Append(nil, v), written)
	}
	cut, rest, err := Split(written, 0)
	if err != nil || len(cut) != len(written) || len(rest) != 0 {
		t.Fatalf("%x: written as %x, which is split as %x, %x, %v", frame, written, cut, rest, err)
	}
	again, err := Decode(v, written)
	if err != nil {
		t.Fatalf("%x: written as %x, which is refused: %v", frame, written, err)
	}
	if !reflect.DeepEqual(p, again) {
		t.Fatalf("%x: read as %+v, after writing as %+v", frame, p, again)
	}
	if third := again.Append(nil, v); !bytes.Equal(third, written) {
		t.Fatalf("%x: written as %x, then as %x", frame, written, third)
	}
	if pub, ok := p.(*Publish); ok {
		checkPublish(t, v, pub, written)
	}
}

func checkPublish(t *testing.T, v Version, p *Publish, written []byte) {
	t.Helper()
	if p.Size(v) != len(written) {
		t.Fatalf("%x: Size %d, written are %d", written, p.Size(v), len(written))
	}
	at := PacketIDOffset(written)
	if (at >= 0) != (p.QoS > 0) {
		t.Fatalf("%x: PacketIDOffset %d at QoS %d", written, at, p.QoS)
	}
	if at >= 0 && (written[at] != byte(p.PacketID>>8) || written[at+1] != byte(p.PacketID)) {
		t.Fatalf("%x: PacketIDOffset %d is not where %04x lies", written, at, p.PacketID)
	}
}

// fuzzPacket fuzzes the body of one packet type behind a fixed header that fits.
// The input's first byte is the type with its flags.
func fuzzPacket(f *testing.F, cases []wireCase, types ...Type) {
	add := func(v Version, frame []byte) {
		_, size, ok := varint(frame[1:])
		if ok && size > 0 {
			f.Add(byte(v), frame[0], frame[1+size:])
		}
	}
	used := map[Type]Packet{}
	for _, typ := range types {
		used[typ] = New(typ)
	}
	for _, c := range cases {
		for _, v := range c.versions {
			add(v, wire(c.wire))
		}
	}
	for _, c := range errorCases {
		if frame := wire(c.wire); used[Type(frame[0]>>4)] != nil {
			add(c.versions[0], frame)
		}
	}
	f.Fuzz(func(t *testing.T, v, first byte, body []byte) {
		typ := Type(first >> 4)
		if used[typ] == nil {
			typ = types[0]
		}
		frame := appendVarint([]byte{byte(typ)<<4 | first&0x0F}, len(body))
		checkFrame(t, V31+Version(v%3), append(frame, body...), used[typ])
	})
}

func FuzzConnect(f *testing.F)     { fuzzPacket(f, connectCases, CONNECT) }
func FuzzConnack(f *testing.F)     { fuzzPacket(f, connackCases, CONNACK) }
func FuzzPublish(f *testing.F)     { fuzzPacket(f, publishCases, PUBLISH) }
func FuzzAck(f *testing.F)         { fuzzPacket(f, ackCases, PUBACK, PUBREC, PUBREL, PUBCOMP) }
func FuzzSubscribe(f *testing.F)   { fuzzPacket(f, subscribeCases, SUBSCRIBE) }
func FuzzSuback(f *testing.F)      { fuzzPacket(f, subackCases, SUBACK) }
func FuzzUnsubscribe(f *testing.F) { fuzzPacket(f, unsubscribeCases, UNSUBSCRIBE) }
func FuzzUnsuback(f *testing.F)    { fuzzPacket(f, unsubackCases, UNSUBACK) }
func FuzzPing(f *testing.F)        { fuzzPacket(f, pingCases, PINGREQ, PINGRESP) }
func FuzzDisconnect(f *testing.F)  { fuzzPacket(f, disconnectCases, DISCONNECT) }
func FuzzAuth(f *testing.F)        { fuzzPacket(f, authCases, AUTH) }

// FuzzSplitDecode feeds a stream of bytes as a connection would: all packets of a
// prefix are those of the whole, and no frame is larger than the limit.
func FuzzSplitDecode(f *testing.F) {
	var all []byte
	for _, cases := range allCases() {
		for _, c := range cases {
			for _, v := range c.versions {
				f.Add(byte(v), uint16(0), wire(c.wire))
			}
			all = append(all, wire(c.wire)...)
		}
	}
	for _, c := range errorCases {
		f.Add(byte(c.versions[0]), uint16(20), wire(c.wire))
	}
	f.Add(byte(V5), uint16(60), all)
	f.Fuzz(func(t *testing.T, version byte, limit uint16, stream []byte) {
		v := Version(version)
		rest := stream
		for {
			frame, next, err := Split(rest, uint32(limit))
			if frame == nil || err != nil {
				if !bytes.Equal(next, rest) || frame != nil {
					t.Fatalf("%x: no packet, but split into %x and %x, %v", rest, frame, next, err)
				}
				return
			}
			if len(frame) < 2 || limit > 0 && len(frame) > int(limit) || len(frame)+len(next) != len(rest) {
				t.Fatalf("%x: split into %x and %x with limit %d", rest, frame, next, limit)
			}
			if early, _, err := Split(frame[:len(frame)-1], uint32(limit)); early != nil || err != nil {
				t.Fatalf("%x: one byte less is split as %x, %v", frame, early, err)
			}
			checkFrame(t, v, frame, nil)
			rest = next
		}
	})
}
