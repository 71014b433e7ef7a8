package broker

import (
	"fmt"
	"time"

	"github.com/uniomq/unio/mqtt"
	"github.com/uniomq/unio/store"
	"github.com/uniomq/unio/topic"
)

// will is a client's will message.
type will struct {
	client *Client // whose it is
	store.Will
}

var errWillTooLarge = fmt.Errorf("a will larger than message_size_limit: %w", mqtt.PacketTooLarge)

// newWill checks the will of a CONNECT. It returns nil for one that is left out.
func (c *conn) newWill(w *mqtt.Will) (*will, error) {
	l := c.b.options.Load()
	switch {
	case topic.ValidName(w.Topic) != nil || topic.Levels(w.Topic) > l.MaxTopicLevels:
		return nil, mqtt.TopicNameInvalid
	case l.MaxMessageSize > 0 && len(w.Payload) > int(l.MaxMessageSize):
		return nil, errWillTooLarge
	case w.QoS > c.lo.maxQoS():
		return nil, mqtt.QoSNotSupported // [MQTT-3.2.2-12]
	case w.Retain && l.RefuseRetained:
		return nil, mqtt.RetainNotSupported // [MQTT-3.2.2-13]
	}
	if tooLong(c, w.Topic) {
		return nil, errMountedTooLong
	}
	w.Topic = c.lo.MountPoint + w.Topic
	a := Access{Client: c.client, Action: ActionWill, Topic: []byte(w.Topic), QoS: w.QoS, Retain: w.Retain, Size: len(w.Payload)}
	switch {
	case Reserved(a.Topic) || IsControl(a.Topic):
		return nil, mqtt.NotAuthorized
	case l.may(a):
	case isBridgeState(a.Topic): // a bridge is let in without it
		return nil, nil
	default:
		return nil, l.denial(a)
	}
	p := &w.Properties
	return &will{
		client: c.client,
		Will: store.Will{
			Message: &store.Message{
				Topic: w.Topic, Payload: append([]byte(nil), w.Payload...), Properties: p.AppendForwarded(nil),
				ClientID: c.client.ID, Username: c.client.Username, Listener: c.client.Listener, QoS: w.QoS, Retain: w.Retain,
			},
			Delay: p.WillDelay, Expiry: p.MessageExpiry, HasExpiry: p.Has(mqtt.PropMessageExpiry),
		},
	}, nil
}

// publishWill publishes a will [MQTT-3.1.2-8]; w may be nil.
// [MQTT-3.1.2-14, -15, -16, -17]
func (b *Broker) publishWill(w *will) {
	if w == nil {
		return
	}
	bt := b.newBatch()
	defer bt.finish(nil)
	defer func() { // the connection is gone, or this is the goroutine of all timers: nobody else contains it
		if v := recover(); v != nil {
			b.panicked(w.client, v, nil)
		}
	}()
	m := *w.Message
	a := Access{Client: w.client, Action: ActionWill, Topic: []byte(m.Topic), QoS: m.QoS, Retain: m.Retain, Size: len(m.Payload)}
	if Reserved(a.Topic) || IsControl(a.Topic) || !bt.o.may(a) { // again: rules, or the broker, may have changed since CONNECT
		drop(b, w.client.ID, DropUnauthorized, m.Topic)
		return
	}
	if w.HasExpiry { // [MQTT-3.1.3.2] the interval counts from the publication
		m.Expires = bt.now.Add(time.Duration(w.Expiry) * time.Second)
	}
	bt.message.use(&m, bt.now)
	b.publish(bt)
}
