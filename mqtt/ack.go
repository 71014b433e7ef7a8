package mqtt

// Ack is PUBACK, PUBREC, PUBREL or PUBCOMP, as Kind says. Before 5.0 the wire has
// no Reason and no Properties.
type Ack struct {
	Kind       Type // PUBACK, PUBREC, PUBREL or PUBCOMP
	PacketID   uint16
	Reason     ReasonCode
	Properties Properties
}

var _ Packet = (*Ack)(nil)

// Type returns a.Kind.
func (a *Ack) Type() Type { return a.Kind }

// Decode implements [Packet]. It sets Kind to the type of the frame, which must be
// one of the four.
func (a *Ack) Decode(v Version, frame []byte) error {
	if len(frame) == 0 {
		return errFrame
	}
	t := Type(frame[0] >> 4)
	if t < PUBACK || t > PUBCOMP {
		return errWrongType
	}
	_, r, err := body(frame, t, v)
	if err != nil {
		return err
	}
	a.Kind = t
	a.Reason = Success
	a.Properties.Reset()
	a.PacketID = r.packetID()
	if v >= V5 {
		decodeReason(&r, t, &a.Reason, &a.Properties)
	}
	return r.end()
}

// Append implements [Packet]. It writes the shortest form.
func (a *Ack) Append(dst []byte, v Version) []byte {
	first := byte(a.Kind) << 4
	if a.Kind == PUBREL {
		first |= 0x02 // [MQTT-3.6.1-1]
	}
	n := 0
	if v >= V5 {
		n = reasonSize(a.Reason, &a.Properties, a.Kind)
	}
	dst = appendVarint(append(dst, first), 2+n)
	dst = appendUint16(dst, a.PacketID)
	return appendReason(dst, n, a.Reason, &a.Properties, a.Kind)
}
