package illegal

import (
	"fmt"
	"strings"

	"github.com/uniomq/unio/mqtt"
)

// legal has what looks wrong and is not: a server that is too strict is as wrong as one that is too lax.
//
// Other cases run at the same time: what is published here has a topic that begins with t, and nobody subscribes to those.
func (c *catalogue) legal() {
	c.legalConnects()
	for _, name := range []string{"/", "//", "/a", "a/", "a//b", " ", "a b", "$", "a/$SYS", "\uFEFF", "a\uFEFFb", "\U0010FFFD", "\u20ac/\U0001F600"} {
		c.add(fmt.Sprintf("PUBLISH to %+q", name), packet(0x30, text("t"+name), c.properties()), goesOn, "5: 1.5.4-3", "3: 1.5.3-3")
	}
	c.add("PUBLISH without payload", packet(0x30, text("t"), c.properties()), goesOn)
	c.add("PUBLISH to the longest topic", packet(0x30, text(strings.Repeat("n", 65535)), c.properties()), goesOn, "5: 4.7.3-3", "3: 4.7.3-3")
	binary := []byte{0, 0xFF, 0xC0, 0x80, 0xED, 0xA0, 0x80}
	c.add("PUBLISH with a payload that is no text", packet(0x30, text("t"), c.properties(), binary), goesOn)
	subscribe := func(options byte, filters ...string) []byte {
		body := join(u16(7), c.properties())
		for _, f := range filters {
			body = join(body, text(f), []byte{options})
		}
		return packet(0x82, body)
	}
	for _, filter := range []string{"legal/#", "legal/+", "legal/+/+/#", "legal//#", "legal/+//+", "$legal/#", "legal/$x", "\uFEFF/+", "+/legal/+/legal/#"} {
		c.add(fmt.Sprintf("SUBSCRIBE to %+q", filter), subscribe(0, filter), "SUBACK 00, on", "5: 3.8.4-1", "3: 3.8.4-1")
	}
	c.add("SUBSCRIBE to the same filter twice", subscribe(1, "legal", "legal"), "SUBACK 01 01, on", "5: 3.8.4-6", "3: 3.8.4-5")
	const retainHandling3, reserved, qos = 0x30, 0xC0, 0x03
	for o := range byte(64) {
		if o&reserved != 0 || o&qos == qos || o&retainHandling3 == retainHandling3 || !c.v5() && o > 2 {
			continue
		}
		c.add(fmt.Sprintf("SUBSCRIBE with the options %08b", o), subscribe(o, "legal"), fmt.Sprintf("SUBACK %02X, on", o&qos), "5: 3.8.4-7", "3: 3.9.3-2")
	}
	unsuback, unsuback2 := "UNSUBACK , on", "UNSUBACK , on" // before 5.0 it has no reasons
	if c.v5() {
		unsuback, unsuback2 = "UNSUBACK 11, on", "UNSUBACK 11 11, on"
	}
	none := join(u16(7), c.properties(), text("legal"))
	c.add("UNSUBSCRIBE from what was not subscribed to", packet(0xA2, none), unsuback, "5: 3.10.4-5", "3: 3.10.4-5")
	c.add("UNSUBSCRIBE twice from the same", packet(0xA2, none, text("legal")), unsuback2, "5: 3.10.4-6", "3: 3.10.4-6")
	c.add("DISCONNECT", packet(0xE0), closes, "5: 3.14.4-3", "5: 3.1.2-10", "3: 3.14.4-3", "3: 3.1.2-10").Farewell = true
	again := packet(0x3C, text("t"), u16(7), c.properties())
	first := packet(0x34, text("t"), u16(7), c.properties())
	rec, comp := "PUBREC 0x00", "PUBCOMP 0x00"
	c.add("PUBLISH at QoS 2 twice", join(first, again, packet(0x62, u16(7))), rec+", "+rec+", "+comp+", on", "5: 4.3.3-10", "3: 4.3.3-2")
}

