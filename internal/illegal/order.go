package illegal

import (
	"fmt"

	"github.com/uniomq/unio/mqtt"
)

// order has packets at the wrong time and in the wrong direction.
func (c *catalogue) order() {
	for _, s := range c.samples() {
		c.first(s.name+" before CONNECT", packet(s.header, s.body), closes, "5: 3.1.0-1", "3: 3.1.0-1")
	}
	id := u16(7)
	reasons := []byte{0}
	servers := []sample{
		{name: "CONNACK", header: 0x20, body: join([]byte{0, 0}, c.properties())},
		{name: "SUBACK", header: 0x90, body: join(id, c.properties(), reasons)},
		{name: "UNSUBACK", header: 0xB0, body: id},
		{name: "PINGRESP", header: 0xD0},
	}
	if c.v5() {
		servers[2].body = join(id, c.properties(), reasons)
	}
	for _, s := range servers {
		c.first(s.name+" before CONNECT", packet(s.header, s.body), closes, "5: 3.1.0-1", "3: 3.1.0-1")
		c.add(s.name+" from a client", packet(s.header, s.body), protocol, "5: 4.13.1-1", "3: 4.8.0-1")
	}
	for _, body := range [][]byte{nil, {0}, {0, 7}} {
		c.first(fmt.Sprintf("type 0 with %d bytes before CONNECT", len(body)), packet(0x00, body), closes, "5: 3.1.0-1", "3: 3.1.0-1")
		c.add(fmt.Sprintf("type 0 with %d bytes", len(body)), packet(0x00, body), malformed, "5: 4.13.1-1", "3: 4.8.0-1")
		if !c.v5() {
			c.add(fmt.Sprintf("type 15 with %d bytes", len(body)), packet(0xF0, body), closes, "3: 4.8.0-1")
		}
	}
	c.add("a second CONNECT", packet(0x10, c.fullConnect()), protocol, "5: 3.1.0-2", "3: 3.1.0-2")
	c.add("a second CONNECT for another session", packet(0x10, c.connect(0), text("other")), protocol, "5: 3.1.0-2", "3: 3.1.0-2")
	if c.v5() {
		for _, reason := range []byte{0x00, 0x18, 0x19} {
			c.add(fmt.Sprintf("AUTH 0x%02X without a method in CONNECT", reason),
				packet(0xF0, []byte{reason}, c.properties(join([]byte{0x15}, text("m")))), protocol, "5: 4.12.0-7")
		}
		c.add("AUTH of no length without a method in CONNECT", packet(0xF0), protocol, "5: 4.12.0-7")
	}
	c.acknowledgements()
	ping, publish := packet(0xC0), packet(0x30, text("t"), c.properties())
	c.add("PINGREQ behind DISCONNECT", join(packet(0xE0), ping), closes, "5: 3.14.4-1", "5: 3.14.4-3", "3: 3.14.4-3", "3: 3.1.2-10").Farewell = true
	c.add("PUBLISH behind DISCONNECT", join(packet(0xE0), publish), closes, "5: 3.14.4-1", "5: 3.1.2-10", "3: 3.14.4-2", "3: 3.14.4-3").Farewell = true
	refused := packet(0x10, text("MQTT"), []byte{9, cleanStart}, u16(60), text("c"))
	c.first("PUBLISH behind a CONNECT that is refused", join(refused, publish), unknownLevel, "5: 3.1.4-6", "3: 3.1.4-5")
}

// unknownLevel is the answer to a level that is none: nobody knows what the client understands, so that it is 3.1.1's, which
// clients of 5.0 know as well.
const unknownLevel = "CONNACK 0x01, close"

