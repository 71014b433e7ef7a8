package illegal

import (
	"fmt"
	"slices"
	"strings"

	"github.com/uniomq/unio/mqtt"
)

// broken are byte strings that are no UTF-8 text of MQTT.
var broken = []struct {
	name, text string
	nul        bool
}{
	{"a byte that begins nothing", "a\x80b", false},
	{"a byte that is never used", "a\xffb", false},
	{"a character without its second byte", "a\xc3", false},
	{"a character without its third byte", "\xe2\x82", false},
	{"a character in too many bytes", "\xc1\xa1", false},
	{"the slash in two bytes", "a\xc0\xafb", false},
	{"U+0000 in two bytes", "\xc0\x80", false},
	{"the surrogate U+D800", "\xed\xa0\x80", false},
	{"the surrogate U+DFFF", "a\xed\xbf\xbf", false},
	{"a pair of surrogates", "\xed\xa0\xbd\xed\xb8\x80", false},
	{"a character above U+10FFFF", "\xf4\x90\x80\x80", false},
	{"U+0000", "\x00", true},
	{"U+0000 inside", "a\x00b", true},
}

// field is a text of a packet.
type field struct {
	name  string
	first bool // a CONNECT
	wrap  func(text []byte) []byte
	spec  []string
}

func (c *catalogue) fields() []field {
	id := u16(7)
	list := []field{
		{"client id", true, func(t []byte) []byte { return packet(0x10, c.connect(cleanStart), t) }, []string{"5: 3.1.3-4", "3: 3.1.3-4"}},
		{"will topic", true, func(t []byte) []byte {
			return packet(0x10, c.connect(cleanStart|willFlag), text("c"), c.properties(), t, text("m"))
		}, []string{"5: 3.1.3-11", "3: 3.1.3-10"}},
		{"user name", true, func(t []byte) []byte {
			return packet(0x10, c.connect(cleanStart|userName), text("c"), t)
		}, []string{"5: 3.1.3-12", "3: 3.1.3-11"}},
		{"topic", false, func(t []byte) []byte { return packet(0x30, t, c.properties()) }, []string{"5: 3.3.2-1", "3: 3.3.2-1", "5: 4.7.3-2", "3: 4.7.3-2"}},
		{"filter of SUBSCRIBE", false, func(t []byte) []byte {
			return packet(0x82, id, c.properties(), t, []byte{0})
		}, []string{"5: 3.8.3-1", "3: 3.8.3-1", "5: 4.7.3-2", "3: 4.7.3-2"}},
		{"filter of UNSUBSCRIBE", false, func(t []byte) []byte {
			return packet(0xA2, id, c.properties(), t)
		}, []string{"5: 3.10.3-1", "3: 3.10.3-1", "5: 4.7.3-2", "3: 4.7.3-2"}},
	}
	if !c.v5() {
		return list
	}
	publish := func(property byte) func([]byte) []byte {
		return func(t []byte) []byte { return packet(0x30, text("t"), c.properties(join([]byte{property}, t))) }
	}
	return append(
		list,
		field{"response topic", false, publish(0x08), []string{"5: 3.3.2-13"}},
		field{"content type", false, publish(0x03), []string{"5: 3.3.2-19"}},
		field{"key of a user property", false, func(t []byte) []byte {
			return packet(0x30, text("t"), c.properties(join([]byte{0x26}, t, text("v"))))
		}, []string{"5: 1.5.7-1"}},
		field{"value of a user property", false, func(t []byte) []byte {
			return packet(0x30, text("t"), c.properties(join([]byte{0x26}, text("k"), t)))
		}, []string{"5: 1.5.7-1"}},
		field{"reason string", false, func(t []byte) []byte {
			return packet(0xE0, []byte{0}, c.properties(join([]byte{0x1F}, t)))
		}, nil},
		field{"authentication method", true, func(t []byte) []byte {
			return packet(0x10, c.connect(cleanStart, join([]byte{0x15}, t)), text("c"))
		}, nil},
	)
}

// texts has each text of each packet ill-formed, and with U+0000.
func (c *catalogue) texts() {
	for _, f := range c.fields() {
		if c.version == mqtt.V31 && f.name == "user name" {
			continue // it is none, as in Mosquitto
		}
		for _, b := range broken {
			spec := append([]string{"5: 1.5.4-1", "3: 1.5.3-1"}, f.spec...)
			if b.nul {
				spec = append([]string{"5: 1.5.4-2", "3: 1.5.3-2"}, f.spec...)
			}
			name := fmt.Sprintf("%s with %s", f.name, b.name)
			if f.first {
				c.first(name, f.wrap(text(b.text)), "CONNACK 0x81, close", spec...)
			} else {
				c.add(name, f.wrap(text(b.text)), malformed, spec...)
			}
		}
		if !f.first {
			c.add(f.name+" longer than its packet", f.wrap(join(u16(200), []byte("short"))), malformed)
		}
	}
}

// maxLevels is how many levels a topic may have, a limit that the standard leaves to the server.
const maxLevels = 200

