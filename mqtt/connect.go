package mqtt

// Connect is the CONNECT packet.
type Connect struct {
	Version     Version // 0 after Decode if the protocol name or level is not known
	Bridge      bool    // the protocol level had its high bit set (0x83, 0x84), as Mosquitto's bridges do
	CleanStart  bool    // Clean Session before 5.0
	KeepAlive   uint16  // seconds
	ClientID    string
	Will        *Will // nil: no will
	HasUsername bool
	Username    string
	HasPassword bool
	Password    []byte
	Properties  Properties
}

// Will is the will message of a CONNECT.
type Will struct {
	Topic      string
	Payload    []byte
	QoS        byte
	Retain     bool
	Properties Properties
}

var _ Packet = (*Connect)(nil)

// The bits of the connect flags [MQTT 5.0, 3.1.2.3].
const (
	flagReserved   = 0x01
	flagCleanStart = 0x02
	flagWill       = 0x04
	flagWillQoS    = 0x18
	flagWillRetain = 0x20
	flagPassword   = 0x40
	flagUserName   = 0x80
)

// bridgeBit in the protocol level marks a Mosquitto bridge, before 5.0 only.
const bridgeBit = 0x80

// Type returns CONNECT.
func (*Connect) Type() Type { return CONNECT }

// Decode implements [Packet], but ignores the version given: it sets c.Version from
// the packet, even if what follows is wrong, so that a refusal can be written in
// the client's version. Will is a new struct each time.
// [MQTT-3.1.2-16, -17, -18, -19, -20, -21, MQTT-3.1.3-1, -3, -4, -11, -12]
func (c *Connect) Decode(_ Version, frame []byte) error {
	*c = Connect{Properties: c.Properties}
	c.Properties.Reset()
	_, r, err := body(frame, CONNECT, 0)
	if err != nil {
		return err
	}
	c.decodeProtocol(&r)
	if _, _, err := body(frame, CONNECT, c.Version); r.err == nil && err != nil { // now that it is known
		return err
	}
	flags := r.byte()
	if r.err == nil {
		r.err = checkConnectFlags(flags, c.Version)
	}
	c.CleanStart = flags&flagCleanStart != 0
	c.KeepAlive = r.uint16()
	if c.Version >= V5 {
		c.Properties.decode(&r, CONNECT)
	}
	c.ClientID = string(r.text())
	if flags&flagWill != 0 && r.err == nil {
		c.decodeWill(&r, flags)
	}
	c.decodeLogin(&r, flags)
	return r.end()
}

// decodeProtocol reads the protocol name and level: "MQIsdp" 3, "MQTT" 4 or 5
// [MQTT-3.1.2-1, MQTT-3.1.2-2].
func (c *Connect) decodeProtocol(r *reader) {
	name := string(r.binary())
	level := r.byte()
	if r.err != nil {
		return
	}
	version := Version(level &^ bridgeBit)
	switch name {
	case "MQIsdp":
		if version != V31 {
			r.fail(ErrProtocolLevel)
			return
		}
	case "MQTT":
		if version != V311 && Version(level) != V5 {
			r.fail(ErrProtocolLevel)
			return
		}
	default:
		r.fail(errProtocolName)
		return
	}
	c.Version = version
	c.Bridge = level&bridgeBit != 0
}

// [MQTT-3.1.2-13, -14, -15]
func checkConnectFlags(flags byte, v Version) error {
	if v == V31 {
		// 3.1 reserves no bit and disregards the will's bits without a will.
		flags &^= flagReserved
		if flags&flagWill == 0 {
			flags &^= flagWillQoS | flagWillRetain
		}
	}
	switch {
	case flags&flagReserved != 0: // [MQTT-3.1.2-3]
		return errConnectFlags
	case flags&flagWill == 0 && flags&(flagWillQoS|flagWillRetain) != 0: // [MQTT-3.1.2-11], [MQTT-3.1.2-13]
		return errConnectFlags
	case flags&flagWillQoS == flagWillQoS: // [MQTT-3.1.2-12]
		return errWillQoS
	case v < V5 && flags&flagUserName == 0 && flags&flagPassword != 0: // 3.1.1 [MQTT-3.1.2-22]; 5.0 allows it
		return errNoUserName
	}
	return nil
}

