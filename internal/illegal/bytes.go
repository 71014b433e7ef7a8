package illegal

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/uniomq/unio/mqtt"
)

// The catalogue builds its packets from bytes and not with the codec, which refuses to build most of them.

// join appends all parts.
func join(parts ...[]byte) []byte { return slices.Concat(parts...) }

// packet is a fixed header with the remaining length that fits.
func packet(header byte, body ...[]byte) []byte {
	b := join(body...)
	return join([]byte{header}, varint(len(b)), b)
}

func varint(n int) []byte {
	var out []byte
	for {
		b := byte(n % 128)
		if n /= 128; n == 0 {
			return append(out, b)
		}
		out = append(out, b|0x80)
	}
}

func u16(n int) []byte { return binary.BigEndian.AppendUint16(nil, uint16(n)) }
func u32(n int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(n)) }

// text is a string or binary data with its length.
func text(s string) []byte { return join(u16(len(s)), []byte(s)) }

// properties is the list with its length, nothing before 5.0.
func (c *catalogue) properties(list ...[]byte) []byte {
	if !c.v5() {
		return nil
	}
	p := join(list...)
	return join(varint(len(p)), p)
}

// connect is the beginning of a CONNECT: name, level, flags, keep alive, properties.
func (c *catalogue) connect(flags byte, props ...[]byte) []byte {
	return c.connectWith(flags, c.properties(props...))
}

func (c *catalogue) connectWith(flags byte, list []byte) []byte {
	name := "MQTT"
	if c.version == mqtt.V31 {
		name = "MQIsdp"
	}
	return join(text(name), []byte{byte(c.version), flags}, u16(60), list)
}

// client is a client id that no other case has.
func (c *catalogue) client() []byte {
	c.clients++
	return text(fmt.Sprintf("c%dx%d", c.version, c.clients))
}

// Flags of CONNECT.
const (
	cleanStart = 0x02
	willFlag   = 0x04
	willRetain = 0x20
	password   = 0x40
	userName   = 0x80
)

// A property as it stands in a packet, and where it may stand.
type property struct {
	name  string
	bytes []byte
	in    string // the packets that have it, by the letters of places
	many  bool   // may stand more than once
}

// places are the packets of a client that have properties.
type place struct {
	letter byte
	name   string
	first  bool                     // a CONNECT
	wrap   func(list []byte) []byte // the packet around a property list, which begins with its length
}

func (c *catalogue) places() []place {
	id := u16(7)
	return []place{
		{'C', "CONNECT", true, func(p []byte) []byte { return packet(0x10, c.connectWith(cleanStart, p), c.client()) }},
		{'W', "the will", true, func(p []byte) []byte {
			return packet(0x10, c.connect(cleanStart|willFlag), c.client(), p, text("will"), text("m"))
		}},
		{'P', "PUBLISH", false, func(p []byte) []byte { return packet(0x30, text("t"), p) }},
		{'A', "PUBACK", false, func(p []byte) []byte { return packet(0x40, id, []byte{0}, p) }},
		{'R', "PUBREC", false, func(p []byte) []byte { return packet(0x50, id, []byte{0}, p) }},
		{'L', "PUBREL", false, func(p []byte) []byte { return packet(0x62, id, []byte{0}, p) }},
		{'O', "PUBCOMP", false, func(p []byte) []byte { return packet(0x70, id, []byte{0}, p) }},
		{'S', "SUBSCRIBE", false, func(p []byte) []byte { return packet(0x82, id, p, text("f"), []byte{0}) }},
		{'U', "UNSUBSCRIBE", false, func(p []byte) []byte { return packet(0xA2, id, p, text("f")) }},
		{'D', "DISCONNECT", false, func(p []byte) []byte { return packet(0xE0, []byte{0}, p) }},
		{'H', "AUTH", false, func(p []byte) []byte { return packet(0xF0, []byte{0x18}, p) }},
	}
}

// all are the properties of 5.0 (2.2.2.2 of the standard). A letter is missing where only a server sends it.
var all = []property{
	{"payload format indicator", []byte{0x01, 1}, "WP", false},
	{"message expiry interval", join([]byte{0x02}, u32(60)), "WP", false},
	{"content type", join([]byte{0x03}, text("c")), "WP", false},
	{"response topic", join([]byte{0x08}, text("r")), "WP", false},
	{"correlation data", join([]byte{0x09}, text("d")), "WP", false},
	{"subscription identifier", []byte{0x0B, 5}, "PS", false},
	{"session expiry interval", join([]byte{0x11}, u32(0)), "CD", false},
	{"assigned client identifier", join([]byte{0x12}, text("i")), "", false},
	{"server keep alive", join([]byte{0x13}, u16(9)), "", false},
	{"authentication method", join([]byte{0x15}, text("m")), "CH", false},
	{"authentication data", join([]byte{0x16}, text("d")), "CH", false},
	{"request problem information", []byte{0x17, 1}, "C", false},
	{"will delay interval", join([]byte{0x18}, u32(9)), "W", false},
	{"request response information", []byte{0x19, 1}, "C", false},
	{"response information", join([]byte{0x1A}, text("r")), "", false},
	{"server reference", join([]byte{0x1C}, text("s")), "D", false},
	{"reason string", join([]byte{0x1F}, text("r")), "ARLODH", false},
	{"receive maximum", join([]byte{0x21}, u16(9)), "C", false},
	{"topic alias maximum", join([]byte{0x22}, u16(9)), "C", false},
	{"topic alias", join([]byte{0x23}, u16(1)), "P", false},
	{"maximum QoS", []byte{0x24, 1}, "", false},
	{"retain available", []byte{0x25, 1}, "", false},
	{"user property", join([]byte{0x26}, text("k"), text("v")), "CWPARLOSUDH", true},
	{"maximum packet size", join([]byte{0x27}, u32(9000)), "C", false},
	{"wildcard subscription available", []byte{0x28, 1}, "", false},
	{"subscription identifiers available", []byte{0x29, 1}, "", false},
	{"shared subscription available", []byte{0x2A, 1}, "", false},
}
