package psk

import (
	"slices"

	"golang.org/x/crypto/cryptobyte"
)

// messageType is the type of a handshake message (RFC 5246, 7.4).
type messageType uint8

const (
	typeHelloRequest      messageType = 0
	typeClientHello       messageType = 1
	typeServerHello       messageType = 2
	typeServerKeyExchange messageType = 12
	typeServerHelloDone   messageType = 14
	typeClientKeyExchange messageType = 16
	typeFinished          messageType = 20
)

// message puts the header before a handshake message's body.
func message(typ messageType, body func(b *cryptobyte.Builder)) []byte {
	var b cryptobyte.Builder
	b.AddUint8(uint8(typ))
	b.AddUint24LengthPrefixed(body)
	return b.BytesOrPanic() // nothing that is built here can exceed its length prefix
}

func nothing(*cryptobyte.Builder) {}

// Extensions that are understood. All others of a ClientHello are passed over.
const (
	extSupportedGroups   = 10     // RFC 8422, 5.1.1
	extPointFormats      = 11     // RFC 8422, 5.1.2
	extALPN              = 16     // RFC 7301
	extEncryptThenMAC    = 22     // RFC 7366
	extExtendedMaster    = 23     // RFC 7627
	extSupportedVersions = 43     // RFC 8446, 4.2.1
	extRenegotiationInfo = 0xFF01 // RFC 5746
)

// groupID is the number of a group for ECDHE.
type groupID uint16

const (
	groupP256   groupID = 23
	groupX25519 groupID = 29
)

const (
	curveTypeNamed    = 3 // RFC 8422, 5.4
	formatPlain       = 0 // uncompressed points
	compressionNone   = 0
	maxSessionID      = 32
	maxHelloExtension = 64 // how many extensions a hello may have
)

// extensions are those of a hello.
type extensions struct {
	has            []uint16 // all there were, in order
	groups         []groupID
	formats        []byte
	protocols      []string
	versions       []uint16
	encryptThenMAC bool
	extendedMaster bool
}

func (e *extensions) present(id uint16) bool { return slices.Contains(e.has, id) }

var errHello error = &violation{alertDecodeError, "a malformed hello"}

// parse reads the rest of a hello. A hello may end without extensions.
func (e *extensions) parse(s *cryptobyte.String) error {
	if s.Empty() {
		return nil
	}
	var list cryptobyte.String
	if !s.ReadUint16LengthPrefixed(&list) || !s.Empty() {
		return errHello
	}
	for !list.Empty() {
		var id uint16
		var body cryptobyte.String
		if !list.ReadUint16(&id) || !list.ReadUint16LengthPrefixed(&body) {
			return errHello
		}
		if len(e.has) == maxHelloExtension {
			return violates(alertDecodeError, "more than %d extensions", maxHelloExtension)
		}
		if e.present(id) {
			return violates(alertDecodeError, "extension %d twice", id)
		}
		e.has = append(e.has, id)
		known, ok := e.parseOne(id, &body)
		if !ok || known && !body.Empty() {
			return violates(alertDecodeError, "malformed extension %d", id)
		}
	}
	return nil
}

func (e *extensions) parseOne(id uint16, s *cryptobyte.String) (known, ok bool) {
	var list cryptobyte.String
	switch id {
	case extSupportedGroups:
		if !s.ReadUint16LengthPrefixed(&list) || list.Empty() {
			return true, false
		}
		for !list.Empty() {
			var g uint16
			if !list.ReadUint16(&g) {
				return true, false
			}
			e.groups = append(e.groups, groupID(g))
		}
	case extPointFormats:
		if !s.ReadUint8LengthPrefixed(&list) || list.Empty() {
			return true, false
		}
		e.formats = list
	case extALPN:
		if !s.ReadUint16LengthPrefixed(&list) || list.Empty() {
			return true, false
		}
		for !list.Empty() {
			var name cryptobyte.String
			if !list.ReadUint8LengthPrefixed(&name) || name.Empty() {
				return true, false
			}
			e.protocols = append(e.protocols, string(name))
		}
	case extSupportedVersions:
		if !s.ReadUint8LengthPrefixed(&list) || list.Empty() {
			return true, false
		}
		for !list.Empty() {
			var v uint16
			if !list.ReadUint16(&v) {
				return true, false
			}
			e.versions = append(e.versions, v)
		}
	case extEncryptThenMAC:
		e.encryptThenMAC = true
	case extExtendedMaster:
		e.extendedMaster = true
	case extRenegotiationInfo:
		// RFC 5746, 3.4 and 3.6: in a first handshake it holds nothing, and anything else is an attack.
		if !s.ReadUint8LengthPrefixed(&list) || !list.Empty() {
			return true, false
		}
	default:
		return false, true
	}
	return true, true
}

