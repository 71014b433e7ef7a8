// Package mqtt turns bytes into MQTT packets and packets into bytes, for the
// protocol versions 3.1, 3.1.1 and 5.0. It knows no sockets and no sessions.
//
// Reading is two steps. [Split] cuts one whole packet, a frame, off a buffer and
// checks its size against a limit from the fixed header alone, so that a caller
// needs no more memory than has arrived. Each packet type then has a method
// Decode(version, frame). A decoded packet points into the frame: its []byte
// fields are valid as long as the frame's memory is unchanged; its string fields
// are copies.
//
// Writing is one step: Append(dst, version) appends the packet to dst and returns
// the extended slice, as append does. It allocates only when dst must grow.
//
// Errors are reason codes: every error of this package is an [*Error], whose
// Reason is what a version 5.0 peer is told in CONNACK or DISCONNECT.
package mqtt

// Version is the protocol level of a connection, as CONNECT carries it.
type Version uint8

// The protocol versions. The zero Version is not valid.
const (
	V31  Version = 3 // MQTT 3.1, protocol name "MQIsdp"
	V311 Version = 4 // MQTT 3.1.1
	V5   Version = 5 // MQTT 5.0
)

// Type is a control packet's type, the high nibble of its first byte.
type Type uint8

// The control packet types [MQTT 5.0, 2.1.2].
const (
	CONNECT Type = iota + 1
	CONNACK
	PUBLISH
	PUBACK
	PUBREC
	PUBREL
	PUBCOMP
	SUBSCRIBE
	SUBACK
	UNSUBSCRIBE
	UNSUBACK
	PINGREQ
	PINGRESP
	DISCONNECT
	AUTH // v5 only
)

// MaxPacketSize is the size in bytes of the largest packet that the protocol can
// express: a 5 byte fixed header and 268,435,455 bytes after it.
const MaxPacketSize = 268_435_460

// A Packet is one control packet of any type.
type Packet interface {
	// Type returns the packet's type.
	Type() Type
	// Decode reads the packet from frame, one whole packet as Split returns it.
	// The packet's []byte fields point into frame. Decode overwrites every field
	// and may reuse the memory of slices that it allocated itself before.
	// After an error the fields hold what was read until then and are of no use
	// but for the log; Connect.Version is the exception.
	Decode(v Version, frame []byte) error
	// Append appends the packet's wire form to dst. Strings and binary data must
	// have at most 65,535 bytes and the packet at most MaxPacketSize.
	Append(dst []byte, v Version) []byte
}

// String returns the version's usual name, such as "3.1.1".
func (v Version) String() string {
	switch v {
	case V31:
		return "3.1"
	case V311:
		return "3.1.1"
	case V5:
		return "5.0"
	}
	return "unknown"
}

var typeNames = [...]string{
	CONNECT: "CONNECT", CONNACK: "CONNACK", PUBLISH: "PUBLISH", PUBACK: "PUBACK", PUBREC: "PUBREC",
	PUBREL: "PUBREL", PUBCOMP: "PUBCOMP", SUBSCRIBE: "SUBSCRIBE", SUBACK: "SUBACK", UNSUBSCRIBE: "UNSUBSCRIBE",
	UNSUBACK: "UNSUBACK", PINGREQ: "PINGREQ", PINGRESP: "PINGRESP", DISCONNECT: "DISCONNECT", AUTH: "AUTH",
}

// String returns the packet's name as the specification writes it.
func (t Type) String() string {
	if int(t) < len(typeNames) && t != 0 {
		return typeNames[t]
	}
	return "unknown"
}
