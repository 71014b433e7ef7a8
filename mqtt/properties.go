package mqtt

import "math/bits"

// UserProperty is a name and a value.
type UserProperty struct{ Name, Value []byte }

// PropertyID names a v5.0 property by its identifier on the wire.
type PropertyID byte

// The properties [MQTT 5.0, 2.2.2.2], each named like its field in Properties.
const (
	PropPayloadFormat           PropertyID = 1
	PropMessageExpiry           PropertyID = 2
	PropContentType             PropertyID = 3
	PropResponseTopic           PropertyID = 8
	PropCorrelationData         PropertyID = 9
	PropSubscriptionID          PropertyID = 11
	PropSessionExpiry           PropertyID = 17
	PropAssignedClientID        PropertyID = 18
	PropServerKeepAlive         PropertyID = 19
	PropAuthMethod              PropertyID = 21
	PropAuthData                PropertyID = 22
	PropRequestProblemInfo      PropertyID = 23
	PropWillDelay               PropertyID = 24
	PropRequestResponseInfo     PropertyID = 25
	PropResponseInfo            PropertyID = 26
	PropServerReference         PropertyID = 28
	PropReasonString            PropertyID = 31
	PropReceiveMaximum          PropertyID = 33
	PropTopicAliasMaximum       PropertyID = 34
	PropTopicAlias              PropertyID = 35
	PropMaximumQoS              PropertyID = 36
	PropRetainAvailable         PropertyID = 37
	PropUser                    PropertyID = 38
	PropMaximumPacketSize       PropertyID = 39
	PropWildcardAvailable       PropertyID = 40
	PropSubscriptionIDAvailable PropertyID = 41
	PropSharedAvailable         PropertyID = 42
)

// Properties holds the v5.0 properties of any packet. A field counts only if Has
// reports its identifier. The Set methods set a field and mark it; Set alone marks
// a field that was assigned directly.
//
// Append writes only the properties that the packet may carry, in ascending order
// of identifiers except in CONNACK. A copy of a Properties shares the memory of its
// slices, which the next Decode into the original reuses.
type Properties struct {
	set                     uint64 // bitmap by PropertyID
	order                   uint64 // a place for each that is forwarded and comes once, the last lowest
	PayloadFormat           byte
	RequestProblemInfo      byte
	RequestResponseInfo     byte
	MaximumQoS              byte
	RetainAvailable         byte
	WildcardAvailable       byte
	SubscriptionIDAvailable byte
	SharedAvailable         byte
	ServerKeepAlive         uint16 // seconds
	ReceiveMaximum          uint16
	TopicAliasMaximum       uint16
	TopicAlias              uint16
	MessageExpiry           uint32 // seconds
	SessionExpiry           uint32 // seconds
	WillDelay               uint32 // seconds
	MaximumPacketSize       uint32
	ContentType             []byte
	ResponseTopic           []byte
	CorrelationData         []byte
	AssignedClientID        []byte
	AuthMethod              []byte
	AuthData                []byte
	ResponseInfo            []byte
	ServerReference         []byte
	ReasonString            []byte
	SubscriptionIDs         []uint32
	User                    []UserProperty
}

// Has reports whether the property is present.
func (p *Properties) Has(id PropertyID) bool { return p.set&(1<<id) != 0 }

// A place is where a property stands that is forwarded and comes once: its identifier, in 4 bits, and
// how many user properties come before it, in 12; behind more, the order is not kept.
type place uint16

const maxUsersBefore = 1<<12 - 1

func (at place) id() PropertyID { return PropertyID(at & 0x0F) }

// places returns the places in order.
func (p *Properties) places() (list [4]place, n int) {
	n = bits.OnesCount64(p.set & forwardedOnce)
	for i := range n {
		list[i] = place(p.order >> (16 * (n - 1 - i)))
	}
	return list, n
}

// Set marks the property as present; its field is then written by Append.
func (p *Properties) Set(id PropertyID) {
	if forwardedOnce&^p.set&(1<<id) != 0 {
		p.order = p.order<<16 | uint64(min(len(p.User), maxUsersBefore))<<4 | uint64(id)
	}
	p.set |= 1 << id
}

