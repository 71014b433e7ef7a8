package interop

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/autopaho"
	"github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.golang/paho"
)

// autopahoClient is an autopaho connection, MQTT 5, with what it received and the socket beneath it.
type autopahoClient struct {
	*autopaho.ConnectionManager
	t        *testing.T
	ctx      context.Context
	messages chan *paho.Publish
	present  chan bool // session present, for each connection made
	conn     atomic.Pointer[net.Conn]
}

// autopahoConnect connects a client; adjust may change its configuration. autopaho connects again by itself.
func autopahoConnect(t *testing.T, adjust func(*autopaho.ClientConfig)) *autopahoClient {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	c := &autopahoClient{t: t, ctx: ctx, messages: make(chan *paho.Publish, 1000), present: make(chan bool, 10)}
	config := autopaho.ClientConfig{
		ServerUrls:        []*url.URL{{Scheme: "mqtt", Host: brokerAddr}},
		KeepAlive:         60,
		ReconnectBackoff:  func(int) time.Duration { return 0 },
		AttemptConnection: c.dial,
		OnConnectionUp: func(_ *autopaho.ConnectionManager, connack *paho.Connack) {
			c.present <- connack.SessionPresent
		},
		ClientConfig: paho.ClientConfig{
			ClientID: unique("autopaho"),
			OnPublishReceived: []func(paho.PublishReceived) (bool, error){
				func(r paho.PublishReceived) (bool, error) {
					c.messages <- r.Packet
					return true, nil
				},
			},
		},
	}
	if adjust != nil {
		adjust(&config)
	}
	manager, err := autopaho.NewConnection(ctx, config)
	if err != nil {
		t.Fatal(err)
	}
	c.ConnectionManager = manager
	if err := manager.AwaitConnection(ctx); err != nil {
		t.Fatalf("connect: %v", err)
	}
	t.Cleanup(c.leave)
	return c
}

func (c *autopahoClient) dial(ctx context.Context, _ autopaho.ClientConfig, u *url.URL) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return nil, err
	}
	c.conn.Store(&conn)
	return packets.NewThreadSafeConn(conn), nil
}

// leave sends DISCONNECT and waits until autopaho has ended.
func (c *autopahoClient) leave() {
	if err := c.Disconnect(c.ctx); err != nil && c.ctx.Err() == nil {
		c.t.Logf("disconnect: %v", err)
	}
}

// drop closes the socket without a DISCONNECT.
func (c *autopahoClient) drop() {
	c.t.Helper()
	if err := (*c.conn.Load()).Close(); err != nil {
		c.t.Fatal(err)
	}
}

// sessionPresent returns what the next CONNACK said.
func (c *autopahoClient) sessionPresent() bool {
	c.t.Helper()
	select {
	case p := <-c.present:
		return p
	case <-c.ctx.Done():
		c.t.Fatal("no connection")
		return false
	}
}

func (c *autopahoClient) subscribe(options paho.SubscribeOptions, properties *paho.SubscribeProperties) {
	c.t.Helper()
	s := &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{options}, Properties: properties}
	suback, err := c.Subscribe(c.ctx, s)
	if err != nil {
		c.t.Fatalf("subscribe %s: %v", options.Topic, err)
	}
	if got := suback.Reasons[0]; got != options.QoS {
		c.t.Fatalf("subscribe %s: granted %#x, want %d", options.Topic, got, options.QoS)
	}
}

func (c *autopahoClient) publish(p *paho.Publish) {
	c.t.Helper()
	if _, err := c.Publish(c.ctx, p); err != nil {
		c.t.Fatalf("publish to %s: %v", p.Topic, err)
	}
}

// next returns the next message.
func (c *autopahoClient) next() *paho.Publish {
	c.t.Helper()
	select {
	case p := <-c.messages:
		return p
	case <-c.ctx.Done():
		c.t.Fatal("no message")
		return nil
	}
}

func (c *autopahoClient) expect(topic string, qos byte, retain bool, payload string) {
	c.t.Helper()
	p := c.next()
	got := fmt.Sprintf("%s q%d retain %t %s", p.Topic, p.QoS, p.Retain, p.Payload)
	if want := fmt.Sprintf("%s q%d retain %t %s", topic, qos, retain, payload); got != want {
		c.t.Fatalf("message %q, want %q", got, want)
	}
}

