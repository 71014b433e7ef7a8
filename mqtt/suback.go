package mqtt

// Suback is the SUBACK packet. Reasons has one code for each entry of the
// SUBSCRIBE, in its order [MQTT-3.8.4-6]. Before 5.0 every failure is 0x80.
type Suback struct {
	PacketID   uint16
	Reasons    []ReasonCode
	Properties Properties
}

var _ Packet = (*Suback)(nil)

// Type returns SUBACK.
func (*Suback) Type() Type { return SUBACK }

// Decode implements [Packet].
func (s *Suback) Decode(v Version, frame []byte) error {
	_, r, err := body(frame, SUBACK, v)
	if err != nil {
		return err
	}
	allowed := allowedReasons[SUBACK] // [MQTT-3.9.3-2]
	if v < V5 {
		allowed = subackReasons3
	}
	s.PacketID = r.packetID()
	s.Properties.Reset()
	if v >= V5 {
		s.Properties.decode(&r, SUBACK)
	}
	s.Reasons = decodeReasons(&r, s.Reasons[:0], allowed)
	return r.end()
}

// subackReasons3 holds the return codes of 3.1.1 [MQTT-3.9.3-2]. 3.1 knows no
// failure, but brokers send 0x80 there too.
var subackReasons3 = reasons(GrantedQoS0, GrantedQoS1, GrantedQoS2, UnspecifiedError)

// decodeReasons reads a payload that is a list of reason codes.
func decodeReasons(r *reader, dst []ReasonCode, allowed reasonSet) []ReasonCode {
	if r.err == nil && len(r.p) == 0 {
		r.fail(errNoEntries)
	}
	for _, b := range r.p {
		if !allowed.has(ReasonCode(b)) {
			r.fail(errReason)
			return dst
		}
		dst = append(dst, ReasonCode(b))
	}
	r.p = nil
	return dst
}

// Append implements [Packet].
func (s *Suback) Append(dst []byte, v Version) []byte {
	n := 2 + len(s.Reasons)
	if v >= V5 {
		n += sized(s.Properties.size(SUBACK))
	}
	dst = appendVarint(append(dst, byte(SUBACK)<<4), n)
	dst = appendUint16(dst, s.PacketID)
	if v >= V5 {
		dst = s.Properties.append(dst, SUBACK)
	}
	for _, code := range s.Reasons {
		if v < V5 && code.Failed() {
			code = UnspecifiedError
		}
		dst = append(dst, byte(code))
	}
	return dst
}
