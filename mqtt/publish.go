package mqtt

// Publish is the PUBLISH packet.
type Publish struct {
	Dup        bool
	QoS        byte
	Retain     bool
	Topic      []byte
	PacketID   uint16 // 0 at QoS 0
	Payload    []byte
	Properties Properties
	// Forwarded is the wire form of properties that Append writes verbatim behind
	// Properties (see Properties.AppendForwarded). Decode leaves it nil.
	Forwarded []byte
}

var _ Packet = (*Publish)(nil)

// Type returns PUBLISH.
func (*Publish) Type() Type { return PUBLISH }

// Decode implements [Packet]. The topic name holds no wildcard; it is empty only
// if there is a topic alias.
// [MQTT-2.2.1-2, MQTT-2.3.1-5]
func (p *Publish) Decode(v Version, frame []byte) error {
	flags, r, err := body(frame, PUBLISH, v)
	if err != nil {
		return err
	}
	p.Dup = flags&0x08 != 0
	p.QoS = flags >> 1 & 0x03
	p.Retain = flags&0x01 != 0
	p.Forwarded = nil
	if p.Dup && p.QoS == 0 {
		if v > V31 {
			return errDupQoS0 // [MQTT-3.3.1-2]
		}
		p.Dup = false // without meaning in 3.1
	}
	p.Topic = r.binary()
	if err := checkTopicName(p.Topic); err != nil {
		return err
	}
	p.PacketID = 0
	if p.QoS > 0 {
		p.PacketID = r.packetID()
	}
	if v >= V5 {
		p.Properties.decode(&r, PUBLISH)
	} else {
		p.Properties.Reset()
	}
	if r.err != nil {
		return r.err
	}
	p.Payload = r.p
	if len(p.Topic) == 0 && !p.Properties.Has(PropTopicAlias) {
		return errNoTopic // [MQTT-4.7.3-1]; in 5.0 an alias may stand for the name
	}
	return nil
}

// Append implements [Packet]. It does not keep or change any field's memory. DUP
// is written at QoS 1 and 2 only [MQTT-3.3.1-2].
func (p *Publish) Append(dst []byte, v Version) []byte {
	return append(p.AppendHead(dst, v), p.Payload...)
}

// AppendHead is Append without the payload, which is the last part of the packet: the payload can
// then be written from where it is.
func (p *Publish) AppendHead(dst []byte, v Version) []byte {
	first := byte(PUBLISH)<<4 | p.QoS<<1
	if p.Dup && p.QoS > 0 {
		first |= 0x08
	}
	if p.Retain {
		first |= 0x01
	}
	remaining, properties := p.sizes(v)
	dst = appendVarint(append(dst, first), remaining)
	dst = appendBinary(dst, p.Topic)
	if p.QoS > 0 {
		dst = appendUint16(dst, p.PacketID)
	}
	if v >= V5 {
		dst = appendVarint(dst, properties)
		dst = p.Properties.appendFields(dst, allowedProperties[PUBLISH])
		dst = append(dst, p.Forwarded...)
	}
	return dst
}

// Size returns the size in bytes of what Append writes, fixed header included, to
// compare with a peer's maximum packet size [MQTT-3.1.2-24].
func (p *Publish) Size(v Version) int {
	remaining, _ := p.sizes(v)
	return 1 + varintLen(remaining) + remaining
}

// sizes returns the remaining length and the property length.
func (p *Publish) sizes(v Version) (remaining, properties int) {
	remaining = 2 + len(p.Topic) + len(p.Payload)
	if p.QoS > 0 {
		remaining += 2
	}
	if v >= V5 {
		properties = p.Properties.size(PUBLISH) + len(p.Forwarded)
		remaining += varintLen(properties) + properties
	}
	return remaining, properties
}

// PacketIDOffset returns the index in frame, one whole PUBLISH, at which its two
// byte packet identifier lies, so that a packet encoded once can be sent to many
// with an identifier each. It returns -1 if frame has none.
func PacketIDOffset(frame []byte) int {
	if len(frame) == 0 || Type(frame[0]>>4) != PUBLISH || frame[0]&0x06 == 0 {
		return -1
	}
	_, size, ok := remainingLength(frame[1:], 0)
	at := 1 + size
	if !ok || size == 0 || len(frame) < at+2 {
		return -1
	}
	at += 2 + int(frame[at])<<8 + int(frame[at+1])
	if len(frame) < at+2 {
		return -1
	}
	return at
}