func TestAutopahoDeliversEveryQoSInOrder(t *testing.T) {
	t.Parallel()
	sub, pub := autopahoConnect(t, nil), autopahoConnect(t, nil)
	for qos := range byte(3) {
		topic := unique("qos")
		sub.subscribe(paho.SubscribeOptions{Topic: topic, QoS: qos}, nil)
		const messages = 50
		for i := range messages {
			pub.publish(&paho.Publish{Topic: topic, QoS: qos, Payload: fmt.Append(nil, i)})
		}
		for i := range messages {
			sub.expect(topic, qos, false, fmt.Sprint(i))
		}
	}
}

func TestAutopahoRetainedMessagesFollowRetainHandling(t *testing.T) {
	t.Parallel()
	topic := unique("retained")
	pub := autopahoConnect(t, nil)
	pub.publish(&paho.Publish{Topic: topic, QoS: 1, Retain: true, Payload: []byte("kept")})
	sub := autopahoConnect(t, nil)
	sub.subscribe(paho.SubscribeOptions{Topic: topic, QoS: 1, RetainHandling: 2, RetainAsPublished: true}, nil)
	sub.subscribe(paho.SubscribeOptions{Topic: topic, QoS: 1, RetainHandling: 1, RetainAsPublished: true}, nil)
	pub.publish(&paho.Publish{Topic: topic, QoS: 1, Retain: true, Payload: []byte("newer")})
	sub.expect(topic, 1, true, "newer") // neither subscription brought "kept"; the flag stays as published
	sub.subscribe(paho.SubscribeOptions{Topic: topic, QoS: 1, RetainAsPublished: true}, nil)
	sub.expect(topic, 1, true, "newer")

	pub.publish(&paho.Publish{Topic: topic, QoS: 1, Retain: true})
	sub.expect(topic, 1, true, "")
	late := autopahoConnect(t, nil)
	late.subscribe(paho.SubscribeOptions{Topic: topic, QoS: 1}, nil)
	pub.publish(&paho.Publish{Topic: topic, QoS: 1, Payload: []byte("live")})
	late.expect(topic, 1, false, "live")
}

func TestAutopahoWillOfALostConnectionIsPublished(t *testing.T) {
	t.Parallel()
	topic := unique("will")
	watcher := autopahoConnect(t, nil)
	watcher.subscribe(paho.SubscribeOptions{Topic: topic, QoS: 1}, nil)
	will := func(payload string) func(*autopaho.ClientConfig) {
		return func(c *autopaho.ClientConfig) {
			c.WillMessage = &paho.WillMessage{Topic: topic, QoS: 1, Payload: []byte(payload)}
			// of a will's properties paho.golang 0.23.0 sends the user properties and the delay alone
			c.WillProperties = &paho.WillProperties{User: paho.UserProperties{{Key: "k", Value: "v"}}}
			c.OnConnectionDown = func() bool { return false }
		}
	}
	lost := autopahoConnect(t, will("died"))
	lost.drop()
	lost.leave() // its socket is closed: this only ends autopaho
	got := watcher.next()
	if string(got.Payload) != "died" || got.Properties.User.Get("k") != "v" {
		t.Fatalf("will %s with %+v, want died and k=v", got.Payload, got.Properties)
	}
	autopahoConnect(t, will("never")).leave()
	watcher.publish(&paho.Publish{Topic: topic, QoS: 1, Payload: []byte("after")})
	watcher.expect(topic, 1, false, "after")
}

func TestAutopahoPersistentSessionKeepsMessages(t *testing.T) {
	t.Parallel()
	topic, client := unique("session"), unique("client")
	once := func(c *autopaho.ClientConfig) {
		c.ClientID = client
		c.SessionExpiryInterval = 600
		c.OnConnectionDown = func() bool { return false }
	}
	first := autopahoConnect(t, once)
	if first.sessionPresent() {
		t.Error("a new client id has a session")
	}
	first.subscribe(paho.SubscribeOptions{Topic: topic, QoS: 2}, nil)
	first.drop()
	first.leave() // its socket is closed: this only ends autopaho

	pub := autopahoConnect(t, nil)
	const messages = 50 // more than the receive maximum below takes at once
	for i := range messages {
		pub.publish(&paho.Publish{Topic: topic, QoS: 2, Payload: fmt.Append(nil, i)})
	}
	limit := uint16(10)
	again := autopahoConnect(t, func(c *autopaho.ClientConfig) {
		once(c)
		c.ConnectPacketBuilder = func(p *paho.Connect, _ *url.URL) (*paho.Connect, error) {
			p.Properties.ReceiveMaximum = &limit
			return p, nil
		}
	})
	if !again.sessionPresent() {
		t.Error("the session is gone")
	}
	for i := range messages {
		again.expect(topic, 2, false, fmt.Sprint(i))
	}
}