// [MQTT-3.1.2-9, MQTT-3.1.3-10, -11]
func (c *Connect) decodeWill(r *reader, flags byte) {
	w := &Will{QoS: flags & flagWillQoS >> 3, Retain: flags&flagWillRetain != 0}
	if c.Version >= V5 {
		w.Properties.decode(r, will)
	}
	topic := r.binary()
	if r.err == nil && len(topic) == 0 {
		r.fail(errWillTopicEmpty) // [MQTT-4.7.3-1]
	}
	if err := checkTopicName(topic); err != nil {
		r.fail(err)
	}
	w.Topic = string(topic)
	w.Payload = r.binary()
	c.Will = w
}

// decodeLogin reads user name and password. A 3.1 client may set the flags and leave the fields out
// [MQTT 3.1, section 3.1]. A user name of it that is no UTF-8 is none, as in Mosquitto, and with it
// the password, which 3.1 does not know alone.
func (c *Connect) decodeLogin(r *reader, flags byte) {
	lenient := c.Version == V31
	if flags&flagUserName != 0 && (!lenient || len(r.p) > 0) {
		name := r.binary()
		if ValidUTF8(name) {
			c.Username, c.HasUsername = string(name), true
		} else if !lenient {
			r.fail(errUTF8)
		}
	}
	if flags&flagPassword != 0 && (!lenient || len(r.p) > 0) {
		password := r.binary()
		if !lenient || c.HasUsername {
			c.Password, c.HasPassword = password, true
		}
	}
}

// Append implements [Packet]. It writes version v, whatever c.Version is.
func (c *Connect) Append(dst []byte, v Version) []byte {
	name, level := "MQTT", byte(v)
	if v == V31 {
		name = "MQIsdp"
	}
	if c.Bridge && v < V5 {
		level |= bridgeBit
	}
	dst = appendVarint(append(dst, byte(CONNECT)<<4), c.remaining(v, name))
	dst = appendBinary(dst, name)
	dst = append(dst, level, c.flags())
	dst = appendUint16(dst, c.KeepAlive)
	if v >= V5 {
		dst = c.Properties.append(dst, CONNECT)
	}
	dst = appendBinary(dst, c.ClientID)
	if w := c.Will; w != nil {
		if v >= V5 {
			dst = w.Properties.append(dst, will)
		}
		dst = appendBinary(dst, w.Topic)
		dst = appendBinary(dst, w.Payload)
	}
	if c.HasUsername {
		dst = appendBinary(dst, c.Username)
	}
	if c.HasPassword {
		dst = appendBinary(dst, c.Password)
	}
	return dst
}

func (c *Connect) flags() (flags byte) {
	if c.CleanStart {
		flags |= flagCleanStart
	}
	if w := c.Will; w != nil {
		flags |= flagWill | w.QoS<<3
		if w.Retain {
			flags |= flagWillRetain
		}
	}
	if c.HasUsername {
		flags |= flagUserName
	}
	if c.HasPassword {
		flags |= flagPassword
	}
	return flags
}

func (c *Connect) remaining(v Version, name string) int {
	n := 2 + len(name) + 4 + 2 + len(c.ClientID)
	if v >= V5 {
		n += sized(c.Properties.size(CONNECT))
	}
	if w := c.Will; w != nil {
		n += 2 + len(w.Topic) + 2 + len(w.Payload)
		if v >= V5 {
			n += sized(w.Properties.size(will))
		}
	}
	if c.HasUsername {
		n += 2 + len(c.Username)
	}
	if c.HasPassword {
		n += 2 + len(c.Password)
	}
	return n
}

// sized adds to a property length the size of its own encoding.
func sized(n int) int { return varintLen(n) + n }
