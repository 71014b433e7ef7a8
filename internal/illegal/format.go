package illegal

import (
	"fmt"
	"slices"

	"github.com/uniomq/unio/mqtt"
)

// sample is a legal packet of a client, with everything in it that its type may have.
type sample struct {
	name   string
	header byte
	body   []byte
	// whole are the lengths at which the body, cut off, is still a packet; empty are those at which only a payload
	// of at least one filter is missing, which is a protocol error.
	whole, empty []int
}

// samples are the packets that follow CONNECT.
func (c *catalogue) samples() []sample {
	id, reason := u16(7), join([]byte{0x1F}, text("r"))
	list := []sample{
		{name: "PUBLISH at QoS 0", header: 0x30, body: join(text("topic"), c.properties(join([]byte{0x03}, text("t"))))},
		{name: "PUBLISH at QoS 1", header: 0x32, body: join(text("topic"), id, c.properties(join([]byte{0x03}, text("t"))))},
		{name: "PUBACK", header: 0x40, body: id},
		{name: "PUBREC", header: 0x50, body: id},
		{name: "PUBREL", header: 0x62, body: id},
		{name: "PUBCOMP", header: 0x70, body: id},
		{name: "SUBSCRIBE", header: 0x82, body: join(id, c.properties([]byte{0x0B, 5}), text("filter"), []byte{0})},
		{name: "UNSUBSCRIBE", header: 0xA2, body: join(id, c.properties(join([]byte{0x26}, text("k"), text("v"))), text("filter"))},
		{name: "PINGREQ", header: 0xC0},
		{name: "DISCONNECT", header: 0xE0},
	}
	const subscribe, unsubscribe = 6, 7
	list[subscribe].empty, list[unsubscribe].empty = []int{len(id)}, []int{len(id)}
	if c.v5() {
		for i := 2; i < subscribe; i++ { // the acknowledgements; reason and properties may be left out
			list[i].body = join(id, []byte{0}, c.properties(reason))
			list[i].whole = []int{2, 3}
		}
		list[subscribe].empty, list[unsubscribe].empty = []int{5}, []int{10}
		list[len(list)-1].body = join([]byte{0}, c.properties(reason))
		list[len(list)-1].whole = []int{0, 1}
		list = append(list, sample{name: "AUTH", header: 0xF0, body: join([]byte{0x18}, c.properties(join([]byte{0x15}, text("m")))), whole: []int{0}})
	}
	return list
}

// fullConnect is a CONNECT with all fields.
func (c *catalogue) fullConnect() []byte {
	return join(
		c.connect(cleanStart|willFlag|userName|password, join([]byte{0x21}, u16(9))), text("client"),
		c.properties(join([]byte{0x18}, u32(9))), text("will"), text("message"), text("user"), text("secret"),
	)
}

// flags has each packet with each value of the four flag bits that its type does not have [MQTT-2.2.2-1]. 3.1 says of them only
// that they are not used.
func (c *catalogue) flags() {
	for _, s := range c.samples() {
		if s.header>>4 == byte(mqtt.PUBLISH) {
			continue // all its flags mean something; see publishes
		}
		for f := range byte(16) {
			if f == s.header&0x0F || c.version == mqtt.V31 {
				continue
			}
			spec := []string{"5: 2.1.3-1", "3: 2.2.2-1", "3: 2.2.2-2"}
			switch mqtt.Type(s.header >> 4) {
			case mqtt.PUBREL:
				spec = append(spec, "5: 3.6.1-1", "3: 3.6.1-1")
			case mqtt.SUBSCRIBE:
				spec = append(spec, "5: 3.8.1-1", "3: 3.8.1-1")
			case mqtt.UNSUBSCRIBE:
				spec = append(spec, "5: 3.10.1-1", "3: 3.10.1-1")
			case mqtt.DISCONNECT:
				spec = append(spec, "5: 3.14.1-1", "3: 3.14.1-1")
			case mqtt.AUTH:
				spec = append(spec, "5: 3.15.1-1")
			default:
			}
			c.add(fmt.Sprintf("%s with flags %04b", s.name, f), packet(s.header&0xF0|f, s.body), malformed, spec...)
		}
	}
	for f := range byte(15) {
		want, body := "CONNACK 0x81, close", c.fullConnect()
		if c.version == mqtt.V31 {
			want, body = "CONNACK 0x00, on", join(c.connect(cleanStart), c.client())
		}
		c.first(fmt.Sprintf("CONNECT with flags %04b", f+1), packet(0x10|(f+1), body), want, "5: 2.1.3-1", "3: 2.2.2-2")
	}
}

