package mqtt

// Split cuts the first packet off p, of a connection whose version is not known; see
// [Version.Split]. It accepts what any version accepts in a fixed header; Decode checks the rest.
func Split(p []byte, limit uint32) (frame, rest []byte, err error) { return Version(0).Split(p, limit) }

// Split cuts the first packet off p. It returns the whole packet as frame and
// what follows as rest; frame is nil while p does not hold a whole packet yet.
//
// The fixed header is checked as soon as its bytes are there, before the body has
// arrived: the type, the flags, the encoding of the remaining length, and that
// the whole packet has at most limit bytes, header included; 0 means no limit.
// AUTH is accepted in every version; Decode refuses it.
func (v Version) Split(p []byte, limit uint32) (frame, rest []byte, err error) {
	if len(p) == 0 {
		return nil, p, nil
	}
	if err := checkFirstByte(p[0], v); err != nil {
		return nil, p, err
	}
	n, size, ok := remainingLength(p[1:], v)
	if !ok {
		return nil, p, errLength
	}
	if size == 0 {
		return nil, p, nil
	}
	total := 1 + size + int(n)
	if limit > 0 && uint64(total) > uint64(limit) {
		return nil, p, errPacketTooLarge
	}
	if len(p) < total {
		return nil, p, nil
	}
	return p[:total:total], p[total:], nil
}

// remainingLength is varint for the length in a fixed header, of which only 5.0 says that it has no
// more bytes than it needs [MQTT-1.5.5-1].
func remainingLength(p []byte, v Version) (n uint32, size int, ok bool) {
	n, size, ok = varint(p)
	return n, size, ok || size > 0 && v < V5
}

// checkFirstByte checks the type and the flags that belong to it [MQTT-2.1.3-1].
// [MQTT-2.2.2-1, -2, MQTT-3.6.1-1, MQTT-3.8.1-1, MQTT-3.10.1-1, MQTT-3.14.1-1, MQTT-3.15.1-1]
func checkFirstByte(b byte, v Version) error {
	flags, want := b&0x0F, byte(0)
	switch Type(b >> 4) {
	case 0:
		return errType
	case PUBLISH:
		if flags&0x06 == 0x06 {
			return errFlags // QoS 3 [MQTT-3.3.1-4]
		}
		return nil
	case PUBREL, SUBSCRIBE, UNSUBSCRIBE:
		want = 0x02
	default:
	}
	// 3.1 has QoS, DUP and RETAIN in all packets, and says of most types that they are not used. There
	// are clients that set them, and brokers that do not look.
	if flags != want && v > V31 {
		return errFlags
	}
	return nil
}

// body checks that frame is one whole packet of type t and returns the flags of its
// fixed header and a reader of all that follows it.
func body(frame []byte, t Type, v Version) (flags byte, r reader, err error) {
	if len(frame) < 2 {
		return 0, r, errFrame
	}
	if Type(frame[0]>>4) != t {
		return 0, r, errWrongType
	}
	if err := checkFirstByte(frame[0], v); err != nil {
		return 0, r, err
	}
	n, size, ok := remainingLength(frame[1:], v)
	if !ok {
		return 0, r, errLength
	}
	if size == 0 || len(frame) != 1+size+int(n) {
		return 0, r, errFrame
	}
	return frame[0] & 0x0F, reader{p: frame[1+size:]}, nil
}

// New returns an empty packet of type t, nil if there is no such type.
func New(t Type) Packet {
	switch t {
	case CONNECT:
		return new(Connect)
	case CONNACK:
		return new(Connack)
	case PUBLISH:
		return new(Publish)
	case PUBACK, PUBREC, PUBREL, PUBCOMP:
		return &Ack{Kind: t}
	case SUBSCRIBE:
		return new(Subscribe)
	case SUBACK:
		return new(Suback)
	case UNSUBSCRIBE:
		return new(Unsubscribe)
	case UNSUBACK:
		return new(Unsuback)
	case PINGREQ:
		return new(Pingreq)
	case PINGRESP:
		return new(Pingresp)
	case DISCONNECT:
		return new(Disconnect)
	case AUTH:
		return new(Auth)
	}
	return nil
}

// Decode reads a packet of any type from frame, one whole packet as Split returns
// it, into a new struct. For CONNECT, v is ignored: the packet states its version.
// A packet is returned with an error too, as far as it was read, unless its type
// is unknown.
func Decode(v Version, frame []byte) (Packet, error) {
	if len(frame) == 0 {
		return nil, errFrame
	}
	p := New(Type(frame[0] >> 4))
	if p == nil {
		return nil, errType
	}
	return p, p.Decode(v, frame)
}
