package mqtt

// Unsuback is the UNSUBACK packet; before 5.0 it has no Reasons on the wire.
// Reasons has one code for each filter of the UNSUBSCRIBE, in its order
// [MQTT-3.11.3-1].
type Unsuback struct {
	PacketID   uint16
	Reasons    []ReasonCode
	Properties Properties
}

var _ Packet = (*Unsuback)(nil)

// Type returns UNSUBACK.
func (*Unsuback) Type() Type { return UNSUBACK }

// Decode implements [Packet].
func (u *Unsuback) Decode(v Version, frame []byte) error {
	_, r, err := body(frame, UNSUBACK, v)
	if err != nil {
		return err
	}
	u.PacketID = r.packetID()
	u.Reasons = u.Reasons[:0]
	if v < V5 {
		u.Properties.Reset()
		return r.end()
	}
	u.Properties.decode(&r, UNSUBACK)
	u.Reasons = decodeReasons(&r, u.Reasons, allowedReasons[UNSUBACK]) // [MQTT-3.11.3-2]
	return r.end()
}

// Append implements [Packet].
func (u *Unsuback) Append(dst []byte, v Version) []byte {
	n := 2
	if v >= V5 {
		n += sized(u.Properties.size(UNSUBACK)) + len(u.Reasons)
	}
	dst = appendVarint(append(dst, byte(UNSUBACK)<<4), n)
	dst = appendUint16(dst, u.PacketID)
	if v < V5 {
		return dst
	}
	dst = u.Properties.append(dst, UNSUBACK)
	for _, code := range u.Reasons {
		dst = append(dst, byte(code))
	}
	return dst
}