// truncated has each packet cut off behind each of its bytes, with a remaining length that says so.
func (c *catalogue) truncated() {
	for _, s := range c.samples() {
		for n := range len(s.body) {
			want := malformed
			switch {
			case slices.Contains(s.whole, n):
				continue
			case slices.Contains(s.empty, n):
				want = protocol
			}
			c.add(fmt.Sprintf("%s cut off at %d", s.name, n), packet(s.header, s.body[:n]), want, "5: 4.13.1-1", "3: 4.8.0-1")
		}
	}
	body := c.fullConnect()
	level := 2 + int(body[1]) // behind the protocol name
	for n := range len(body) {
		if c.version == mqtt.V31 && (n == len(body)-len(text("secret")) || n == len(body)-len(text("secret"))-len(text("user"))) {
			continue // 3.1 lets user name and password be missing
		}
		want := "CONNACK 0x81, close"
		if n <= level {
			want = closes // nobody knows yet which version it is
		}
		spec := []string{"5: 3.1.4-1", "3: 3.1.4-1"}
		c.first(fmt.Sprintf("CONNECT cut off at %d", n), packet(0x10, body[:n]), want, spec...)
	}
}

// trailing has each packet with bytes behind its end.
func (c *catalogue) trailing() {
	for _, s := range c.samples() {
		if s.header>>4 == byte(mqtt.PUBLISH) {
			continue // they are its payload
		}
		for _, more := range [][]byte{{0}, {0xFF, 0xFF}} {
			c.add(fmt.Sprintf("%s with %d bytes behind it", s.name, len(more)), packet(s.header, s.body, more), malformed, "5: 4.13.1-1", "3: 4.8.0-1")
		}
	}
	for _, more := range [][]byte{{0}, text("more")} {
		c.first(fmt.Sprintf("CONNECT with %d bytes behind it", len(more)), packet(0x10, c.fullConnect(), more), "CONNACK 0x81, close",
			"5: 3.1.4-1", "3: 3.1.4-1")
	}
	bare := packet(0x10, c.connect(cleanStart), text("c"), text("user"))
	c.first("CONNECT with a user name and no flag for it", bare, "CONNACK 0x81, close", "5: 3.1.2-16", "3: 3.1.2-18")
	noSecret := packet(0x10, c.connect(cleanStart|userName), text("c"), text("user"), text("secret"))
	c.first("CONNECT with a password and no flag for it", noSecret, "CONNACK 0x81, close", "5: 3.1.2-18", "3: 3.1.2-20")
	noWill := packet(0x10, c.connect(cleanStart), text("c"), c.properties(), text("will"), text("m"))
	c.first("CONNECT with a will and no flag for it", noWill, "CONNACK 0x81, close", "3: 3.1.2-11")
}

// lengths has remaining lengths that are too long to read, longer than they need be, or over the limit.
func (c *catalogue) lengths() {
	for _, s := range append(c.samples(), sample{name: "CONNECT", header: 0x10}) {
		add := c.add
		want := malformed
		if s.name == "CONNECT" {
			add, want = c.first, closes
		}
		add(s.name+" with a remaining length of five bytes", []byte{s.header, 0xFF, 0xFF, 0xFF, 0xFF, 0x01}, want, "5: 1.5.5-1")
	}
	padded, comp := goesOn, "PUBCOMP 0x00, on"
	if c.v5() {
		padded, comp = malformed, malformed
		c.add("PINGREQ with a length of 0 in two bytes", []byte{0xC0, 0x80, 0x00}, malformed, "5: 1.5.5-1")
	}
	c.add("PUBREL with a length of 2 in two bytes", join([]byte{0x62, 0x82, 0x00}, u16(7)), comp, "5: 1.5.5-1")
	c.add("PUBLISH with a length of 3 in four bytes", join([]byte{0x30, 0x83, 0x80, 0x80, 0x00}, text("t")), padded, "5: 1.5.5-1")
	const tooLarge = 3_000_000 // the limit is 2,000,000; only the header is sent
	c.add("PUBLISH with a length of 3 in three bytes", join([]byte{0x30, 0x83, 0x80, 0x00}, text("t")), padded, "5: 1.5.5-1")
	c.add("PUBLISH over the maximum packet size", join([]byte{0x30}, varint(tooLarge)), "DISCONNECT 0x95, close", "5: 3.2.2-15")
	c.first("CONNECT over the maximum size", join([]byte{0x10}, varint(tooLarge)), closes)
}

// cuts has packets behind whose beginning the connection ends.
func (c *catalogue) cuts() {
	for _, s := range append(c.samples(), sample{name: "nothing"}) {
		p := packet(s.header, s.body)
		if s.name == "nothing" {
			p = nil
		}
		for _, n := range slices.Compact([]int{min(1, len(p)), len(p) / 2, max(0, len(p)-1)}) {
			c.add(fmt.Sprintf("the connection ends behind %d bytes of %s", n, s.name), p[:n], closes, "5: 3.1.2-8", "3: 3.1.2-8").Cut = true
		}
	}
	p := packet(0x10, c.fullConnect())
	for n := range len(p) {
		c.first(fmt.Sprintf("the connection ends behind %d bytes of CONNECT", n), p[:n], closes).Cut = true
	}
}