// acknowledgements has those of packet ids that nobody uses: none of them is an error.
func (c *catalogue) acknowledgements() {
	id := u16(99)
	c.add("PUBACK for an unknown packet id", packet(0x40, id), goesOn)
	c.add("PUBCOMP for an unknown packet id", packet(0x70, id), goesOn)
	const rel = "PUBCOMP 0x00, on"
	c.add("PUBREC for an unknown packet id", packet(0x50, id), "PUBREL 0x00, on")
	c.add("PUBREL for an unknown packet id", packet(0x62, id), rel, "5: 4.3.3-11", "3: 4.3.3-2")
	c.add("PUBREL twice", join(packet(0x34, text("t"), id, c.properties()), packet(0x62, id), packet(0x62, id)),
		qos2Answers+", "+rel, "5: 4.3.3-12")
}

// qos2Answers are those to one QoS 2 message.
const qos2Answers = "PUBREC 0x00, PUBCOMP 0x00"

// packetIDs has the packet id 0 wherever there is one [MQTT-2.3.1-1].
func (c *catalogue) packetIDs() {
	zero := u16(0)
	for _, s := range []sample{
		{name: "PUBLISH at QoS 1", header: 0x32, body: join(text("t"), zero, c.properties())},
		{name: "PUBLISH at QoS 2", header: 0x34, body: join(text("t"), zero, c.properties())},
		{name: "PUBLISH at QoS 1 with DUP", header: 0x3A, body: join(text("t"), zero, c.properties())},
		{name: "PUBACK", header: 0x40, body: zero},
		{name: "PUBREC", header: 0x50, body: zero},
		{name: "PUBREL", header: 0x62, body: zero},
		{name: "PUBCOMP", header: 0x70, body: zero},
		{name: "SUBSCRIBE", header: 0x82, body: join(zero, c.properties(), text("f"), []byte{0})},
		{name: "UNSUBSCRIBE", header: 0xA2, body: join(zero, c.properties(), text("f"))},
	} {
		c.add(s.name+" with packet id 0", packet(s.header, s.body), protocol, "5: 2.2.1-3", "3: 2.3.1-1")
	}
}

// publishes has what is wrong with PUBLISH alone.
func (c *catalogue) publishes() {
	body := join(text("t"), u16(7), c.properties())
	for _, flags := range []byte{0x06, 0x07, 0x0E, 0x0F} {
		c.add(fmt.Sprintf("PUBLISH at QoS 3 with flags %04b", flags), packet(0x30|flags, body), malformed, "5: 3.3.1-4", "3: 3.3.1-4")
	}
	for _, flags := range []byte{0x08, 0x09} {
		if c.version == mqtt.V31 {
			break // which does not speak of it
		}
		c.add(fmt.Sprintf("PUBLISH at QoS 0 with flags %04b", flags), packet(0x30|flags, text("t"), c.properties()), malformed, "5: 3.3.1-2", "3: 3.3.1-2")
	}
	ok := map[byte]string{0x32: "PUBACK", 0x3A: "PUBACK", 0x34: "PUBREC", 0x3C: "PUBREC"}
	for _, header := range []byte{0x32, 0x3A, 0x34, 0x3C} {
		reason := " 0x00, on"
		if c.v5() && ok[header] == "PUBACK" {
			reason = " 0x10, on" // nobody subscribed
		}
		c.add(fmt.Sprintf("PUBLISH with flags %04b", header&0x0F), packet(header, body), ok[header]+reason, "5: 3.3.4-1", "3: 3.3.4-1")
	}
	if !c.v5() {
		return
	}
	alias := func(n int) []byte { return join([]byte{0x23}, u16(n)) }
	const aliasInvalid = "DISCONNECT 0x94, close"
	c.add("PUBLISH with topic alias 0", packet(0x30, text("t"), c.properties(alias(0))), aliasInvalid, "5: 3.3.2-8")
	c.add("PUBLISH with a topic alias over the maximum", packet(0x30, text("t"), c.properties(alias(11))), aliasInvalid, "5: 3.3.2-9", "5: 3.2.2-17")
	c.add("PUBLISH with topic alias 65535", packet(0x30, text("t"), c.properties(alias(65535))), aliasInvalid, "5: 3.3.2-9")
	for n := 1; n <= 10; n++ { // Topic Alias Maximum is 10
		c.add(fmt.Sprintf("PUBLISH with topic alias %d", n), packet(0x30, text("t"), c.properties(alias(n))), goesOn, "5: 3.3.2-12")
	}
	c.add("PUBLISH with an alias that stands for no topic", packet(0x30, text(""), c.properties(alias(1))), protocol)
	c.add("PUBLISH without topic and alias", packet(0x30, text(""), c.properties()), protocol, "5: 4.7.3-1")
	c.add("PUBLISH with a subscription identifier", packet(0x30, text("t"), c.properties([]byte{0x0B, 1})), protocol, "5: 3.3.4-6")
	c.add("PUBLISH with an alias and then by it", join(packet(0x30, text("t"), c.properties(alias(3))), packet(0x30, text(""), c.properties(alias(3)))), goesOn)
}

