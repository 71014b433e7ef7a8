package mqtt

// Disconnect is the DISCONNECT packet. Before 5.0 it is empty and only a client
// sends it.
type Disconnect struct {
	Reason     ReasonCode
	Properties Properties
}

var _ Packet = (*Disconnect)(nil)

// Type returns DISCONNECT.
func (*Disconnect) Type() Type { return DISCONNECT }

// Decode implements [Packet].
func (d *Disconnect) Decode(v Version, frame []byte) error {
	_, r, err := body(frame, DISCONNECT, v)
	if err != nil {
		return err
	}
	d.Reason = NormalDisconnection
	d.Properties.Reset()
	if v >= V5 {
		decodeReason(&r, DISCONNECT, &d.Reason, &d.Properties)
	}
	return r.end()
}

// Append implements [Packet].
func (d *Disconnect) Append(dst []byte, v Version) []byte {
	if v < V5 {
		return append(dst, byte(DISCONNECT)<<4, 0)
	}
	n := reasonSize(d.Reason, &d.Properties, DISCONNECT)
	dst = appendVarint(append(dst, byte(DISCONNECT)<<4), n)
	return appendReason(dst, n, d.Reason, &d.Properties, DISCONNECT)
}

// decodeReason reads the reason code and the properties that end an
// acknowledgement, a DISCONNECT or an AUTH; both or the properties may be missing.
func decodeReason(r *reader, t Type, reason *ReasonCode, p *Properties) {
	if len(r.p) == 0 {
		return
	}
	*reason = ReasonCode(r.byte())
	if !allowedReasons[t].has(*reason) {
		r.fail(errReason)
	}
	if len(r.p) > 0 {
		p.decode(r, t)
	}
}

// reasonSize returns the size of the shortest form that appendReason can write:
// 0 for success without properties, 1 for a reason without properties.
func reasonSize(reason ReasonCode, p *Properties, t Type) int {
	if n := p.size(t); n > 0 {
		return 1 + varintLen(n) + n
	}
	if reason != Success {
		return 1
	}
	return 0
}

// appendReason writes what decodeReason reads in size bytes, as reasonSize says.
func appendReason(dst []byte, size int, reason ReasonCode, p *Properties, t Type) []byte {
	if size > 0 {
		dst = append(dst, byte(reason))
	}
	if size > 1 {
		dst = p.append(dst, t)
	}
	return dst
}