// write adds the extensions to a hello; the two hellos write them alike.
func (e *extensions) write(b *cryptobyte.Builder) {
	add := func(id uint16, body func(b *cryptobyte.Builder)) {
		b.AddUint16(id)
		b.AddUint16LengthPrefixed(body)
	}
	if e.present(extRenegotiationInfo) {
		add(extRenegotiationInfo, func(b *cryptobyte.Builder) { b.AddUint8(0) })
	}
	if e.extendedMaster {
		add(extExtendedMaster, nothing)
	}
	if e.encryptThenMAC {
		add(extEncryptThenMAC, nothing)
	}
	if len(e.groups) > 0 {
		add(extSupportedGroups, func(b *cryptobyte.Builder) {
			b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
				for _, g := range e.groups {
					b.AddUint16(uint16(g))
				}
			})
		})
	}
	if len(e.formats) > 0 {
		add(extPointFormats, func(b *cryptobyte.Builder) {
			b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(e.formats) })
		})
	}
	if len(e.protocols) > 0 {
		add(extALPN, func(b *cryptobyte.Builder) {
			b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
				for _, name := range e.protocols {
					b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(name)) })
				}
			})
		})
	}
}

// clientHello is RFC 5246, 7.4.1.2.
type clientHello struct {
	version   uint16
	random    []byte
	sessionID []byte
	suites    []Suite
	extensions
}

func (m *clientHello) parse(body []byte) error {
	s := cryptobyte.String(body)
	var sessionID, list, compression cryptobyte.String
	if !s.ReadUint16(&m.version) || !s.ReadBytes(&m.random, randomLen) ||
		!s.ReadUint8LengthPrefixed(&sessionID) || len(sessionID) > maxSessionID ||
		!s.ReadUint16LengthPrefixed(&list) || list.Empty() ||
		!s.ReadUint8LengthPrefixed(&compression) || compression.Empty() {
		return errHello
	}
	m.sessionID = sessionID
	for !list.Empty() {
		var id uint16
		if !list.ReadUint16(&id) {
			return errHello
		}
		m.suites = append(m.suites, Suite(id))
	}
	if !slices.Contains(compression, compressionNone) {
		return violates(alertIllegalParameter, "expected a client that can do without compression")
	}
	return m.extensions.parse(&s)
}

func (m *clientHello) marshal() []byte {
	return message(typeClientHello, func(b *cryptobyte.Builder) {
		b.AddUint16(m.version)
		b.AddBytes(m.random)
		b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(m.sessionID) })
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
			for _, id := range m.suites {
				b.AddUint16(uint16(id))
			}
		})
		b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddUint8(compressionNone) })
		b.AddUint16LengthPrefixed(m.write)
	})
}

// serverHello is RFC 5246, 7.4.1.3. The session id is always empty, or passed over: nothing is resumed.
type serverHello struct {
	version uint16
	random  []byte
	suite   Suite
	extensions
}

func (m *serverHello) parse(body []byte) error {
	s := cryptobyte.String(body)
	var sessionID cryptobyte.String
	var compression uint8
	if !s.ReadUint16(&m.version) || !s.ReadBytes(&m.random, randomLen) ||
		!s.ReadUint8LengthPrefixed(&sessionID) || len(sessionID) > maxSessionID ||
		!s.ReadUint16((*uint16)(&m.suite)) || !s.ReadUint8(&compression) {
		return errHello
	}
	if compression != compressionNone {
		return violates(alertIllegalParameter, "the server chose compression %d, which was not offered", compression)
	}
	return m.extensions.parse(&s)
}

func (m *serverHello) marshal() []byte {
	return message(typeServerHello, func(b *cryptobyte.Builder) {
		b.AddUint16(m.version)
		b.AddBytes(m.random)
		b.AddUint8(0) // session id
		b.AddUint16(uint16(m.suite))
		b.AddUint8(compressionNone)
		if len(m.has) > 0 { // an old client may not know the field at all
			b.AddUint16LengthPrefixed(m.write)
		}
	})
}

// keyExchange is ServerKeyExchange or ClientKeyExchange (RFC 4279, 2; RFC 5489, 2): the hint or the identity, and with ECDHE a public key.
type keyExchange struct {
	name  []byte
	group groupID // only of the server
	point []byte  // nil without ECDHE
}

func (m *keyExchange) parse(typ messageType, body []byte, ecdhe bool) error {
	malformed := violates(alertDecodeError, "a malformed key exchange")
	s := cryptobyte.String(body)
	var name, point cryptobyte.String
	if !s.ReadUint16LengthPrefixed(&name) {
		return malformed
	}
	m.name = name
	if ecdhe {
		var curveType uint8
		if typ == typeServerKeyExchange && (!s.ReadUint8(&curveType) || curveType != curveTypeNamed || !s.ReadUint16((*uint16)(&m.group))) {
			return malformed
		}
		if !s.ReadUint8LengthPrefixed(&point) || point.Empty() {
			return malformed
		}
		m.point = point
	}
	if !s.Empty() {
		return malformed
	}
	return nil
}

func (m *keyExchange) marshal(typ messageType) []byte {
	return message(typ, func(b *cryptobyte.Builder) {
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(m.name) })
		if m.point == nil {
			return
		}
		if typ == typeServerKeyExchange {
			b.AddUint8(curveTypeNamed)
			b.AddUint16(uint16(m.group))
		}
		b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(m.point) })
	})
}