// connects has CONNECTs of the wrong protocol, with wrong flags and with fields that do not fit them.
func (c *catalogue) connects() {
	rest := join([]byte{cleanStart}, u16(60), c.properties(), text("c"))
	level := byte(c.version)
	for _, name := range []string{"", "M", "MQT", "mqtt", "MQTT5", "MQTTX", "MQIsdq", "MQISDP", "HTTP", "MQTT\x00", "\xff\xfe\xfd\xfc"} {
		c.first(fmt.Sprintf("CONNECT with the protocol name %q", name), packet(0x10, text(name), []byte{level}, rest), closes, "5: 3.1.2-1", "3: 3.1.2-1")
	}
	for _, level := range []byte{0, 1, 2, 6, 7, 0x7F, 0x80, 0x85, 0xFF} {
		name := "MQTT"
		if c.version == mqtt.V31 {
			name = "MQIsdp"
		}
		c.first(fmt.Sprintf("CONNECT with level %d", level), packet(0x10, text(name), []byte{level}, rest), unknownLevel, "5: 3.1.2-2", "3: 3.1.2-2")
	}
	if c.version > mqtt.V31 { // which leaves the flags' other values open
		for flags := range 256 {
			c.connectFlags(byte(flags))
		}
	}
	empty := packet(0x10, c.connect(0), text(""))
	switch c.version {
	case mqtt.V31:
		c.first("CONNECT without client id", packet(0x10, c.connect(cleanStart), text("")), "CONNACK 0x02, close")
	case mqtt.V311:
		c.first("CONNECT without client id and Clean Session", empty, "CONNACK 0x02, close", "3: 3.1.3-8", "3: 3.1.3-7")
	default:
	}
}

// connectFlags has a CONNECT with each byte of connect flags that is wrong, and the payload that it asks for.
func (c *catalogue) connectFlags(flags byte) {
	const willQoS = 0x18
	var spec []string
	switch {
	case flags&1 != 0: // the reserved bit
		spec = []string{"5: 3.1.2-3", "3: 3.1.2-3"}
	case flags&willQoS == willQoS:
		spec = []string{"5: 3.1.2-12", "3: 3.1.2-14"}
	case flags&willFlag == 0 && flags&willQoS != 0:
		spec = []string{"5: 3.1.2-11", "3: 3.1.2-13", "3: 3.1.2-11"}
	case flags&willFlag == 0 && flags&willRetain != 0:
		spec = []string{"5: 3.1.2-13", "3: 3.1.2-15", "3: 3.1.2-11"}
	case !c.v5() && flags&password != 0 && flags&userName == 0:
		spec = []string{"3: 3.1.2-22"}
	default:
		return
	}
	body := join(c.connect(flags), text("c"))
	if flags&willFlag != 0 {
		body = join(body, c.properties(), text("will"), text("m"))
	}
	if flags&userName != 0 {
		body = join(body, text("user"))
	}
	if flags&password != 0 {
		body = join(body, text("secret"))
	}
	c.first(fmt.Sprintf("CONNECT with connect flags %08b", flags), packet(0x10, body), "CONNACK 0x81, close", spec...)
}
