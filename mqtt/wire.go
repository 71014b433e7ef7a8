package mqtt

import (
	"bytes"
	"encoding/binary"
	"unicode/utf8"
)

// A reader takes fields off the front of p. The first error sticks: from then on
// p is empty and every method returns a zero value, so that callers check err once.
type reader struct {
	p   []byte
	err error
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.p = nil
}

func (r *reader) byte() byte {
	if len(r.p) < 1 {
		r.fail(errShort)
		return 0
	}
	b := r.p[0]
	r.p = r.p[1:]
	return b
}

func (r *reader) uint16() uint16 {
	if len(r.p) < 2 {
		r.fail(errShort)
		return 0
	}
	n := binary.BigEndian.Uint16(r.p)
	r.p = r.p[2:]
	return n
}

func (r *reader) uint32() uint32 {
	if len(r.p) < 4 {
		r.fail(errShort)
		return 0
	}
	n := binary.BigEndian.Uint32(r.p)
	r.p = r.p[4:]
	return n
}

func (r *reader) varint() uint32 {
	n, size, ok := varint(r.p)
	switch {
	case !ok:
		r.fail(errVarint)
	case size == 0:
		r.fail(errShort)
	default:
		r.p = r.p[size:]
	}
	return n
}

// take returns the next n bytes, capped so that appending to them cannot
// overwrite what follows.
func (r *reader) take(n int) []byte {
	if len(r.p) < n {
		r.fail(errShort)
		return nil
	}
	b := r.p[:n:n]
	r.p = r.p[n:]
	return b
}

// binary reads a two byte length and as many bytes.
func (r *reader) binary() []byte { return r.take(int(r.uint16())) }

// text reads a UTF-8 encoded string [MQTT-1.5.4-1, MQTT-1.5.4-2].
// [MQTT-1.5.3-1, -2, -3, MQTT-1.5.4-3, MQTT-1.5.7-1]
func (r *reader) text() []byte {
	b := r.binary()
	if !ValidUTF8(b) {
		r.fail(errUTF8)
	}
	return b
}

// packetID reads a packet identifier, which is never 0 [MQTT-2.2.1-3].
// [MQTT-2.3.1-1]
func (r *reader) packetID() uint16 {
	id := r.uint16()
	if id == 0 {
		r.fail(errPacketIDZero)
	}
	return id
}

// end returns the first error, and it is one if bytes are left over.
func (r *reader) end() error {
	if r.err == nil && len(r.p) > 0 {
		return errTrailing
	}
	return r.err
}

// varint reads a variable byte integer from the front of p: its value and size in
// bytes. The size is 0 while p does not hold all of it. ok is false if it has more
// than four bytes or is longer than its value needs [MQTT-1.5.5-1].
func varint(p []byte) (n uint32, size int, ok bool) {
	for i, b := range p {
		if i == 4 {
			break
		}
		n |= uint32(b&0x7F) << (7 * i)
		if b < 0x80 {
			return n, i + 1, b != 0 || i == 0
		}
	}
	return 0, 0, len(p) < 4
}

func varintLen(n int) int {
	switch {
	case n < 1<<7:
		return 1
	case n < 1<<14:
		return 2
	case n < 1<<21:
		return 3
	}
	return 4
}

func appendVarint(dst []byte, n int) []byte {
	for n >= 0x80 {
		dst = append(dst, byte(n)|0x80)
		n >>= 7
	}
	return append(dst, byte(n))
}

func appendUint16(dst []byte, n uint16) []byte { return binary.BigEndian.AppendUint16(dst, n) }

func appendUint32(dst []byte, n uint32) []byte { return binary.BigEndian.AppendUint32(dst, n) }

// appendBinary appends a two byte length and s.
func appendBinary[T string | []byte](dst []byte, s T) []byte {
	dst = append(dst, byte(len(s)>>8), byte(len(s)))
	return append(dst, s...)
}

// Words of eight equal bytes, to look at eight bytes of a string at once.
const (
	ones  = 0x0101010101010101
	highs = ones << 7
)

// hasZero reports whether a byte of x is 0.
func hasZero(x uint64) bool { return (x-ones)&^x&highs != 0 }

// ValidUTF8 reports whether p is a string that is accepted: well-formed UTF-8 without surrogates [MQTT-1.5.4-1] and without U+0000
// [MQTT-1.5.4-2], and, as in Mosquitto, without what a sender should not use and a receiver may refuse (section 1.5.4, 1.5.3 of
// 3.1.1): control characters and code points that are no characters.
func ValidUTF8(p []byte) bool {
	for len(p) >= 8 {
		x := binary.LittleEndian.Uint64(p)
		if unusual(x) {
			return validSlow(p)
		}
		p = p[8:]
	}
	for _, b := range p {
		if b < ' ' || b >= del {
			return validSlow(p)
		}
	}
	return true
}

const del = 0x7F // U+007F, the last of ASCII's control characters

// unusual reports whether a byte of x may be one other than a printable character of ASCII. It may also say so for a byte behind such a one.
func unusual(x uint64) bool { return (x|(x-ones*' ')|(x+ones))&highs != 0 }

func validSlow(p []byte) bool {
	for len(p) > 0 {
		r, n := utf8.DecodeRune(p)
		switch {
		case r == utf8.RuneError && n == 1:
			return false
		case r < ' ', r >= del && r < 0xA0, r >= 0xFDD0 && r <= 0xFDEF, r&0xFFFE == 0xFFFE:
			return false
		}
		p = p[n:]
	}
	return true
}

// checkTopicName returns why p cannot be a topic name, or nil. The empty name
// passes, since it has different meanings in different places.
func checkTopicName(p []byte) error {
	rest := p
	for len(rest) >= 8 {
		x := binary.LittleEndian.Uint64(rest)
		if unusual(x) || hasZero(x^ones*'+') || hasZero(x^ones*'#') {
			return checkTopicNameSlow(p)
		}
		rest = rest[8:]
	}
	for _, b := range rest {
		if b < ' ' || b == '+' || b == '#' || b >= del {
			return checkTopicNameSlow(p)
		}
	}
	return nil
}

func checkTopicNameSlow(p []byte) error {
	if !validSlow(p) {
		return errUTF8 // [MQTT-3.3.2-1]
	}
	if hasWildcard(p) {
		return errTopicWildcard // [MQTT-3.3.2-2]
	}
	return nil
}

func hasWildcard(p []byte) bool { return bytes.IndexByte(p, '+') >= 0 || bytes.IndexByte(p, '#') >= 0 }
