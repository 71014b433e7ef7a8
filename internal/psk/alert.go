package psk

import (
	"errors"
	"fmt"
)

// alert is what an alert says (RFC 5246, 7.2).
type alert uint8

const (
	alertCloseNotify           alert = 0
	alertUnexpectedMessage     alert = 10
	alertBadRecordMAC          alert = 20
	alertRecordOverflow        alert = 22
	alertHandshakeFailure      alert = 40
	alertIllegalParameter      alert = 47
	alertDecodeError           alert = 50
	alertDecryptError          alert = 51
	alertProtocolVersion       alert = 70
	alertInternalError         alert = 80
	alertInappropriateFallback alert = 86 // RFC 7507
	alertNoRenegotiation       alert = 100
	alertUnsupportedExtension  alert = 110
	alertUnknownIdentity       alert = 115 // RFC 4279, 6; understood, never sent
)

// Levels of an alert.
const (
	levelWarning = 1
	levelFatal   = 2
)

var alertNames = map[alert]string{
	alertCloseNotify:           "close_notify",
	alertUnexpectedMessage:     "unexpected_message",
	alertBadRecordMAC:          "bad_record_mac",
	alertRecordOverflow:        "record_overflow",
	alertHandshakeFailure:      "handshake_failure",
	alertIllegalParameter:      "illegal_parameter",
	alertDecodeError:           "decode_error",
	alertDecryptError:          "decrypt_error",
	alertProtocolVersion:       "protocol_version",
	alertInternalError:         "internal_error",
	alertInappropriateFallback: "inappropriate_fallback",
	alertNoRenegotiation:       "no_renegotiation",
	alertUnsupportedExtension:  "unsupported_extension",
	alertUnknownIdentity:       "unknown_psk_identity",
}

func (a alert) String() string {
	if name, ok := alertNames[a]; ok {
		return name
	}
	return fmt.Sprintf("number %d", uint8(a))
}

// violation is an error of the peer's, with the alert that tells it so.
type violation struct {
	alert alert
	text  string
}

func (v *violation) Error() string { return "tls-psk: " + v.text }

func violates(a alert, format string, args ...any) error {
	return &violation{a, fmt.Sprintf(format, args...)}
}

// peerAlert is a fatal alert that the peer sent.
type peerAlert alert

func (a peerAlert) Error() string {
	text := "tls-psk: the peer ended the connection with alert " + alert(a).String()
	switch alert(a) {
	case alertUnknownIdentity, alertDecryptError, alertBadRecordMAC:
		text += ": is the identity known there, and the key the same?"
	case alertHandshakeFailure:
		text += ": is there a cipher suite that both sides have?"
	default:
	}
	return text
}

// ErrNotTLS is wrapped by the error of a handshake whose first bytes were not TLS. The text around it says
// what they looked like.
var ErrNotTLS = errors.New("expected a TLS handshake")

// RefusedError is the error of a server's handshake with a client that did not prove that it has the key. The client is
// told the same, in the same way, whether the identity is known or not.
type RefusedError struct {
	// Identity is what the client called itself: up to [MaxIdentity] bytes of its choice.
	Identity string
	// Known says that there is a key for it.
	Known bool
}

// Error says for the log what the client is not told.
func (e *RefusedError) Error() string {
	if e.Known {
		return fmt.Sprintf("tls-psk: the client does not have the key of identity %q", e.Identity)
	}
	return fmt.Sprintf("tls-psk: no key for identity %q", e.Identity)
}
