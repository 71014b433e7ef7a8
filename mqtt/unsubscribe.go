package mqtt

// Unsubscribe is the UNSUBSCRIBE packet.
type Unsubscribe struct {
	PacketID   uint16
	Filters    []string
	Properties Properties
}

var _ Packet = (*Unsubscribe)(nil)

// Type returns UNSUBSCRIBE.
func (*Unsubscribe) Type() Type { return UNSUBSCRIBE }

// Decode implements [Packet].
func (u *Unsubscribe) Decode(v Version, frame []byte) error {
	_, r, err := body(frame, UNSUBSCRIBE, v)
	if err != nil {
		return err
	}
	u.Filters = u.Filters[:0]
	u.PacketID = r.packetID()
	if v >= V5 {
		u.Properties.decode(&r, UNSUBSCRIBE)
	} else {
		u.Properties.Reset()
	}
	if r.err == nil && len(r.p) == 0 {
		return errNoEntries // [MQTT-3.10.3-2]
	}
	for len(r.p) > 0 {
		filter := r.text() // [MQTT-3.10.3-1]
		if r.err != nil {
			return r.err
		}
		u.Filters = append(u.Filters, string(filter))
	}
	return r.end()
}

// Append implements [Packet].
func (u *Unsubscribe) Append(dst []byte, v Version) []byte {
	n := 2
	if v >= V5 {
		n += sized(u.Properties.size(UNSUBSCRIBE))
	}
	for _, filter := range u.Filters {
		n += 2 + len(filter)
	}
	dst = appendVarint(append(dst, byte(UNSUBSCRIBE)<<4|0x02), n)
	dst = appendUint16(dst, u.PacketID)
	if v >= V5 {
		dst = u.Properties.append(dst, UNSUBSCRIBE)
	}
	for _, filter := range u.Filters {
		dst = appendBinary(dst, filter)
	}
	return dst
}
