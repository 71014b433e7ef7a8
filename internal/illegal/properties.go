package illegal

import (
	"fmt"
	"slices"
	"strings"
)

// put adds a case for properties in a place.
func (c *catalogue) put(p place, name string, props []byte, code string, spec ...string) {
	c.putList(p, name, c.properties(props), code, spec...)
}

// putList is put for a list with its length.
func (c *catalogue) putList(p place, name string, list []byte, code string, spec ...string) {
	if p.first {
		c.first(name, p.wrap(list), "CONNACK "+code+", close", spec...)
	} else {
		c.add(name, p.wrap(list), "DISCONNECT "+code+", close", spec...)
	}
}

// misplaced has each property in each packet that does not have it, and identifiers that are none.
func (c *catalogue) misplaced() {
	for _, place := range c.places() {
		for _, p := range all {
			if !strings.ContainsRune(p.in, rune(place.letter)) {
				c.put(place, fmt.Sprintf("%s with the %s", place.name, p.name), p.bytes, "0x81")
			}
		}
		for _, id := range [][]byte{{0x00, 0}, {0x04, 0}, {0x2B, 0}, {0x7F, 0}, {0x80, 0x01, 0}} {
			c.put(place, fmt.Sprintf("%s with the property % X that does not exist", place.name, id[:len(id)-1]), id, "0x81")
		}
	}
}

// repeated has each property twice that may stand once.
func (c *catalogue) repeated() {
	for _, place := range c.places() {
		for _, p := range all {
			if p.many || !strings.ContainsRune(p.in, rune(place.letter)) {
				continue
			}
			if place.letter == 'P' && p.bytes[0] == 0x0B {
				continue // none at all may come from a client
			}
			c.put(place, fmt.Sprintf("%s with the %s twice", place.name, p.name), join(p.bytes, p.bytes), "0x82")
		}
	}
}

// values has values out of range.
func (c *catalogue) values() {
	for _, v := range []struct {
		letter byte
		name   string
		bytes  []byte
		code   string
		spec   string
	}{
		{'C', "request problem information 2", []byte{0x17, 2}, "0x82", ""},
		{'C', "request problem information 255", []byte{0x17, 255}, "0x82", ""},
		{'C', "request response information 2", []byte{0x19, 2}, "0x82", ""},
		{'C', "request response information 255", []byte{0x19, 255}, "0x82", ""},
		{'C', "receive maximum 0", join([]byte{0x21}, u16(0)), "0x82", ""},
		{'C', "maximum packet size 0", join([]byte{0x27}, u32(0)), "0x82", ""},
		{'C', "authentication data and no method", join([]byte{0x16}, text("d")), "0x82", ""},
		{'W', "payload format indicator 2", []byte{0x01, 2}, "0x82", ""},
		{'P', "payload format indicator 2", []byte{0x01, 2}, "0x82", ""},
		{'P', "payload format indicator 255", []byte{0x01, 255}, "0x82", ""},
		{'S', "subscription identifier 0", []byte{0x0B, 0}, "0x82", ""},
		{'S', "subscription identifier in five bytes", []byte{0x0B, 0xFF, 0xFF, 0xFF, 0xFF, 0x01}, "0x81", "5: 1.5.5-1"},
		{'S', "subscription identifier 1 in two bytes", []byte{0x0B, 0x81, 0x00}, "0x81", "5: 1.5.5-1"},
		{'P', "empty response topic", join([]byte{0x08}, text("")), "0x82", "5: 4.7.3-1"},
	} {
		for _, place := range c.places() {
			if place.letter == v.letter {
				var spec []string
				if v.spec != "" {
					spec = append(spec, v.spec)
				}
				c.put(place, fmt.Sprintf("%s with %s", place.name, v.name), v.bytes, v.code, spec...)
			}
		}
	}
	expiry := packet(0xE0, []byte{0}, c.properties(join([]byte{0x11}, u32(10))))
	c.add("DISCONNECT that gives a session without expiry one", expiry, protocol)
}

// propertyLengths has property lists that are cut off or whose length is wrong, each in each packet.
func (c *catalogue) propertyLengths() {
	user := join([]byte{0x26}, text("k"), text("v"))
	for _, place := range c.places() {
		for cut := 1; cut < len(user); cut++ {
			c.put(place, fmt.Sprintf("%s with a user property cut off at %d", place.name, cut), user[:cut], "0x81")
		}
		for _, p := range all {
			if !p.many && strings.ContainsRune(p.in, rune(place.letter)) {
				cut := p.bytes[:len(p.bytes)-1]
				c.put(place, fmt.Sprintf("%s with the %s without its last byte", place.name, p.name), cut, "0x81")
			}
		}
		c.putList(place, place.name+" with a property length beyond its end", join([]byte{120}, user), "0x81")
		c.putList(place, place.name+" with a property length that ends inside a property", join([]byte{3}, user), "0x81")
		c.putList(place, place.name+" with a property length in five bytes", []byte{0xFF, 0xFF, 0xFF, 0xFF, 0x01}, "0x81", "5: 1.5.5-1")
		c.putList(place, place.name+" with a property length of 0 in two bytes", []byte{0x80, 0x00}, "0x81", "5: 1.5.5-1")
	}
	c.add("PUBLISH without property length", packet(0x30, text("t")), malformed, "5: 2.2.2-1")
	c.add("SUBSCRIBE without property length", packet(0x82, u16(7), text("filter"), []byte{0}), malformed, "5: 2.2.2-1")
}

// knownReasons are the reason codes that a client may send, by fixed header. PUBACK's are PUBREC's, PUBREL's are PUBCOMP's.
var knownReasons = map[byte][]byte{
	0x40: {0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99},
	0x50: {0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99},
	0x62: {0x00, 0x92},
	0x70: {0x00, 0x92},
	0xE0: {0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99},
}

// reasons has the reason codes that the packets of a client do not have.
func (c *catalogue) reasons() {
	codes := []byte{0x01, 0x02, 0x11, 0x18, 0x19, 0x7F, 0x84, 0x8A, 0x8E, 0x9F, 0xA0, 0xA2, 0xA3, 0xFF}
	for _, t := range []struct {
		header byte
		name   string
		spec   string
	}{
		{0x40, "PUBACK", "5: 3.4.2-1"},
		{0x50, "PUBREC", "5: 3.5.2-1"},
		{0x62, "PUBREL", "5: 3.6.2-1"},
		{0x70, "PUBCOMP", "5: 3.7.2-1"},
		{0xE0, "DISCONNECT", "5: 3.14.2-1"},
	} {
		for _, code := range codes {
			if slices.Contains(knownReasons[t.header], code) {
				continue
			}
			c.add(fmt.Sprintf("%s with reason 0x%02X", t.name, code), packet(t.header, withReason(t.header, code)), protocol, t.spec)
		}
	}
	for _, code := range []byte{0x01, 0x17, 0x1A, 0x80, 0x87, 0xFF} {
		body := join([]byte{code}, c.properties(join([]byte{0x15}, text("m"))))
		c.add(fmt.Sprintf("AUTH with reason 0x%02X", code), packet(0xF0, body), protocol, "5: 3.15.2-1")
	}
}

// withReason is the body of an acknowledgement of packet id 7, or of a DISCONNECT.
func withReason(header, code byte) []byte {
	if header == 0xE0 {
		return []byte{code}
	}
	return join(u16(7), []byte{code})
}