// Clear removes the property.
func (p *Properties) Clear(id PropertyID) {
	list, n := p.places()
	p.order = 0
	for _, at := range list[:n] {
		if at.id() != id {
			p.order = p.order<<16 | uint64(at)
		}
	}
	p.set &^= 1 << id
	switch id {
	case PropSubscriptionID:
		p.SubscriptionIDs = p.SubscriptionIDs[:0]
	case PropUser:
		clear(p.User)
		p.User = p.User[:0]
	}
}

// Empty reports whether no property is present.
func (p *Properties) Empty() bool { return p.set == 0 }

// Reset removes all properties. It keeps the memory of User and SubscriptionIDs.
func (p *Properties) Reset() {
	if p.set == 0 {
		return
	}
	clear(p.User) // let go of the frame that they point into
	*p = Properties{User: p.User[:0], SubscriptionIDs: p.SubscriptionIDs[:0]}
}

// AppendForwarded appends the wire form of those properties of a PUBLISH or a will
// that a server forwards unchanged, without a length in front: payload format
// [MQTT-3.3.2-4], content type [MQTT-3.3.2-20], response topic [MQTT-3.3.2-15],
// correlation data [MQTT-3.3.2-16] and user properties
// [MQTT-3.3.2-17, MQTT-3.3.2-18]. All of them are in the order in which they came, or were set.
func (p *Properties) AppendForwarded(dst []byte) []byte {
	users := p.User
	if !p.Has(PropUser) {
		users = nil
	}
	n := 0
	list, places := p.places()
	for _, at := range list[:places] {
		if to := min(int(at>>4), len(users)); to > n {
			dst = appendUsers(dst, users[n:to])
			n = to
		}
		dst = p.appendField(dst, at.id())
	}
	return appendUsers(dst, users[n:])
}

// DecodeForwarded reads the properties of a PUBLISH from what AppendForwarded appended. They point into src. On an error p is not to be used.
func (p *Properties) DecodeForwarded(src []byte) error {
	p.Reset()
	return p.decodeAll(src, PUBLISH)
}

// A propertyKind is the data type of a property's value.
type propertyKind byte

const (
	kindByte propertyKind = iota + 1
	kindUint16
	kindUint32
	kindVarint
	kindText
	kindBinary
	kindPair
)

var propertyKinds = [...]propertyKind{
	PropPayloadFormat:           kindByte,
	PropMessageExpiry:           kindUint32,
	PropContentType:             kindText,
	PropResponseTopic:           kindText,
	PropCorrelationData:         kindBinary,
	PropSubscriptionID:          kindVarint,
	PropSessionExpiry:           kindUint32,
	PropAssignedClientID:        kindText,
	PropServerKeepAlive:         kindUint16,
	PropAuthMethod:              kindText,
	PropAuthData:                kindBinary,
	PropRequestProblemInfo:      kindByte,
	PropWillDelay:               kindUint32,
	PropRequestResponseInfo:     kindByte,
	PropResponseInfo:            kindText,
	PropServerReference:         kindText,
	PropReasonString:            kindText,
	PropReceiveMaximum:          kindUint16,
	PropTopicAliasMaximum:       kindUint16,
	PropTopicAlias:              kindUint16,
	PropMaximumQoS:              kindByte,
	PropRetainAvailable:         kindByte,
	PropUser:                    kindPair,
	PropMaximumPacketSize:       kindUint32,
	PropWildcardAvailable:       kindByte,
	PropSubscriptionIDAvailable: kindByte,
	PropSharedAvailable:         kindByte,
}

// will stands for the will properties of CONNECT where a table is indexed by Type.
const will Type = 0

