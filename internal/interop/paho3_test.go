package interop

import (
	"fmt"
	"net"
	"net/url"
	"testing"
	"time"

	paho3 "github.com/eclipse/paho.mqtt.golang"
)

// paho3Client is a paho.mqtt.golang client, MQTT 3.1 or 3.1.1, with what it received and the socket beneath it.
type paho3Client struct {
	paho3.Client
	messages chan paho3.Message
	conn     net.Conn
}

// paho3Connect connects a client; adjust may change its options. A new client has a clean session.
func paho3Connect(t *testing.T, version uint, adjust func(*paho3.ClientOptions)) *paho3Client {
	t.Helper()
	c := &paho3Client{messages: make(chan paho3.Message, 1000)}
	o := paho3.NewClientOptions().AddBroker("tcp://" + brokerAddr)
	o.SetProtocolVersion(version).SetClientID(unique("paho"))
	o.SetAutoReconnect(false).SetConnectTimeout(patience).SetOrderMatters(true)
	o.SetDefaultPublishHandler(func(_ paho3.Client, m paho3.Message) { c.messages <- m })
	o.SetCustomOpenConnectionFn(func(uri *url.URL, _ paho3.ClientOptions) (net.Conn, error) {
		conn, err := net.DialTimeout("tcp", uri.Host, patience)
		c.conn = conn
		return conn, err
	})
	if adjust != nil {
		adjust(o)
	}
	c.Client = paho3.NewClient(o)
	finish(t, "connect", c.Connect())
	t.Cleanup(func() {
		if c.IsConnected() {
			c.Disconnect(0)
		}
	})
	return c
}

func finish(t *testing.T, what string, token paho3.Token) {
	t.Helper()
	if !token.WaitTimeout(patience) {
		t.Fatalf("%s: not answered", what)
	}
	if err := token.Error(); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

func (c *paho3Client) subscribe(t *testing.T, filter string, qos byte) {
	t.Helper()
	finish(t, "subscribe", c.Subscribe(filter, qos, nil))
}

func (c *paho3Client) publish(t *testing.T, topic string, qos byte, retained bool, payload string) {
	t.Helper()
	finish(t, "publish", c.Publish(topic, qos, retained, payload))
}

// expect checks the next message.
func (c *paho3Client) expect(t *testing.T, topic string, qos byte, retained bool, payload string) {
	t.Helper()
	select {
	case m := <-c.messages:
		got := fmt.Sprintf("%s q%d retained %t %s", m.Topic(), m.Qos(), m.Retained(), m.Payload())
		if want := fmt.Sprintf("%s q%d retained %t %s", topic, qos, retained, payload); got != want {
			t.Fatalf("message %q, want %q", got, want)
		}
	case <-time.After(patience):
		t.Fatalf("no message; want %s of %s", payload, topic)
	}
}

// drop closes the socket without a DISCONNECT.
func (c *paho3Client) drop(t *testing.T) {
	t.Helper()
	if err := c.conn.Close(); err != nil {
		t.Fatal(err)
	}
}

// forPaho3Versions runs a test for MQTT 3.1 and 3.1.1.
func forPaho3Versions(t *testing.T, test func(t *testing.T, version uint)) {
	t.Parallel()
	for _, version := range []uint{3, 4} {
		t.Run(fmt.Sprintf("v%d", version), func(t *testing.T) {
			t.Parallel()
			test(t, version)
		})
	}
}

func TestPaho3DeliversEveryQoSInOrder(t *testing.T) {
	forPaho3Versions(t, func(t *testing.T, version uint) {
		sub, pub := paho3Connect(t, version, nil), paho3Connect(t, version, nil)
		for qos := range byte(3) {
			topic := unique("qos")
			sub.subscribe(t, topic, qos)
			const messages = 50
			for i := range messages {
				pub.publish(t, topic, qos, false, fmt.Sprint(i))
			}
			for i := range messages {
				sub.expect(t, topic, qos, false, fmt.Sprint(i))
			}
		}
	})
}

func TestPaho3RetainedMessageComesAndIsCleared(t *testing.T) {
	forPaho3Versions(t, func(t *testing.T, version uint) {
		topic := unique("retained")
		pub := paho3Connect(t, version, nil)
		pub.publish(t, topic+"/a", 1, true, "kept")
		sub := paho3Connect(t, version, nil)
		sub.subscribe(t, topic+"/#", 2)
		sub.expect(t, topic+"/a", 1, true, "kept")
		pub.publish(t, topic+"/a", 1, true, "")
		sub.expect(t, topic+"/a", 1, false, "")

		pub.publish(t, topic+"/b", 1, true, "other")
		late := paho3Connect(t, version, nil)
		late.subscribe(t, topic+"/#", 2)
		late.expect(t, topic+"/b", 1, true, "other")
		pub.publish(t, topic+"/b", 1, true, "")
	})
}

func TestPaho3WillOfALostConnectionIsPublished(t *testing.T) {
	forPaho3Versions(t, func(t *testing.T, version uint) {
		topic := unique("will")
		watcher := paho3Connect(t, version, nil)
		watcher.subscribe(t, topic, 2)
		paho3Connect(t, version, func(o *paho3.ClientOptions) { o.SetWill(topic, "died", 2, false) }).drop(t)
		watcher.expect(t, topic, 2, false, "died")
		polite := paho3Connect(t, version, func(o *paho3.ClientOptions) { o.SetWill(topic, "never", 2, false) })
		polite.Disconnect(100)
		watcher.publish(t, topic, 2, false, "after")
		watcher.expect(t, topic, 2, false, "after")
	})
}

func TestPaho3PersistentSessionKeepsMessages(t *testing.T) {
	forPaho3Versions(t, func(t *testing.T, version uint) {
		topic, client := unique("session"), unique("client")
		stored := func(o *paho3.ClientOptions) { o.SetClientID(client).SetCleanSession(false) }
		first := paho3Connect(t, version, stored)
		first.subscribe(t, topic, 1)
		first.drop(t)
		pub := paho3Connect(t, version, nil)
		const messages = 50
		for i := range messages {
			pub.publish(t, topic, 2, false, fmt.Sprint(i))
		}
		again := paho3Connect(t, version, stored)
		for i := range messages {
			again.expect(t, topic, 1, false, fmt.Sprint(i))
		}
		again.Disconnect(100)
		paho3Connect(t, version, func(o *paho3.ClientOptions) { o.SetClientID(client) }) // ends the session
	})
}

func TestPaho3SharedSubscriptionSplitsMessages(t *testing.T) {
	t.Parallel()
	topic := unique("shared")
	filter := "$share/" + unique("group") + "/" + topic
	const each = 10
	one, two := paho3Connect(t, 4, nil), paho3Connect(t, 4, nil)
	one.subscribe(t, filter, 1)
	two.subscribe(t, filter, 1)
	pub := paho3Connect(t, 4, nil)
	for i := range 2 * each {
		pub.publish(t, topic, 1, false, fmt.Sprint(i))
	}
	seen := map[string]bool{}
	for _, member := range []*paho3Client{one, two} {
		for range each {
			select {
			case m := <-member.messages:
				seen[string(m.Payload())] = true
			case <-time.After(patience):
				t.Fatalf("%d different messages, want %d, %d for each member", len(seen), 2*each, each)
			}
		}
	}
	if len(seen) != 2*each {
		t.Errorf("%d different messages, want %d", len(seen), 2*each)
	}
}