// legalConnects has CONNECTs that are accepted.
func (c *catalogue) legalConnects() {
	const accepted, willQoS2 = "CONNACK 0x00, on", 0x10
	add := func(name string, flags byte, payload ...[]byte) {
		c.first("CONNECT "+name, packet(0x10, c.connect(flags), join(payload...)), accepted, "5: 3.1.4-5", "3: 3.1.4-4")
	}
	add("with an empty user name", cleanStart|userName, c.client(), text(""))
	add("with an empty password", cleanStart|userName|password, c.client(), text("u"), text(""))
	add("with a password that is no text", cleanStart|userName|password, c.client(), text("u"), text("\x00\xFF\xC0"))
	add("with an empty will", cleanStart|willFlag, c.client(), c.properties(), text("t"), text(""))
	add("with a will that is no text", cleanStart|willFlag|willQoS2, c.client(), c.properties(), text("t"), text("\x00\xFF\xC0"))
	add("with a byte order mark in its client id", cleanStart, join(u16(len("\uFEFF")+4), []byte("\uFEFF"), c.client()[2:6]))
	for _, alive := range []int{0, 1, 65535} {
		p := c.connect(cleanStart)
		at := len(p) - len(c.properties()) - 2
		p = join(p[:at], u16(alive), p[at+2:], c.client())
		c.first(fmt.Sprintf("CONNECT with keep alive %d", alive), packet(0x10, p), accepted)
	}
	if c.version == mqtt.V31 {
		return
	}
	add("with an empty client id", cleanStart, text(""))
	if c.v5() {
		add("with an empty client id and without Clean Start", 0, text(""))
		add("with a password and without user name", cleanStart|password, c.client(), text("p"))
	}
}

// legalProperties has each property where it may stand.
func (c *catalogue) legalProperties() {
	answers := map[byte]string{
		'C': "CONNACK 0x00, on", 'W': "CONNACK 0x00, on", 'P': goesOn, 'A': goesOn, 'R': "PUBREL 0x00, on", 'L': "PUBCOMP 0x00, on",
		'O': goesOn, 'S': "SUBACK 00, on", 'U': "UNSUBACK 11, on", 'D': closes,
	}
	const subscriptionID, authMethod, authData, serverReference = 0x0B, 0x15, 0x16, 0x1C
	for _, place := range c.places() {
		for _, p := range all {
			id := p.bytes[0]
			switch {
			case !strings.ContainsRune(p.in, rune(place.letter)) || answers[place.letter] == "":
				continue
			case id == authMethod || id == authData || id == serverReference || id == subscriptionID && place.letter == 'P':
				continue // not from any client at any time; see order and values
			}
			name := fmt.Sprintf("%s with the %s once", place.name, p.name)
			props := c.properties(p.bytes)
			if p.many {
				name, props = fmt.Sprintf("%s with the %s three times", place.name, p.name), c.properties(p.bytes, p.bytes, p.bytes)
			}
			if place.first {
				c.first(name, place.wrap(props), answers[place.letter])
			} else {
				c.add(name, place.wrap(props), answers[place.letter]).Farewell = place.letter == 'D'
			}
		}
	}
	method := c.properties(join([]byte{authMethod}, text("m")))
	c.first("CONNECT with a method that nobody knows", packet(0x10, c.connectWith(cleanStart, method), c.client()), "CONNACK 0x8C, close", "5: 4.12.0-1")
}

// legalReasons has each reason code that a client may send. The acknowledgements are of packet ids that nobody uses.
func (c *catalogue) legalReasons() {
	for _, header := range []byte{0x40, 0x50, 0x62, 0x70, 0xE0} {
		name := mqtt.Type(header >> 4)
		for _, code := range knownReasons[header] {
			want := goesOn
			switch {
			case header == 0x50 && code < 0x80: // with a higher one the exchange is over
				want = "PUBREL 0x00, on"
			case header == 0x62:
				want = "PUBCOMP 0x00, on"
			case header == 0xE0:
				want = closes
			}
			k := c.add(fmt.Sprintf("%v with the reason 0x%02X", name, code), packet(header, withReason(header, code)), want, "5: 4.3.3-4", "5: 3.14.4-3")
			k.Farewell = header == 0xE0 && code == 0 // all others let the will be published
		}
	}
}

// receiveMaximum has as many messages as may be unacknowledged, which is 20, and one more. It is too many at QoS 1 as well,
// because its PUBACK does not make room for it.
func (c *catalogue) receiveMaximum() {
	const maximum = 20
	var send, release []byte
	for id := 1; id <= maximum; id++ {
		send = join(send, packet(0x34, text("t"), u16(id), c.properties()))
		release = join(release, packet(0x62, u16(id)))
	}
	rec, comp := strings.Repeat("PUBREC 0x00, ", maximum), strings.Repeat("PUBCOMP 0x00, ", maximum)
	c.add("PUBLISH at QoS 2 as often as may be", join(send, release), rec+comp+goesOn, "5: 3.3.4-7")
	for _, header := range []byte{0x32, 0x34} {
		over := packet(header, text("t"), u16(maximum+1), c.properties())
		c.add(fmt.Sprintf("PUBLISH at QoS %d over the Receive Maximum", header>>1&3), join(send, over), rec+"DISCONNECT 0x93, close", "5: 3.3.4-7")
	}
	zero := packet(0x30, text("t"), c.properties())
	c.add("PUBLISH at QoS 0 at the Receive Maximum", join(send, zero, release), rec+comp+goesOn, "5: 3.3.4-8")
}