// allowedProperties holds, as bitmaps, the properties that each packet may carry.
var allowedProperties = [16]uint64{
	will: messageProperties | 1<<PropWillDelay,
	CONNECT: 1<<PropSessionExpiry | 1<<PropReceiveMaximum | 1<<PropMaximumPacketSize | 1<<PropTopicAliasMaximum |
		1<<PropRequestResponseInfo | 1<<PropRequestProblemInfo | 1<<PropUser | 1<<PropAuthMethod | 1<<PropAuthData,
	CONNACK: 1<<PropSessionExpiry | 1<<PropReceiveMaximum | 1<<PropMaximumQoS | 1<<PropRetainAvailable |
		1<<PropMaximumPacketSize | 1<<PropAssignedClientID | 1<<PropTopicAliasMaximum | 1<<PropReasonString |
		1<<PropUser | 1<<PropWildcardAvailable | 1<<PropSubscriptionIDAvailable | 1<<PropSharedAvailable |
		1<<PropServerKeepAlive | 1<<PropResponseInfo | 1<<PropServerReference | 1<<PropAuthMethod | 1<<PropAuthData,
	PUBLISH:     messageProperties | 1<<PropTopicAlias | 1<<PropSubscriptionID,
	PUBACK:      ackProperties,
	PUBREC:      ackProperties,
	PUBREL:      ackProperties,
	PUBCOMP:     ackProperties,
	SUBSCRIBE:   1<<PropSubscriptionID | 1<<PropUser,
	SUBACK:      ackProperties,
	UNSUBSCRIBE: 1 << PropUser,
	UNSUBACK:    ackProperties,
	DISCONNECT:  ackProperties | 1<<PropSessionExpiry | 1<<PropServerReference,
	AUTH:        ackProperties | 1<<PropAuthMethod | 1<<PropAuthData,
}

const (
	ackProperties       = 1<<PropReasonString | 1<<PropUser
	messageProperties   = forwardedProperties | 1<<PropMessageExpiry
	forwardedOnce       = 1<<PropPayloadFormat | 1<<PropContentType | 1<<PropResponseTopic | 1<<PropCorrelationData
	forwardedProperties = forwardedOnce | 1<<PropUser
)

// connackOrder is the order of CONNACK's properties: Mosquitto's, and behind them those that it does
// not send. The specification gives none a meaning, but clients tested with Mosquitto alone may know
// only its order.
var connackOrder = [...]PropertyID{
	PropServerKeepAlive, PropTopicAliasMaximum, PropAssignedClientID, PropAuthMethod, PropAuthData,
	PropRetainAvailable, PropSessionExpiry, PropMaximumPacketSize, PropReceiveMaximum, PropMaximumQoS,
	PropWildcardAvailable, PropSubscriptionIDAvailable, PropSharedAvailable, PropResponseInfo,
	PropServerReference, PropReasonString, PropUser,
}

// decode reads the property length and the properties of a packet of type t, or of
// a will.
func (p *Properties) decode(r *reader, t Type) {
	p.Reset()
	n := r.varint()
	if n == 0 {
		return
	}
	if err := p.decodeAll(r.take(int(n)), t); err != nil {
		r.fail(err)
		return
	}
	// [MQTT 5.0, 3.1.2.11.10]: authentication data needs a method.
	if p.set&(1<<PropAuthData|1<<PropAuthMethod) == 1<<PropAuthData {
		r.fail(errAuthDataAlone)
	}
}

// decodeAll reads properties without a length in front.
func (p *Properties) decodeAll(src []byte, t Type) error {
	in := reader{p: src}
	for len(in.p) > 0 {
		p.decodeOne(&in, t)
	}
	return in.err
}

// [MQTT-3.3.2-13, -19]
func (p *Properties) decodeOne(r *reader, t Type) {
	n := r.varint()
	if r.err != nil {
		return
	}
	// An identifier that is not valid for the packet makes it malformed [MQTT 5.0, 2.2.2.2].
	if n > uint32(PropSharedAvailable) || allowedProperties[t]&(1<<n) == 0 {
		r.fail(errPropertyWhere)
		return
	}
	id := PropertyID(n)
	// A PUBLISH carries one subscription identifier for each matching subscription [MQTT-3.3.4-3].
	repeats := id == PropUser || id == PropSubscriptionID && t == PUBLISH
	if p.Has(id) && !repeats {
		r.fail(errPropertyTwice)
		return
	}
	p.Set(id)
	switch propertyKinds[id] {
	case kindByte:
		b := r.byte()
		*p.byteField(id) = b
		if b > 1 { // all of them are flags or a maximum QoS below 2
			r.fail(errPropertyFlag)
		}
	case kindUint16:
		*p.uint16Field(id) = r.uint16()
	case kindUint32:
		*p.uint32Field(id) = r.uint32()
	case kindVarint:
		p.SubscriptionIDs = append(p.SubscriptionIDs, r.varint())
	case kindText:
		*p.bytesField(id) = r.text()
	case kindBinary:
		*p.bytesField(id) = r.binary()
	case kindPair:
		p.User = append(p.User, UserProperty{Name: r.text(), Value: r.text()})
	}
	p.check(r, id)
}

