package mqtt

import "errors"

// An Error says what is wrong with a packet. Reason is the code that the
// specification names for it; Detail is for the log.
type Error struct {
	Reason ReasonCode
	Detail string
}

// Error returns the reason and the detail.
func (e *Error) Error() string { return e.Reason.String() + ": " + e.Detail }

// Unwrap returns e.Reason, so that errors.Is(err, MalformedPacket) works.
func (e *Error) Unwrap() error { return e.Reason }

// ReasonOf returns the reason code to answer err with: that of the [Error] or
// ReasonCode in err's chain, Success for nil and UnspecifiedError for others.
func ReasonOf(err error) ReasonCode {
	if err == nil {
		return Success
	}
	if r, ok := errors.AsType[ReasonCode](err); ok {
		return r
	}
	return UnspecifiedError
}

func malformed(detail string) *Error { return &Error{Reason: MalformedPacket, Detail: detail} }
func forbidden(detail string) *Error { return &Error{Reason: ProtocolError, Detail: detail} }

// ErrProtocolLevel is the error of a CONNECT of a version that is not known, so that nobody
// knows how to answer it; 3.1.1 wants return code 1 [MQTT-3.1.2-2].
var ErrProtocolLevel = &Error{Reason: UnsupportedProtocolVersion, Detail: "unknown protocol level"}

// Every error that input can cause is a value here, so that hostile input costs
// no allocation. They must not be changed.
//
// Malformed is what cannot be parsed; a protocol error is what parses but is not
// allowed [MQTT 5.0, 1.2 and 4.13].
var (
	errType          = malformed("unknown packet type")
	errFlags         = malformed("wrong flags in the fixed header")
	errLength        = malformed("malformed remaining length")
	errFrame         = malformed("not one whole packet")
	errShort         = malformed("packet ends early")
	errTrailing      = malformed("bytes after the end of the packet")
	errVarint        = malformed("malformed variable byte integer")
	errUTF8          = malformed("string is not valid UTF-8 or holds a control character or no character")
	errAuthBefore5   = malformed("AUTH before version 5.0")
	errConnectFlags  = malformed("wrong connect flags")
	errConnackFlags  = malformed("wrong connect acknowledge flags")
	errWillQoS       = malformed("will QoS 3")
	errDupQoS0       = malformed("DUP at QoS 0")
	errOptions       = malformed("reserved bits in subscription options")
	errRequestedQoS  = malformed("requested QoS 3")
	errTopicWildcard = malformed("topic name with a wildcard") // 0x90 is for names that are not malformed
	errPropertyWhere = malformed("unknown property or one that this packet may not carry")

	errWrongType       = forbidden("another packet type than expected")
	errPacketIDZero    = forbidden("packet identifier 0")
	errNoUserName      = forbidden("password without user name")
	errReason          = forbidden("reason code that this packet may not carry")
	errSessionPresent  = forbidden("session present in a refusal")
	errNoTopic         = forbidden("neither topic name nor topic alias")
	errSubscribeQoS3   = forbidden("maximum QoS 3 in subscription options")
	errRetainHandling  = forbidden("retain handling 3")
	errNoEntries       = forbidden("packet without entries")
	errPropertyTwice   = forbidden("property included twice")
	errPropertyFlag    = forbidden("property value other than 0 and 1")
	errPropertyZero    = forbidden("property value 0")
	errResponseTopic   = forbidden("response topic is empty or holds a wildcard")
	errAuthDataAlone   = forbidden("authentication data without authentication method")
	errAuthMethodUnset = forbidden("AUTH without authentication method")

	errTopicAliasZero = &Error{Reason: TopicAliasInvalid, Detail: "topic alias 0"}
	errWillTopicEmpty = &Error{Reason: TopicNameInvalid, Detail: "empty will topic"}
	errPacketTooLarge = &Error{Reason: PacketTooLarge, Detail: "packet exceeds the maximum packet size"}
	errProtocolName   = &Error{Reason: UnsupportedProtocolVersion, Detail: "unknown protocol name"}
)
