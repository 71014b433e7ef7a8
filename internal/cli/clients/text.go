package clients

import (
	"errors"
	"strings"
	"syscall"
	"unicode/utf8"

	"github.com/uniomq/unio/mqtt"
)

// Texts for errors, and the statuses that the tools end with, as Mosquitto has them.
const (
	textProtocol   = "A network protocol error occurred when communicating with the broker."
	textRefused    = "The connection was refused."
	textLost       = "The connection was lost."
	textTLS        = "A TLS error occurred."
	statusProtocol = 2
	statusLost     = 7
	statusTLS      = 8
	statusTimeout  = 27
)

// reasonTexts are the names of reason codes, by Mosquitto's spelling.
var reasonTexts = map[mqtt.ReasonCode]string{
	mqtt.Success: "Success", mqtt.GrantedQoS1: "Granted QoS 1", mqtt.GrantedQoS2: "Granted QoS 2",
	mqtt.DisconnectWithWill: "Disconnect with Will Message", mqtt.NoMatchingSubscribers: "No matching subscribers",
	mqtt.NoSubscriptionExisted: "No subscription existed", mqtt.ContinueAuthentication: "Continue authentication",
	mqtt.ReAuthenticate: "Re-authenticate", mqtt.UnspecifiedError: "Unspecified error",
	mqtt.MalformedPacket: "Malformed Packet", mqtt.ProtocolError: "Protocol Error",
	mqtt.ImplementationSpecificError: "Implementation specific error",
	mqtt.UnsupportedProtocolVersion:  "Unsupported Protocol Version",
	mqtt.ClientIdentifierNotValid:    "Client Identifier not valid", mqtt.BadUserNameOrPassword: "Bad User Name or Password",
	mqtt.NotAuthorized: "Not authorized", mqtt.ServerUnavailable: "Server unavailable", mqtt.ServerBusy: "Server busy",
	mqtt.Banned: "Banned", mqtt.ServerShuttingDown: "Server shutting down",
	mqtt.BadAuthenticationMethod: "Bad authentication method", mqtt.KeepAliveTimeout: "Keep Alive timeout",
	mqtt.SessionTakenOver: "Session taken over", mqtt.TopicFilterInvalid: "Topic Filter invalid",
	mqtt.TopicNameInvalid: "Topic Name invalid", mqtt.PacketIdentifierInUse: "Packet Identifier in use",
	mqtt.PacketIdentifierNotFound: "Packet Identifier not found", mqtt.ReceiveMaximumExceeded: "Receive Maximum exceeded",
	mqtt.TopicAliasInvalid: "Topic Alias invalid", mqtt.PacketTooLarge: "Packet too large",
	mqtt.MessageRateTooHigh: "Message rate too high", mqtt.QuotaExceeded: "Quota exceeded",
	mqtt.AdministrativeAction: "Administrative action", mqtt.PayloadFormatInvalid: "Payload format invalid",
	mqtt.RetainNotSupported: "Retain not supported", mqtt.QoSNotSupported: "QoS not supported",
	mqtt.UseAnotherServer: "Use another server", mqtt.ServerMoved: "Server moved",
	mqtt.SharedSubscriptionsNotSupported:     "Shared Subscriptions not supported",
	mqtt.ConnectionRateExceeded:              "Connection rate exceeded",
	mqtt.MaximumConnectTime:                  "Maximum connect time",
	mqtt.SubscriptionIdentifiersNotSupported: "Subscription identifiers not supported",
	mqtt.WildcardSubscriptionsNotSupported:   "Wildcard Subscriptions not supported",
}

func reasonText(r mqtt.ReasonCode) string {
	if s, ok := reasonTexts[r]; ok {
		return s
	}
	return "Unknown reason"
}

// returnCodes are the texts for CONNACK's return codes before version 5.0.
var returnCodes = []string{
	"Connection Accepted.", "Connection Refused: unacceptable protocol version.",
	"Connection Refused: identifier rejected.", "Connection Refused: broker unavailable.",
	"Connection Refused: bad user name or password.", "Connection Refused: not authorised.",
}

// connackCode returns the number that CONNACK carried: package mqtt gives the return
// codes of earlier versions as the reason codes that correspond.
func connackCode(v mqtt.Version, reason mqtt.ReasonCode) int {
	if v == mqtt.V5 {
		return int(reason)
	}
	switch reason {
	case mqtt.Success:
		return 0
	case mqtt.UnsupportedProtocolVersion:
		return 1
	case mqtt.ClientIdentifierNotValid:
		return 2
	case mqtt.ServerUnavailable:
		return 3
	case mqtt.BadUserNameOrPassword:
		return 4
	case mqtt.NotAuthorized:
		return 5
	}
	return int(reason)
}

// connackText names the number that CONNACK carried.
func connackText(v mqtt.Version, reason mqtt.ReasonCode) string {
	if v == mqtt.V5 {
		return reasonText(reason)
	}
	if code := connackCode(v, reason); code < len(returnCodes) {
		return returnCodes[code]
	}
	return "Connection Refused: unknown reason."
}

// systemText returns the system's words for an error of a socket, as C programs print
// them, which is with a capital letter.
func systemText(err error) string {
	text := err.Error()
	if number, ok := errors.AsType[syscall.Errno](err); ok {
		text = number.Error()
	}
	first, size := utf8.DecodeRuneInString(text)
	return strings.ToUpper(string(first)) + text[size:]
}
