package mqtt

import (
	"errors"
	"strings"
	"testing"
)

// An errorCase is a packet that is refused, and why.
type errorCase struct {
	name     string
	versions []Version
	wire     string
	want     ReasonCode
}

var errorCases = []errorCase{
	// The fixed header.
	{"type 0", every, "00 00", MalformedPacket},
	{"CONNECT with flags", every, "11 0d 0004 'MQTT' 04 02 003c 0001 'c'", MalformedPacket},
	{"CONNECT of 5.0 with flags", every, "11 0e 0004 'MQTT' 05 02 003c 00 0001 'c'", MalformedPacket},
	{"CONNECT of 5.0 with an overlong length", every, "10 8e 00 0004 'MQTT' 05 02 003c 00 0001 'c'", MalformedPacket},
	{"PINGREQ with flags", since311, "c1 00", MalformedPacket},
	{"PUBACK with flags", since311, "42 02 000a", MalformedPacket},
	{"PUBREL with flags 0", since311, "60 02 000a", MalformedPacket},
	{"PUBREL with DUP", since311, "6a 02 000a", MalformedPacket},
	{"SUBSCRIBE with flags 0", since311, "80 06 000a 0001 'a' 00", MalformedPacket},
	{"SUBSCRIBE with DUP", since311, "8a 06 000a 0001 'a' 00", MalformedPacket},
	{"UNSUBSCRIBE with DUP", since311, "aa 05 000a 0001 'a'", MalformedPacket},
	{"UNSUBSCRIBE with flags 3", since311, "a3 05 000a 0001 'a'", MalformedPacket},
	{"QoS 3", every, "36 05 0001 'a' 000a", MalformedPacket},
	{"DUP at QoS 0", since311, "38 04 0001 'a' 00", MalformedPacket},
	{"overlong length", only5, "c0 80 00", MalformedPacket},
	{"length of five bytes", every, "c0 80 80 80 80 01", MalformedPacket},
	{"length too large", every, "c0 01", MalformedPacket},
	{"length too small", every, "40 01 000a", MalformedPacket},

	// CONNECT.
	{"unknown protocol name", every, "10 0d 0004 'mqtt' 04 02 003c 0001 'c'", UnsupportedProtocolVersion},
	{"level 3 as MQTT", every, "10 0d 0004 'MQTT' 03 02 003c 0001 'c'", UnsupportedProtocolVersion},
	{"level 6", every, "10 0d 0004 'MQTT' 06 02 003c 0001 'c'", UnsupportedProtocolVersion},
	{"level 4 as MQIsdp", every, "10 0f 0006 'MQIsdp' 04 02 003c 0001 'c'", UnsupportedProtocolVersion},
	{"bridge of 5.0", every, "10 0e 0004 'MQTT' 85 02 003c 00 0001 'c'", UnsupportedProtocolVersion},
	{"reserved connect flag", every, "10 0d 0004 'MQTT' 04 03 003c 0001 'c'", MalformedPacket},
	{"will QoS without will", every, "10 0d 0004 'MQTT' 04 0a 003c 0001 'c'", MalformedPacket},
	{"will retain without will", every, "10 0d 0004 'MQTT' 04 22 003c 0001 'c'", MalformedPacket},
	{"will QoS 3", every, "10 11 0004 'MQTT' 04 1e 003c 0001 'c' 0000 0000", MalformedPacket},
	{"will QoS 3 in 3.1", every, "10 13 0006 'MQIsdp' 03 1e 003c 0001 'c' 0000 0000", MalformedPacket},
	{"password alone in 3.1", every, "10 12 0006 'MQIsdp' 03 42 003c 0001 'c' 0001 'p'", ProtocolError},
	{"password alone in 3.1.1", every, "10 10 0004 'MQTT' 04 42 003c 0001 'c' 0001 'p'", ProtocolError},
	{"user name missing", every, "10 0d 0004 'MQTT' 04 82 003c 0001 'c'", MalformedPacket},
	{"client identifier not UTF-8", every, "10 0d 0004 'MQTT' 04 02 003c 0001 ff", MalformedPacket},
	{"client identifier with NUL", every, "10 0d 0004 'MQTT' 04 02 003c 0001 00", MalformedPacket},
	{"user name not UTF-8", every, "10 10 0004 'MQTT' 04 82 003c 0001 'c' 0001 c0", MalformedPacket},
	{"empty will topic", every, "10 12 0004 'MQTT' 04 06 003c 0001 'c' 0000 0001 'x'", TopicNameInvalid},
	{"will topic with wildcard", every, "10 13 0004 'MQTT' 04 06 003c 0001 'c' 0001 '#' 0001 'x'", MalformedPacket},
	{"will topic not UTF-8", every, "10 13 0004 'MQTT' 04 06 003c 0001 'c' 0001 80 0001 'x'", MalformedPacket},
	{"bytes after CONNECT", every, "10 0e 0004 'MQTT' 04 02 003c 0001 'c' 00", MalformedPacket},
	{"authentication data alone", every, "10 11 0004 'MQTT' 05 02 003c 04 16 0001 'd' 0000", ProtocolError},
	{"receive maximum 0", every, "10 10 0004 'MQTT' 05 02 003c 03 21 0000 0000", ProtocolError},
	{"maximum packet size 0", every, "10 12 0004 'MQTT' 05 02 003c 05 27 00000000 0000", ProtocolError},
	{"request problem information 2", every, "10 0f 0004 'MQTT' 05 02 003c 02 17 02 0000", ProtocolError},
	{"request response information 2", every, "10 0f 0004 'MQTT' 05 02 003c 02 19 02 0000", ProtocolError},
	{
		"will delay outside the will", every, "10 12 0004 'MQTT' 05 02 003c 05 18 00000001 0000",
		MalformedPacket,
	},
	{
		"session expiry in the will", every,
		"10 19 0004 'MQTT' 05 06 003c 00 0000 05 11 00000001 0001 'w' 0001 'x'", MalformedPacket,
	},

	// CONNACK.
	{"acknowledge flags", since311, "20 03 02 00 00", MalformedPacket},
	{"return code 6", before5, "20 02 00 06", ProtocolError},
	{"session present in a refusal", only311, "20 02 01 05", ProtocolError},
	{"session present in a refusal", only5, "20 03 01 87 00", ProtocolError},
	{"CONNACK with reason 0x92", only5, "20 03 00 92 00", ProtocolError},
	{"CONNACK without properties", only5, "20 02 00 00", MalformedPacket},
	{"maximum QoS 2", only5, "20 05 00 00 02 24 02", ProtocolError},
	{"retain available 2", only5, "20 05 00 00 02 25 02", ProtocolError},
	{"wildcard available 2", only5, "20 05 00 00 02 28 02", ProtocolError},
	{"subscription identifiers available 2", only5, "20 05 00 00 02 29 02", ProtocolError},
	{"shared available 2", only5, "20 05 00 00 02 2a 02", ProtocolError},
	{"bytes after CONNACK", before5, "20 03 00 00 00", MalformedPacket},

	// PUBLISH.
	{"topic with +", before5, "30 05 0003 'a/+'", MalformedPacket},
	{"topic with #", only5, "30 04 0001 '#' 00", MalformedPacket},
	{"topic with a late wildcard", before5, "30 0c 000a 'abcdefghi#'", MalformedPacket},
	{"topic with wildcard beyond ASCII", before5, "30 05 0003 c3b6 '+'", MalformedPacket},
	{"topic with NUL", before5, "30 05 0003 'a' 00 'b'", MalformedPacket},
	{"topic with surrogate", before5, "30 05 0003 eda080", MalformedPacket},
	{"topic overlong UTF-8", before5, "30 04 0002 c080", MalformedPacket},
	{"empty topic", before5, "30 04 0000 'hi'", ProtocolError},
	{"empty topic without alias", only5, "30 03 0000 00", ProtocolError},
	{"topic beyond the packet", every, "30 04 0005 'ab'", MalformedPacket},
	{"packet identifier 0", before5, "32 05 0001 'a' 0000", ProtocolError},
	{"packet identifier missing", every, "32 03 0001 'a'", MalformedPacket},
	{"properties missing", only5, "30 03 0001 'a'", MalformedPacket},
	{"properties beyond the packet", only5, "30 05 0001 'a' 02 01", MalformedPacket},
	{"property beyond the properties", only5, "30 06 0001 'a' 02 0200", MalformedPacket},
	{"overlong property length", only5, "30 05 0001 'a' 8000", MalformedPacket},
	{"unknown property", only5, "30 06 0001 'a' 02 0401", MalformedPacket},
	{"half a property identifier", only5, "30 05 0001 'a' 01 80", MalformedPacket},
	{"property 43", only5, "30 06 0001 'a' 02 2b01", MalformedPacket},
	{"property of two bytes", only5, "30 07 0001 'a' 03 810101", MalformedPacket},
	{"property of another packet", only5, "30 09 0001 'a' 05 1100000001", MalformedPacket},
	{"payload format 2", only5, "30 06 0001 'a' 02 0102", ProtocolError},
	{"payload format twice", only5, "30 08 0001 'a' 04 0100 0100", ProtocolError},
	{"topic alias 0", only5, "30 07 0001 'a' 03 230000", TopicAliasInvalid},
	{"topic alias twice", only5, "30 0a 0001 'a' 06 230001 230001", ProtocolError},
	{"subscription identifier 0", only5, "30 06 0001 'a' 02 0b00", ProtocolError},
	{"subscription identifier of five bytes", only5, "30 0a 0001 'a' 06 0b8080808001", MalformedPacket},
	{"response topic with wildcard", only5, "30 08 0001 'a' 04 080001 '#'", ProtocolError},
	{"empty response topic", only5, "30 07 0001 'a' 03 080000", ProtocolError},
	{"content type not UTF-8", only5, "30 08 0001 'a' 04 030001ff", MalformedPacket},
	{"user property without value", only5, "30 08 0001 'a' 04 26 0001 'k'", MalformedPacket},
	{"user property name with NUL", only5, "30 0a 0001 'a' 06 26 0001 00 0000", MalformedPacket},

	// Acknowledgements.
	{"PUBACK with packet identifier 0", every, "40 02 0000", ProtocolError},
	{"PUBACK of one byte", every, "40 01 00", MalformedPacket},
	{"PUBACK with reason before 5.0", before5, "40 03 000a 00", MalformedPacket},
	{"PUBACK with reason 0x92", only5, "40 03 000a 92", ProtocolError},
	{"PUBREC with reason 0x01", only5, "50 03 000a 01", ProtocolError},
	{"PUBREL with reason 0x10", only5, "62 03 000a 10", ProtocolError},
	{"PUBCOMP with reason 0xff", only5, "70 03 000a ff", ProtocolError},
	{"PUBACK with bytes after its properties", only5, "40 05 000a 00 00 00", MalformedPacket},
	{"reason string twice", only5, "40 0c 000a 00 08 1f0001 'a' 1f0001 'b'", ProtocolError},
	{"server reference in PUBACK", only5, "40 08 000a 00 04 1c0001 'a'", MalformedPacket},

	// SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK.
	{"SUBSCRIBE without entries", before5, "82 02 000a", ProtocolError},
	{"SUBSCRIBE without entries", only5, "82 03 000a 00", ProtocolError},
	{"SUBSCRIBE with packet identifier 0", before5, "82 06 0000 0001 'a' 00", ProtocolError},
	{"filter not UTF-8", before5, "82 06 000a 0001 ff 00", MalformedPacket},
	{"filter without options", before5, "82 05 000a 0001 'a'", MalformedPacket},
	{"requested QoS 3", before5, "82 06 000a 0001 'a' 03", MalformedPacket},
	{"no local before 5.0", before5, "82 06 000a 0001 'a' 04", MalformedPacket},
	{"maximum QoS 3", only5, "82 07 000a 00 0001 'a' 03", ProtocolError},
	{"retain handling 3", only5, "82 07 000a 00 0001 'a' 30", ProtocolError},
	{"reserved option 0x40", only5, "82 07 000a 00 0001 'a' 40", MalformedPacket},
	{"reserved option 0x80", only5, "82 07 000a 00 0001 'a' 80", MalformedPacket},
	{"two subscription identifiers", only5, "82 0b 000a 04 0b01 0b02 0001 'a' 00", ProtocolError},
	{"SUBACK without codes", before5, "90 02 000a", ProtocolError},
	{"SUBACK with code 3", before5, "90 03 000a 03", ProtocolError},
	{"SUBACK with code 0x87 before 5.0", before5, "90 03 000a 87", ProtocolError},
	{"SUBACK with code 0x10", only5, "90 04 000a 00 10", ProtocolError},
	{"UNSUBSCRIBE without filters", before5, "a2 02 000a", ProtocolError},
	{"UNSUBSCRIBE without filters", only5, "a2 03 000a 00", ProtocolError},
	{"UNSUBSCRIBE with packet identifier 0", before5, "a2 05 0000 0001 'a'", ProtocolError},
	{"UNSUBSCRIBE not UTF-8", before5, "a2 05 000a 0001 ff", MalformedPacket},
	{"subscription identifier in UNSUBSCRIBE", only5, "a2 08 000a 02 0b01 0001 'a'", MalformedPacket},
	{"UNSUBACK without codes", only5, "b0 03 000a 00", ProtocolError},
	{"UNSUBACK with codes before 5.0", before5, "b0 03 000a 00", MalformedPacket},
	{"UNSUBACK with code 0x92", only5, "b0 04 000a 00 92", ProtocolError},

	// The rest.
	{"PINGREQ with a body", every, "c0 01 00", MalformedPacket},
	{"PINGRESP with a body", every, "d0 01 00", MalformedPacket},
	{"DISCONNECT with a body before 5.0", before5, "e0 01 00", MalformedPacket},
	{"DISCONNECT with reason 0x01", only5, "e0 01 01", ProtocolError},
	{"DISCONNECT with bytes after its properties", only5, "e0 03 00 00 00", MalformedPacket},
	{"AUTH before 5.0", before5, "f0 00", MalformedPacket},
	{"AUTH with reason 0x80", only5, "f0 06 80 04 150001 'm'", ProtocolError},
	{"AUTH without method", only5, "f0 02 18 00", ProtocolError},
	{"AUTH with data alone", only5, "f0 06 18 04 160001 'd'", ProtocolError},
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for _, c := range errorCases {
		for _, v := range c.versions {
			_, err := Decode(v, wire(c.wire))
			var e *Error
			if !errors.As(err, &e) || !errors.Is(err, c.want) || ReasonOf(err) != c.want {
				t.Errorf("%s, %v: %v, want %v", c.name, v, err, c.want)
			}
		}
	}
}

