package mqtt

import (
	"bytes"
	"errors"
	"testing"
)

func TestSplit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, wire  string
		max         uint32
		frame, rest string
	}{
		{"nothing", "", 0, "", ""},
		{"type alone", "30", 0, "", "30"},
		{"half a length", "30 ff", 0, "", "30 ff"},
		{"half a body", "30 05 0003", 0, "", "30 05 0003"},
		{"empty body", "c0 00", 0, "c0 00", ""},
		{"two packets", "c0 00 d0 00", 0, "c0 00", "d0 00"},
		{"one and a half", "40 02 000a 40", 0, "40 02 000a", "40"},
		{"as large as allowed", "40 02 000a", 4, "40 02 000a", ""},
		{"AUTH", "f0 00", 0, "f0 00", ""},
		{"flags that only 3.1 allows", "6a 02 000a cf 00", 0, "6a 02 000a", "cf 00"},
		{"a length that 5.0 does not allow", "c0 80 80 00 c0 00", 0, "c0 80 80 00", "c0 00"},
		{"the longest length", "30 ffffff7f", 0, "", "30 ffffff7f"},
		{"the longest packet", "30 ffffff7f", MaxPacketSize, "", "30 ffffff7f"},
	} {
		frame, rest, err := Split(wire(c.wire), c.max)
		if err != nil || !bytes.Equal(frame, wire(c.frame)) || !bytes.Equal(rest, wire(c.rest)) {
			t.Errorf("%s: %x, %x, %v", c.name, frame, rest, err)
		}
		if (frame == nil) != (c.frame == "") {
			t.Errorf("%s: frame is nil: %v", c.name, frame == nil)
		}
	}
}

// TestSplitRefusesBeforeTheBody gives only as many bytes as are needed to know.
func TestSplitRefusesBeforeTheBody(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, wire string
		max        uint32
		want       ReasonCode
	}{
		{"type 0", "00", 0, MalformedPacket},
		{"flags", "41", 0, MalformedPacket},
		{"AUTH flags", "f1", 0, MalformedPacket},
		{"QoS 3", "36", 0, MalformedPacket},
		{"QoS 3 with DUP", "3f", 0, MalformedPacket},
		{"overlong length", "30 8000", 0, MalformedPacket},
		{"overlong length of four bytes", "30 ffffff00", 0, MalformedPacket},
		{"length without end", "30 ffffffff", 0, MalformedPacket},
		{"too large", "30 03", 4, PacketTooLarge},
		{"one byte too large", "30 ffffff7f", MaxPacketSize - 1, PacketTooLarge},
		{"empty but too large", "c0 00", 1, PacketTooLarge},
	} {
		p := wire(c.wire)
		frame, rest, err := V5.Split(p, c.max)
		if !errors.Is(err, c.want) || frame != nil || !bytes.Equal(rest, p) {
			t.Errorf("%s: %x, %x, %v, want %v", c.name, frame, rest, err, c.want)
		}
	}
}

func TestFrameCannotGrowIntoTheRest(t *testing.T) {
	t.Parallel()
	frame, rest, err := Split(wire("c0 00 d0 00"), 0)
	if err != nil {
		t.Fatal(err)
	}
	_ = append(frame, 0xff)
	if rest[0] != 0xd0 {
		t.Errorf("appending to the frame changed the rest to %x", rest)
	}
}

func TestDecodeRefusesNothing(t *testing.T) {
	t.Parallel()
	for _, frame := range [][]byte{nil, {}, {0x00}} {
		if p, err := Decode(V5, frame); p != nil || !errors.Is(err, MalformedPacket) {
			t.Errorf("%x: %v, %v", frame, p, err)
		}
	}
	for typ := CONNECT; typ <= AUTH; typ++ {
		if err := New(typ).Decode(V5, nil); !errors.Is(err, MalformedPacket) {
			t.Errorf("%v: %v", typ, err)
		}
	}
}