func TestAutopahoConnectsAgainToItsSession(t *testing.T) {
	t.Parallel()
	topic := unique("again")
	sub := autopahoConnect(t, func(c *autopaho.ClientConfig) { c.SessionExpiryInterval = 600 })
	sub.sessionPresent()
	sub.subscribe(paho.SubscribeOptions{Topic: topic, QoS: 1}, nil)
	sub.drop()
	if !sub.sessionPresent() {
		t.Error("the session is gone")
	}
	autopahoConnect(t, nil).publish(&paho.Publish{Topic: topic, QoS: 1, Payload: []byte("still here")})
	sub.expect(topic, 1, false, "still here")
}

func TestAutopahoSharedSubscriptionSplitsMessages(t *testing.T) {
	t.Parallel()
	topic := unique("shared")
	filter := "$share/" + unique("group") + "/" + topic
	const each = 10
	one, two := autopahoConnect(t, nil), autopahoConnect(t, nil)
	for _, member := range []*autopahoClient{one, two} {
		member.subscribe(paho.SubscribeOptions{Topic: filter, QoS: 2}, nil)
	}
	pub := autopahoConnect(t, nil)
	for i := range 2 * each {
		pub.publish(&paho.Publish{Topic: topic, QoS: 2, Payload: fmt.Append(nil, i)})
	}
	seen := map[string]bool{}
	for range each {
		seen[string(one.next().Payload)] = true
		seen[string(two.next().Payload)] = true
	}
	if len(seen) != 2*each {
		t.Errorf("%d different messages, want %d", len(seen), 2*each)
	}
}

func TestAutopahoPropertiesArriveUnchanged(t *testing.T) {
	t.Parallel()
	topic := unique("properties")
	sub, pub := autopahoConnect(t, nil), autopahoConnect(t, nil)
	identifier := 268435455 // the largest there is
	sub.subscribe(paho.SubscribeOptions{Topic: topic, QoS: 1, NoLocal: true}, &paho.SubscribeProperties{
		SubscriptionIdentifier: &identifier,
	})
	format, expiry := byte(1), uint32(3600)
	user := paho.UserProperties{{Key: "b", Value: "1"}, {Key: "a", Value: "2"}, {Key: "b", Value: "3"}}
	sub.publish(&paho.Publish{Topic: topic, QoS: 1, Payload: []byte("own")}) // not for sub: no local
	pub.publish(&paho.Publish{Topic: topic, QoS: 1, Payload: []byte("body"), Properties: &paho.PublishProperties{
		PayloadFormat:   &format,
		MessageExpiry:   &expiry,
		ContentType:     "text/plain",
		ResponseTopic:   "answer/here",
		CorrelationData: []byte{0, 1, 255},
		User:            user,
	}})
	got := sub.next()
	p := got.Properties
	if string(got.Payload) != "body" {
		t.Fatalf("message %s, want body", got.Payload)
	}
	if p.PayloadFormat == nil || *p.PayloadFormat != format || p.ContentType != "text/plain" ||
		p.ResponseTopic != "answer/here" || string(p.CorrelationData) != "\x00\x01\xff" {
		t.Errorf("properties %+v", p)
	}
	if p.MessageExpiry == nil || *p.MessageExpiry > expiry || *p.MessageExpiry < expiry-10 {
		t.Errorf("message expiry %v, want %d or a little less", p.MessageExpiry, expiry)
	}
	if p.SubscriptionIdentifier == nil || *p.SubscriptionIdentifier != identifier {
		t.Errorf("subscription identifier %v, want %d", p.SubscriptionIdentifier, identifier)
	}
	if fmt.Sprint(p.User) != fmt.Sprint(user) {
		t.Errorf("user properties %v, want %v", p.User, user)
	}
}