func TestRefusalDoesNotAllocate(t *testing.T) {
	p := new(Publish)
	for _, c := range errorCases {
		frame := wire(c.wire)
		if Type(frame[0]>>4) != PUBLISH {
			continue
		}
		v := c.versions[0]
		_ = p.Decode(v, frame) // lets the slices of the struct grow
		if n := testing.AllocsPerRun(10, func() {
			if p.Decode(v, frame) == nil {
				t.Fail()
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", c.name, n)
		}
	}
}

func TestDecodeRefusesAnotherType(t *testing.T) {
	t.Parallel()
	for _, cases := range allCases() {
		for _, c := range cases {
			var p Packet = &Pingreq{}
			if c.packet.Type() == PINGREQ {
				p = &Ack{}
			}
			if err := p.Decode(V5, wire(c.wire)); !errors.Is(err, ProtocolError) {
				t.Errorf("%s: %v", c.name, err)
			}
		}
	}
}

func TestErrorText(t *testing.T) {
	t.Parallel()
	_, err := Decode(V5, wire("30 06 0001 'a' 02 0102"))
	if want := "protocol error (0x82): property value other than 0 and 1"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

func TestReasonOf(t *testing.T) {
	t.Parallel()
	if got := ReasonOf(nil); got != Success {
		t.Errorf("nil: %v", got)
	}
	if got := ReasonOf(errors.New("other")); got != UnspecifiedError {
		t.Errorf("another error: %v", got)
	}
	if got := ReasonOf(Banned); got != Banned {
		t.Errorf("a reason code: %v", got)
	}
}

func TestReasonNames(t *testing.T) {
	t.Parallel()
	named := 0
	for r := range 256 {
		if s := ReasonCode(r).String(); !strings.HasPrefix(s, "unknown reason") {
			named++
		}
	}
	if named != 43 {
		t.Errorf("%d named reason codes, want 43", named)
	}
	if got := ReasonCode(0x8F).Error(); got != "topic filter invalid (0x8F)" {
		t.Error(got)
	}
	if got := ReasonCode(0x03).Error(); got != "unknown reason (0x03)" {
		t.Error(got)
	}
	if Success.Failed() || ReAuthenticate.Failed() || !UnspecifiedError.Failed() {
		t.Error("Failed does not split at 0x80")
	}
}
