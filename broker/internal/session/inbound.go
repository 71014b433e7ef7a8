package session

import (
	"hash/crc32"

	"github.com/uniomq/unio/mqtt"
)

// Inbound is what the session knows of the messages that its client sends.
type Inbound struct {
	limit        int32
	aliasMaximum uint16
	learned      *learned // nil: no alias was used, no QoS 2 message came
}

type learned struct {
	aliases  [][]byte // by alias-1; nil until one is used
	received Received // nil until used
}

// Received are the QoS 2 messages that are acknowledged with PUBREC and not yet released: their
// digests by packet id. 0 is that of a message of which nothing but the packet id is known.
type Received map[uint16]uint64

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Digest tells a message from another one that has its packet id, by topic and payload.
func Digest(p *mqtt.Publish) uint64 {
	return uint64(crc32.Checksum(p.Topic, castagnoli))<<32 | uint64(crc32.Checksum(p.Payload, castagnoli))
}

// learn returns learned, which there is from now on.
func (in *Inbound) learn() *learned {
	if in.learned == nil {
		in.learned = new(learned)
	}
	return in.learned
}

func (in *Inbound) received() Received {
	if in.learned == nil {
		return nil
	}
	return in.learned.received
}

// Resolve replaces a topic alias by its topic, or learns it. Afterwards p.Topic
// is the message's topic, which is all that anything behind this may look at.
// [MQTT-3.3.2-7, -12]
func (in *Inbound) Resolve(p *mqtt.Publish) error {
	if !p.Properties.Has(mqtt.PropTopicAlias) {
		return nil
	}
	alias := p.Properties.TopicAlias
	// [MQTT-3.3.2-8] 0 is not permitted, [MQTT-3.3.2-9] nor is more than the CONNACK allowed.
	if alias == 0 || alias > in.aliasMaximum {
		return mqtt.TopicAliasInvalid
	}
	l := in.learn()
	if l.aliases == nil {
		l.aliases = make([][]byte, in.aliasMaximum)
	}
	if known := l.aliases[alias-1]; len(p.Topic) == 0 {
		if known == nil {
			return mqtt.ProtocolError // [MQTT-3.3.4] an alias without topic that was never set
		}
		p.Topic = known
		return nil
	}
	// A fresh copy: messages of this read may still refer to the old topic.
	l.aliases[alias-1] = append([]byte(nil), p.Topic...)
	return nil
}

// Accept checks a QoS 2 message against the Receive Maximum, given how many PUBACKs are owed, and reports
// whether it came before. It does not remember the packet id: that is Receive's.
//
// Until the packet id is released it should mean the same message, with DUP or without. But a client
// that has lost what it knew begins anew with the same ids, and what it sends then must not be
// swallowed: another topic or payload is another message, as in Mosquitto.
// [MQTT-4.3.3-2]
func (in *Inbound) Accept(id uint16, digest uint64, owed int) (duplicate bool, err error) {
	if known, ok := in.received()[id]; ok {
		return known == digest || known == 0, nil // [MQTT-4.3.3-10]
	}
	if in.Full(owed) { // [MQTT-3.3.4-9] v5: the client must not exceed it. Mosquitto lets it pass.
		return false, mqtt.ReceiveMaximumExceeded
	}
	return false, nil
}

// Full reports whether the client has used up its Receive Maximum, given how many PUBACKs are owed.
func (in *Inbound) Full(owed int) bool { return owed+len(in.received()) >= int(in.limit) }

// Receive remembers a QoS 2 message that is routed, instead of one that had its packet id.
func (in *Inbound) Receive(id uint16, digest uint64) {
	l := in.learn()
	if l.received == nil {
		l.received = make(Received)
	}
	l.received[id] = digest
}

// Release forgets the packet id and reports whether it was known.
// [MQTT-4.3.3-12]
func (in *Inbound) Release(id uint16) bool {
	received := in.received()
	_, ok := received[id]
	delete(received, id)
	return ok
}
