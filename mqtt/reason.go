package mqtt

import "fmt"

// ReasonCode is a v5.0 reason code; it is a failure when it is 0x80 or more.
// As an error it can be the target of errors.Is:
//
//	errors.Is(err, mqtt.MalformedPacket)
type ReasonCode uint8

// The reason codes [MQTT 5.0, 2.4].
const (
	Success                             ReasonCode = 0x00
	GrantedQoS1                         ReasonCode = 0x01
	GrantedQoS2                         ReasonCode = 0x02
	DisconnectWithWill                  ReasonCode = 0x04
	NoMatchingSubscribers               ReasonCode = 0x10
	NoSubscriptionExisted               ReasonCode = 0x11
	ContinueAuthentication              ReasonCode = 0x18
	ReAuthenticate                      ReasonCode = 0x19
	UnspecifiedError                    ReasonCode = 0x80
	MalformedPacket                     ReasonCode = 0x81
	ProtocolError                       ReasonCode = 0x82
	ImplementationSpecificError         ReasonCode = 0x83
	UnsupportedProtocolVersion          ReasonCode = 0x84
	ClientIdentifierNotValid            ReasonCode = 0x85
	BadUserNameOrPassword               ReasonCode = 0x86
	NotAuthorized                       ReasonCode = 0x87
	ServerUnavailable                   ReasonCode = 0x88
	ServerBusy                          ReasonCode = 0x89
	Banned                              ReasonCode = 0x8A
	ServerShuttingDown                  ReasonCode = 0x8B
	BadAuthenticationMethod             ReasonCode = 0x8C
	KeepAliveTimeout                    ReasonCode = 0x8D
	SessionTakenOver                    ReasonCode = 0x8E
	TopicFilterInvalid                  ReasonCode = 0x8F
	TopicNameInvalid                    ReasonCode = 0x90
	PacketIdentifierInUse               ReasonCode = 0x91
	PacketIdentifierNotFound            ReasonCode = 0x92
	ReceiveMaximumExceeded              ReasonCode = 0x93
	TopicAliasInvalid                   ReasonCode = 0x94
	PacketTooLarge                      ReasonCode = 0x95
	MessageRateTooHigh                  ReasonCode = 0x96
	QuotaExceeded                       ReasonCode = 0x97
	AdministrativeAction                ReasonCode = 0x98
	PayloadFormatInvalid                ReasonCode = 0x99
	RetainNotSupported                  ReasonCode = 0x9A
	QoSNotSupported                     ReasonCode = 0x9B
	UseAnotherServer                    ReasonCode = 0x9C
	ServerMoved                         ReasonCode = 0x9D
	SharedSubscriptionsNotSupported     ReasonCode = 0x9E
	ConnectionRateExceeded              ReasonCode = 0x9F
	MaximumConnectTime                  ReasonCode = 0xA0
	SubscriptionIdentifiersNotSupported ReasonCode = 0xA1
	WildcardSubscriptionsNotSupported   ReasonCode = 0xA2

	NormalDisconnection = Success // the name of 0x00 in DISCONNECT
	GrantedQoS0         = Success // the name of 0x00 in SUBACK
)

var reasonNames = [...]string{
	Success:                             "success",
	GrantedQoS1:                         "granted QoS 1",
	GrantedQoS2:                         "granted QoS 2",
	DisconnectWithWill:                  "disconnect with will message",
	NoMatchingSubscribers:               "no matching subscribers",
	NoSubscriptionExisted:               "no subscription existed",
	ContinueAuthentication:              "continue authentication",
	ReAuthenticate:                      "re-authenticate",
	UnspecifiedError:                    "unspecified error",
	MalformedPacket:                     "malformed packet",
	ProtocolError:                       "protocol error",
	ImplementationSpecificError:         "implementation specific error",
	UnsupportedProtocolVersion:          "unsupported protocol version",
	ClientIdentifierNotValid:            "client identifier not valid",
	BadUserNameOrPassword:               "bad user name or password",
	NotAuthorized:                       "not authorized",
	ServerUnavailable:                   "server unavailable",
	ServerBusy:                          "server busy",
	Banned:                              "banned",
	ServerShuttingDown:                  "server shutting down",
	BadAuthenticationMethod:             "bad authentication method",
	KeepAliveTimeout:                    "keep alive timeout",
	SessionTakenOver:                    "session taken over",
	TopicFilterInvalid:                  "topic filter invalid",
	TopicNameInvalid:                    "topic name invalid",
	PacketIdentifierInUse:               "packet identifier in use",
	PacketIdentifierNotFound:            "packet identifier not found",
	ReceiveMaximumExceeded:              "receive maximum exceeded",
	TopicAliasInvalid:                   "topic alias invalid",
	PacketTooLarge:                      "packet too large",
	MessageRateTooHigh:                  "message rate too high",
	QuotaExceeded:                       "quota exceeded",
	AdministrativeAction:                "administrative action",
	PayloadFormatInvalid:                "payload format invalid",
	RetainNotSupported:                  "retain not supported",
	QoSNotSupported:                     "QoS not supported",
	UseAnotherServer:                    "use another server",
	ServerMoved:                         "server moved",
	SharedSubscriptionsNotSupported:     "shared subscriptions not supported",
	ConnectionRateExceeded:              "connection rate exceeded",
	MaximumConnectTime:                  "maximum connect time",
	SubscriptionIdentifiersNotSupported: "subscription identifiers not supported",
	WildcardSubscriptionsNotSupported:   "wildcard subscriptions not supported",
}

