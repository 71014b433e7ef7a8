package session

import "github.com/uniomq/unio/mqtt"

// Inbound is what the session knows of the messages that its client sends.
type Inbound struct {
	limit        int32
	aliasMaximum uint16
	learned      *learned // nil: no alias was used, no QoS 2 message came
}

type learned struct {
	aliases  [][]byte            // by alias-1; nil until one is used
	received map[uint16]struct{} // QoS 2: acknowledged with PUBREC, not yet released; nil until used
}

// learn returns learned, which there is from now on.
func (in *Inbound) learn() *learned {
	if in.learned == nil {
		in.learned = new(learned)
	}
	return in.learned
}

// received are the packet ids of QoS 2 messages that are acknowledged with PUBREC and not yet released.
func (in *Inbound) received() map[uint16]struct{} {
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
// [MQTT-4.3.3-2]
func (in *Inbound) Accept(p *mqtt.Publish, owed int) (duplicate bool, err error) {
	if _, ok := in.received()[p.PacketID]; ok {
		return true, nil // [MQTT-4.3.3-10] the same message until it is released
	}
	if in.Full(owed) { // [MQTT-3.3.4-9] v5: the client must not exceed it. Mosquitto lets it pass.
		return false, mqtt.ReceiveMaximumExceeded
	}
	return false, nil
}

// Full reports whether the client has used up its Receive Maximum, given how many PUBACKs are owed.
func (in *Inbound) Full(owed int) bool { return owed+len(in.received()) >= int(in.limit) }

// Receive remembers the packet id of a QoS 2 message that is routed: until it is released, the
// same id means the same message.
func (in *Inbound) Receive(id uint16) { in.receive(id) }

func (in *Inbound) receive(id uint16) {
	l := in.learn()
	if l.received == nil {
		l.received = make(map[uint16]struct{})
	}
	l.received[id] = struct{}{}
}

// Release forgets the packet id and reports whether it was known.
// [MQTT-4.3.3-12]
func (in *Inbound) Release(id uint16) bool {
	received := in.received()
	_, ok := received[id]
	delete(received, id)
	return ok
}
