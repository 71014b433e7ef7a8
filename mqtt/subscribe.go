package mqtt

// Subscribe is the SUBSCRIBE packet.
type Subscribe struct {
	PacketID      uint16
	Subscriptions []Subscription
	Properties    Properties
}

// Subscription is one entry of a SUBSCRIBE. Decode checks of Filter only that it is
// a valid string; whether it is a filter is for the broker to say.
type Subscription struct {
	Filter  string
	Options SubscribeOptions
}

// SubscribeOptions is the options byte: QoS in bits 0-1; v5: no local 2, retain as
// published 3, retain handling 4-5.
type SubscribeOptions byte

const (
	optionQoS               SubscribeOptions = 0x03
	optionNoLocal           SubscribeOptions = 0x04
	optionRetainAsPublished SubscribeOptions = 0x08
	optionRetainHandling    SubscribeOptions = 0x30
	optionReserved          SubscribeOptions = 0xC0
)

// QoS returns the maximum QoS.
func (o SubscribeOptions) QoS() byte { return byte(o & optionQoS) }

// NoLocal reports whether the client's own messages are not sent to it.
func (o SubscribeOptions) NoLocal() bool { return o&optionNoLocal != 0 }

// RetainAsPublished reports whether forwarded messages keep their RETAIN flag.
func (o SubscribeOptions) RetainAsPublished() bool { return o&optionRetainAsPublished != 0 }

// Bridged returns the options with no local and retain as published: what a subscription of a client
// with the bridge bit means, which could not ask for them before 5.0; see [Connect].
func (o SubscribeOptions) Bridged() SubscribeOptions {
	return o | optionNoLocal | optionRetainAsPublished
}

// RetainHandling returns when retained messages are sent: 0 at each subscribe, 1 if
// the subscription is new, 2 never.
func (o SubscribeOptions) RetainHandling() byte { return byte(o & optionRetainHandling >> 4) }

var _ Packet = (*Subscribe)(nil)

// Type returns SUBSCRIBE.
func (*Subscribe) Type() Type { return SUBSCRIBE }

// Decode implements [Packet].
func (s *Subscribe) Decode(v Version, frame []byte) error {
	_, r, err := body(frame, SUBSCRIBE, v)
	if err != nil {
		return err
	}
	s.Subscriptions = s.Subscriptions[:0]
	s.PacketID = r.packetID()
	if v >= V5 {
		s.Properties.decode(&r, SUBSCRIBE)
	} else {
		s.Properties.Reset()
	}
	if r.err == nil && len(r.p) == 0 {
		return errNoEntries // [MQTT-3.8.3-2]
	}
	for len(r.p) > 0 {
		filter, options := r.text(), SubscribeOptions(r.byte()) // [MQTT-3.8.3-1]
		if r.err == nil {
			r.err = options.check(v)
		}
		if r.err != nil {
			return r.err
		}
		s.Subscriptions = append(s.Subscriptions, Subscription{Filter: string(filter), Options: options})
	}
	return r.end()
}

func (o SubscribeOptions) check(v Version) error {
	switch {
	case v < V5 && o&^optionQoS != 0, o&optionReserved != 0: // [MQTT-3.8.3-5], 3.1.1 [MQTT-3-8.3-4]
		return errOptions
	case o.QoS() == 3 && v < V5: // 3.1.1 [MQTT-3-8.3-4]
		return errRequestedQoS
	case o.QoS() == 3: // [MQTT 5.0, 3.8.3.1]
		return errSubscribeQoS3
	case o.RetainHandling() == 3: // [MQTT 5.0, 3.8.3.1]
		return errRetainHandling
	}
	return nil
}

// Append implements [Packet]. Before 5.0 only the QoS of the options is written.
func (s *Subscribe) Append(dst []byte, v Version) []byte {
	mask := optionQoS
	n := 2
	if v >= V5 {
		mask = ^optionReserved
		n += sized(s.Properties.size(SUBSCRIBE))
	}
	for i := range s.Subscriptions {
		n += 3 + len(s.Subscriptions[i].Filter)
	}
	dst = appendVarint(append(dst, byte(SUBSCRIBE)<<4|0x02), n)
	dst = appendUint16(dst, s.PacketID)
	if v >= V5 {
		dst = s.Properties.append(dst, SUBSCRIBE)
	}
	for i := range s.Subscriptions {
		dst = appendBinary(dst, s.Subscriptions[i].Filter)
		dst = append(dst, byte(s.Subscriptions[i].Options&mask))
	}
	return dst
}