// topics has topic names with wildcards, and none, and names that are not accepted, the code for which is 0x90.
func (c *catalogue) topics() {
	const invalid, willInvalid = "DISCONNECT 0x90, close", "CONNACK 0x90, close"
	for _, name := range []string{"#", "+", "a/#", "a/+", "+/a", "a/+/b", "#/a", "a#", "+a", "a/b+/c"} {
		c.add(fmt.Sprintf("PUBLISH to %q", name), packet(0x30, text(name), c.properties()), malformed,
			"5: 3.3.2-2", "3: 3.3.2-2", "5: 4.7.0-1", "3: 4.7.1-1")
		will := packet(0x10, c.connect(cleanStart|willFlag), text("c"), c.properties(), text(name), text("m"))
		c.first(fmt.Sprintf("CONNECT with a will for %q", name), will, "CONNACK 0x81, close", "5: 4.7.0-1", "3: 4.7.1-1", "3: 3.2.2-6")
		if c.v5() {
			response := packet(0x30, text("t"), c.properties(join([]byte{0x08}, text(name))))
			c.add(fmt.Sprintf("PUBLISH with the response topic %q", name), response, protocol, "5: 3.3.2-14")
		}
	}
	if !c.v5() {
		c.add("PUBLISH without topic", packet(0x30, text("")), closes, "3: 4.7.3-1")
	}
	deep := strings.Repeat("/", maxLevels)
	c.add("PUBLISH to a topic of too many levels", packet(0x30, text(deep), c.properties()), invalid) // well-formed, and not accepted
	c.add("PUBLISH to a topic of as many levels as may be", packet(0x30, text(deep[1:]), c.properties()), goesOn)
	tooDeep := packet(0x10, c.connect(cleanStart|willFlag), text("c"), c.properties(), text(deep), text("m"))
	c.first("CONNECT with a will of too many levels", tooDeep, willInvalid)
	will := packet(0x10, c.connect(cleanStart|willFlag), text("c"), c.properties(), text(""), text("m"))
	c.first("CONNECT with a will without topic", will, willInvalid, "5: 4.7.3-1", "3: 4.7.3-1")
}

// filters has topic filters with wildcards out of place, shared ones without name or filter, and wrong options.
func (c *catalogue) filters() {
	subscribe := func(filter string, options byte) []byte {
		return packet(0x82, u16(7), c.properties(), text(filter), []byte{options})
	}
	bad := []string{"", "a#", "#a", "a/#/b", "#/", "##", "a/##", "a+", "+a", "a/+b/c", "++", "+#", "a/b#"}
	c.add(`SUBSCRIBE to "$share"`, subscribe("$share", 0), "SUBACK 00, on") // a topic as any other
	shared := []string{"$share/", "$share/g", "$share/g/", "$share//a", "$share/+/a"}
	wildShared := []string{"$share/#/a", "$share/a+/b", "$share/a#/b", "$share/g/a#"} // with wildcards out of place in 3.1.1, too
	for _, filter := range slices.Concat(bad, shared, wildShared) {
		spec := []string{"5: 4.7.1-1", "5: 4.7.1-2", "3: 4.7.1-2", "3: 4.7.1-3"}
		want := malformed // 0x8F in SUBACK is for filters that are well-formed
		switch {
		case filter == "":
			spec = []string{"5: 4.7.3-1", "3: 4.7.3-1"}
		case filter[0] == '$':
			spec = []string{"5: 4.8.2-1", "5: 4.8.2-2"}
		}
		if !c.v5() {
			want = closes
			if filter != "" && filter[0] == '$' && !slices.Contains(wildShared, filter) {
				want = "SUBACK 80, on" // 3.1.1 has no shared subscriptions: it is not malformed
			}
		}
		c.add(fmt.Sprintf("SUBSCRIBE to %q", filter), subscribe(filter, 0), want, spec...)
	}
	for options := range 256 {
		c.options(byte(options), subscribe)
	}
	failure := "SUBACK 80, on"
	if c.v5() {
		failure = "SUBACK 8F, on"
	}
	c.add("SUBSCRIBE to a filter of too many levels", subscribe(strings.Repeat("+/", maxLevels)+"+", 0), failure, "5: 3.9.3-2", "3: 3.9.3-2")
	none := join(u16(7), c.properties())
	c.add("SUBSCRIBE to nothing", packet(0x82, none), protocol, "5: 3.8.3-2", "3: 3.8.3-3")
	c.add("UNSUBSCRIBE from nothing", packet(0xA2, none), protocol, "5: 3.10.3-2", "3: 3.10.3-2")
	c.add("SUBSCRIBE without options", packet(0x82, u16(7), c.properties(), text("f")), malformed)
	if c.v5() {
		c.add("SUBSCRIBE to a shared filter with No Local", subscribe("$share/g/a", 0x04), protocol, "5: 3.8.3-4")
	}
}

// options has one options byte of SUBSCRIBE, if it is wrong.
func (c *catalogue) options(o byte, subscribe func(string, byte) []byte) {
	const qos, retainHandling, reserved = 0x03, 0x30, 0xC0
	want := ""
	switch {
	case !c.v5() && (o&0xFC != 0 || o&qos == qos):
		want = closes
	case !c.v5():
		return
	case o&reserved != 0:
		want = malformed
	case o&qos == qos, o&retainHandling == retainHandling:
		want = protocol
	default:
		return
	}
	c.add(fmt.Sprintf("SUBSCRIBE with options %08b", o), subscribe("f", o), want, "5: 3.8.3-5", "3: 3.8.3-4")
}
