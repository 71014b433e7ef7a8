package acl

import (
	"strings"

	"github.com/uniomq/unio/broker"
)

// A key is the word of a condition.
type key struct {
	id       keyID
	name     string
	kind     kind
	question bool    // it is about the single question, not about the client
	actions  Actions // that it has a meaning for; 0: all
	low      int     // of numbers
	high     int
	doc      string // one line, for docs/rules.md
}

// kind is how the values of a key are written.
type kind uint8

const (
	kindText    kind = iota // globs
	kindHex                 // globs, without regard to case and colons
	kindVersion             // 3.1, 3.1.1, 5
	kindYesNo
	kindNumber // numbers and ranges
	kindAddress
)

type keyID uint8

const (
	keyUser keyID = iota
	keyAnonymous
	keyClient
	keyGroup
	keyRole
	keyAttribute
	keyAddress
	keyListener
	keyPort
	keyTLS
	keyCN
	keySAN
	keySubject
	keyFingerprint
	keyPSK
	keyVersion
	keyCleanStart
	keyHasWill
	keyQoS
	keyRetain
	keyDup
	keySize
	keyShared
	keyShare
)

// attributePrefix begins the key of an attribute.
const attributePrefix = "attribute."

// maxNumber bounds the numbers of conditions: no payload is longer.
const maxNumber = 1 << 28

// keys are all conditions, in the order of the manual.
var keys = []key{
	{id: keyUser, name: "user", kind: kindText, doc: "The user name. A client without one fulfils `user!=`, whatever stands there."},
	{id: keyAnonymous, name: "anonymous", kind: kindYesNo, doc: "Whether the client has no user name."},
	{id: keyClient, name: "client", kind: kindText, doc: "The client id."},
	{id: keyGroup, name: "group", kind: kindText, doc: "A group of the client: of a `group` line, or of the attribute `group`."},
	{id: keyRole, name: "role", kind: kindText, doc: "A role of the client: of the attribute `role`."},
	{id: keyAttribute, name: attributePrefix + "NAME", kind: kindText, doc: "A value of what the authentication knows of the client, such as the claim NAME of its token."},
	{id: keyAddress, name: "address", kind: kindAddress, doc: "The client's IP address, or its network. A client of a Unix socket has none."},
	{id: keyListener, name: "listener", kind: kindText, doc: "The listener, as the configuration has it: `ADDRESS:PORT`, `:PORT` for all addresses, or the path of a Unix socket."},
	{id: keyPort, name: "port", kind: kindNumber, low: 1, high: 65535, doc: "The port that the client has connected to."},
	{id: keyTLS, name: "tls", kind: kindYesNo, doc: "Whether the connection is encrypted, with a certificate or a pre-shared key."},
	{id: keyCN, name: "cn", kind: kindText, doc: "The common name of the client's certificate."},
	{id: keySAN, name: "san", kind: kindText, doc: "One of the alternative names of the client's certificate."},
	{id: keySubject, name: "subject", kind: kindText, doc: "The subject of the client's certificate, as RFC 2253 writes it."},
	{id: keyFingerprint, name: "fingerprint", kind: kindHex, doc: "The SHA-256 of the client's certificate in hexadecimal, with or without colons."},
	{id: keyPSK, name: "psk", kind: kindText, doc: "The identity of the client's pre-shared key."},
	{id: keyVersion, name: "version", kind: kindVersion, doc: "The version of MQTT."},
	{id: keyCleanStart, name: "clean-start", kind: kindYesNo, doc: "Whether the client connected with Clean Start, or Clean Session before 5.0."},
	{id: keyHasWill, name: "has-will", kind: kindYesNo, doc: "Whether the client connected with a will."},
	{id: keyQoS, name: "qos", kind: kindNumber, high: 2, question: true, actions: messages | ActionsOf(broker.ActionSubscribe), doc: "The QoS of the message; with `subscribe` the one that is asked for, with `receive` the one of the delivery."},
	{id: keyRetain, name: "retain", kind: kindYesNo, question: true, actions: messages, doc: "Whether the message is to be retained; with `receive` whether it is delivered with RETAIN."},
	{id: keyDup, name: "dup", kind: kindYesNo, question: true, actions: ActionsOf(broker.ActionPublish, broker.ActionWill), doc: "Whether the client sends the message again, as it says (DUP)."},
	{id: keySize, name: "size", kind: kindNumber, high: maxNumber, question: true, actions: messages, doc: "The length of the payload in bytes."},
	{id: keyShared, name: "shared", kind: kindYesNo, question: true, actions: filters, doc: "Whether the subscription is a shared one."},
	{id: keyShare, name: "share", kind: kindText, question: true, actions: filters, doc: "The group of a shared subscription."},
}

// findKey returns the key of a word, and the attribute's name.
func findKey(word string) (k *key, name string) {
	if name, ok := strings.CutPrefix(word, attributePrefix); ok && name != "" {
		word = attributePrefix + "NAME"
		return keyNamed(word), name
	}
	if strings.HasPrefix(word, attributePrefix) {
		return nil, ""
	}
	return keyNamed(word), ""
}

func keyNamed(word string) *key {
	for i := range keys {
		if keys[i].name == word {
			return &keys[i]
		}
	}
	return nil
}