// check refuses the values that are not allowed for a single property.
func (p *Properties) check(r *reader, id PropertyID) {
	switch id {
	case PropReceiveMaximum:
		if p.ReceiveMaximum == 0 {
			r.fail(errPropertyZero)
		}
	case PropMaximumPacketSize:
		if p.MaximumPacketSize == 0 {
			r.fail(errPropertyZero)
		}
	case PropSubscriptionID:
		if p.SubscriptionIDs[len(p.SubscriptionIDs)-1] == 0 {
			r.fail(errPropertyZero)
		}
	case PropTopicAlias:
		if p.TopicAlias == 0 {
			r.fail(errTopicAliasZero) // [MQTT-3.3.2-8]
		}
	case PropResponseTopic:
		if len(p.ResponseTopic) == 0 || hasWildcard(p.ResponseTopic) {
			r.fail(errResponseTopic) // [MQTT-4.7.3-1], [MQTT-3.3.2-14]
		}
	}
}

// size returns the property length of a packet of type t, or of a will.
func (p *Properties) size(t Type) (n int) {
	for set := p.set & allowedProperties[t]; set != 0; set &= set - 1 {
		id := PropertyID(bits.TrailingZeros64(set))
		switch propertyKinds[id] {
		case kindByte:
			n += 2
		case kindUint16:
			n += 3
		case kindUint32:
			n += 5
		case kindVarint:
			for _, v := range p.SubscriptionIDs {
				n += 1 + varintLen(int(v))
			}
		case kindText, kindBinary:
			n += 3 + len(*p.bytesField(id))
		case kindPair:
			for i := range p.User {
				n += 5 + len(p.User[i].Name) + len(p.User[i].Value)
			}
		}
	}
	return n
}

// append appends the property length and the properties of a packet of type t, or
// of a will.
// [MQTT-2.2.2-1]
func (p *Properties) append(dst []byte, t Type) []byte {
	dst = appendVarint(dst, p.size(t))
	if t != CONNACK {
		return p.appendFields(dst, allowedProperties[t])
	}
	for _, id := range connackOrder {
		if p.Has(id) {
			dst = p.appendField(dst, id)
		}
	}
	return dst
}

// appendFields appends the present properties that are in mask, in ascending order.
func (p *Properties) appendFields(dst []byte, mask uint64) []byte {
	for set := p.set & mask; set != 0; set &= set - 1 {
		dst = p.appendField(dst, PropertyID(bits.TrailingZeros64(set)))
	}
	return dst
}

func (p *Properties) appendField(dst []byte, id PropertyID) []byte {
	switch propertyKinds[id] {
	case kindByte:
		dst = append(dst, byte(id), *p.byteField(id))
	case kindUint16:
		dst = appendUint16(append(dst, byte(id)), *p.uint16Field(id))
	case kindUint32:
		dst = appendUint32(append(dst, byte(id)), *p.uint32Field(id))
	case kindVarint:
		for _, v := range p.SubscriptionIDs {
			dst = appendVarint(append(dst, byte(id)), int(v))
		}
	case kindText, kindBinary:
		dst = appendBinary(append(dst, byte(id)), *p.bytesField(id))
	case kindPair:
		dst = appendUsers(dst, p.User)
	}
	return dst
}

func appendUsers(dst []byte, users []UserProperty) []byte {
	for i := range users {
		dst = appendBinary(append(dst, byte(PropUser)), users[i].Name)
		dst = appendBinary(dst, users[i].Value)
	}
	return dst
}