// String returns the specification's name of the code and its value, such as
// "malformed packet (0x81)".
func (r ReasonCode) String() string {
	name := "unknown reason"
	if int(r) < len(reasonNames) && reasonNames[r] != "" {
		name = reasonNames[r]
	}
	return fmt.Sprintf("%s (0x%02X)", name, byte(r))
}

// Error returns String.
func (r ReasonCode) Error() string { return r.String() }

// Failed reports whether the code is a failure, 0x80 or more.
func (r ReasonCode) Failed() bool { return r >= 0x80 }

// In returns the code that says in a packet of type t what r says: r itself where the standard allows
// it there, else a near one, UnspecifiedError if there is none. t is a packet that bears a code.
func (r ReasonCode) In(t Type) ReasonCode {
	allowed := allowedReasons[t]
	if allowed.has(r) {
		return r
	}
	near := UnspecifiedError
	switch r {
	case BadUserNameOrPassword, Banned:
		near = NotAuthorized
	case ServerUnavailable:
		near = ServerBusy
	case ServerShuttingDown, SessionTakenOver:
		near = ServerUnavailable
	case MessageRateTooHigh, PacketTooLarge, ReceiveMaximumExceeded:
		near = QuotaExceeded
	}
	if allowed.has(near) {
		return near
	}
	return UnspecifiedError
}

// A reasonSet holds reason codes below 0x40 and from 0x80 to 0xBF: all that exist.
type reasonSet struct{ low, high uint64 }

func reasons(codes ...ReasonCode) (s reasonSet) {
	for _, c := range codes {
		if c.Failed() {
			s.high |= 1 << (c - 0x80)
		} else {
			s.low |= 1 << c
		}
	}
	return s
}

// has tests membership; a shift by 64 or more gives 0, so any code may be asked for.
func (s reasonSet) has(r ReasonCode) bool {
	if r.Failed() {
		return s.high&(1<<(r-0x80)) != 0
	}
	return s.low&(1<<r) != 0
}

// allowedReasons holds, for each packet type, the codes that its table in the
// specification lists.
var allowedReasons = [...]reasonSet{
	CONNACK: reasons(Success, UnspecifiedError, MalformedPacket, ProtocolError, ImplementationSpecificError,
		UnsupportedProtocolVersion, ClientIdentifierNotValid, BadUserNameOrPassword, NotAuthorized,
		ServerUnavailable, ServerBusy, Banned, BadAuthenticationMethod, TopicNameInvalid, PacketTooLarge,
		QuotaExceeded, PayloadFormatInvalid, RetainNotSupported, QoSNotSupported, UseAnotherServer,
		ServerMoved, ConnectionRateExceeded),
	PUBACK: publishReasons, // [MQTT-3.4.2-1]
	PUBREC: publishReasons, // [MQTT-3.5.2-1]
	PUBREL: releaseReasons, PUBCOMP: releaseReasons,
	SUBACK: reasons(GrantedQoS0, GrantedQoS1, GrantedQoS2, UnspecifiedError, ImplementationSpecificError,
		NotAuthorized, TopicFilterInvalid, PacketIdentifierInUse, QuotaExceeded, SharedSubscriptionsNotSupported,
		SubscriptionIdentifiersNotSupported, WildcardSubscriptionsNotSupported),
	UNSUBACK: reasons(Success, NoSubscriptionExisted, UnspecifiedError, ImplementationSpecificError,
		NotAuthorized, TopicFilterInvalid, PacketIdentifierInUse),
	// BadAuthenticationMethod is missing in DISCONNECT's own table but section 2.4 lists it for DISCONNECT.
	DISCONNECT: reasons(NormalDisconnection, DisconnectWithWill, UnspecifiedError, MalformedPacket, ProtocolError,
		ImplementationSpecificError, NotAuthorized, ServerBusy, ServerShuttingDown, BadAuthenticationMethod,
		KeepAliveTimeout, SessionTakenOver, TopicFilterInvalid, TopicNameInvalid, ReceiveMaximumExceeded,
		TopicAliasInvalid, PacketTooLarge, MessageRateTooHigh, QuotaExceeded, AdministrativeAction,
		PayloadFormatInvalid, RetainNotSupported, QoSNotSupported, UseAnotherServer, ServerMoved,
		SharedSubscriptionsNotSupported, ConnectionRateExceeded, MaximumConnectTime,
		SubscriptionIdentifiersNotSupported, WildcardSubscriptionsNotSupported),
	AUTH: reasons(Success, ContinueAuthentication, ReAuthenticate),
}

var (
	publishReasons = reasons(Success, NoMatchingSubscribers, UnspecifiedError, ImplementationSpecificError,
		NotAuthorized, TopicNameInvalid, PacketIdentifierInUse, QuotaExceeded, PayloadFormatInvalid)
	releaseReasons = reasons(Success, PacketIdentifierNotFound)
)
