package mqtt

// Connack is the CONNACK packet.
type Connack struct {
	SessionPresent bool // not on the wire in 3.1
	// Reason is the v5.0 reason code. For 3.x Append maps it to a return code and
	// Decode maps the return code 0..5 to the v5.0 reason code of the same meaning.
	Reason     ReasonCode
	Properties Properties
}

var _ Packet = (*Connack)(nil)

// Type returns CONNACK.
func (*Connack) Type() Type { return CONNACK }

// Decode implements [Packet].
func (c *Connack) Decode(v Version, frame []byte) error {
	_, r, err := body(frame, CONNACK, v)
	if err != nil {
		return err
	}
	c.Properties.Reset()
	flags, code := r.byte(), r.byte()
	if r.err != nil {
		return r.err
	}
	if v <= V31 {
		flags = 0 // a reserved byte without meaning
	}
	if flags > 1 {
		return errConnackFlags // [MQTT-3.2.2-1]
	}
	c.SessionPresent = flags == 1
	if v < V5 {
		if int(code) >= len(returnCodes) {
			return errReason
		}
		c.Reason = returnCodes[code]
	} else {
		c.Reason = ReasonCode(code)
		if !allowedReasons[CONNACK].has(c.Reason) {
			return errReason // [MQTT-3.2.2-8]
		}
		c.Properties.decode(&r, CONNACK)
	}
	if c.SessionPresent && c.Reason != Success {
		r.fail(errSessionPresent) // [MQTT-3.2.2-6], 3.1.1 [MQTT-3.2.2-4]
	}
	return r.end()
}

// Append implements [Packet]. A refusal is never written with session present
// [MQTT-3.2.2-6].
func (c *Connack) Append(dst []byte, v Version) []byte {
	present := flag(c.SessionPresent && c.Reason == Success && v > V31)
	if v < V5 {
		return append(dst, byte(CONNACK)<<4, 2, present, returnCode(c.Reason))
	}
	n := 2 + sized(c.Properties.size(CONNACK))
	dst = appendVarint(append(dst, byte(CONNACK)<<4), n)
	dst = append(dst, present, byte(c.Reason))
	return c.Properties.append(dst, CONNACK)
}

// returnCodes holds the meaning of each CONNACK return code of 3.1 and 3.1.1.
var returnCodes = [...]ReasonCode{
	Success, UnsupportedProtocolVersion, ClientIdentifierNotValid, ServerUnavailable, BadUserNameOrPassword,
	NotAuthorized,
}

// returnCode maps a reason code to the return code of 3.1 and 3.1.1 that tells a
// client the same thing: try another version, identifier or user, or try later.
func returnCode(r ReasonCode) byte {
	switch r {
	case Success:
		return 0
	case UnsupportedProtocolVersion:
		return 1
	case ClientIdentifierNotValid:
		return 2
	case BadUserNameOrPassword, BadAuthenticationMethod:
		return 4
	case NotAuthorized, Banned, TopicNameInvalid, RetainNotSupported, QoSNotSupported, PacketTooLarge:
		return 5
	}
	return 3 // server unavailable
}
