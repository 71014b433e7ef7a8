package mqtt

// Pingreq is the PINGREQ packet.
type Pingreq struct{}

// Pingresp is the PINGRESP packet.
type Pingresp struct{}

var (
	_ Packet = (*Pingreq)(nil)
	_ Packet = (*Pingresp)(nil)
)

// Type returns PINGREQ.
func (*Pingreq) Type() Type { return PINGREQ }

// Decode implements [Packet].
func (*Pingreq) Decode(v Version, frame []byte) error { return decodeEmpty(PINGREQ, v, frame) }

// Append implements [Packet].
func (*Pingreq) Append(dst []byte, _ Version) []byte { return append(dst, byte(PINGREQ)<<4, 0) }

// Type returns PINGRESP.
func (*Pingresp) Type() Type { return PINGRESP }

// Decode implements [Packet].
func (*Pingresp) Decode(v Version, frame []byte) error { return decodeEmpty(PINGRESP, v, frame) }

// Append implements [Packet].
func (*Pingresp) Append(dst []byte, _ Version) []byte { return append(dst, byte(PINGRESP)<<4, 0) }

func decodeEmpty(t Type, v Version, frame []byte) error {
	_, r, err := body(frame, t, v)
	if err != nil {
		return err
	}
	return r.end()
}
