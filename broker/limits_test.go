package broker_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/internal/memnet"
	"github.com/uniomq/unio/mqtt"
	"github.com/uniomq/unio/store"
	"github.com/uniomq/unio/store/memory"
)

// narrow is a connection that takes few bytes at a time: Write waits for the peer to read, like a full socket.
type narrow struct{ net.Listener }

func (n narrow) Accept() (net.Conn, error) {
	nc, err := n.Listener.Accept()
	if err != nil {
		return nil, err
	}
	near, far := net.Pipe() // a Write ends when it is read
	go relay(nc, far)
	go relay(far, nc)
	return near, nil
}

// relay copies until either end closes, and then closes both.
func relay(from, to net.Conn) {
	p := make([]byte, 1024)
	for {
		n, err := from.Read(p)
		if err == nil {
			_, err = to.Write(p[:n])
		}
		if err != nil {
			_ = from.Close()
			_ = to.Close()
			return
		}
	}
}

// serveNarrow is serve with connections whose writes wait for the reader once memnet's buffer is full.
func serveNarrow(t *testing.T, o broker.Options) (*broker.Broker, *memnet.Listener) {
	t.Helper()
	b, err := broker.New(o)
	if err != nil {
		t.Fatal(err)
	}
	l := memnet.Listen()
	served := make(chan error, 1)
	go func() { served <- b.Serve(narrow{l}) }()
	t.Cleanup(func() {
		if err := b.Shutdown(context.Background()); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		if err := <-served; err != broker.ErrClosed {
			t.Errorf("serve: %v", err)
		}
	})
	return b, l
}

// TestSlowConsumerIsBoundedAndCostsNobodyElse has a subscriber that reads nothing: QoS 0 beyond the bound is dropped and
// counted, the publisher and another subscriber notice nothing, and the connection ends after the write timeout.
func TestSlowConsumerIsBoundedAndCostsNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const bound, messages = 64 << 10, 4000
		payload := bytes.Repeat([]byte("x"), 10<<10)
		ended := make(chan error, 1)
		b, l := serveNarrow(t, broker.Options{
			Limits: broker.Limits{MaxBufferedBytes: bound, WriteTimeout: 20 * time.Second},
			Events: broker.Events{Disconnected: func(c *broker.Client, cause error) {
				if c.ID == "slow" {
					ended <- cause
				}
			}},
		})
		slow, _ := connect(t, l, clean("slow"))
		slow.subscribe("t")
		good, _ := connect(t, l, clean("good"))
		good.subscribe("t")
		pub, _ := connect(t, l, clean("pub"))
		for i := range messages {
			pub.send(&mqtt.Publish{Topic: []byte("t"), Payload: payload})
			if m := good.message(); len(m.Payload) != len(payload) {
				t.Fatalf("message %d has %d bytes", i, len(m.Payload))
			}
		}
		n := b.Stats()
		if n.Dropped[broker.DropBufferFull] == 0 || n.Sent+n.Dropped[broker.DropBufferFull] != 2*messages {
			t.Errorf("%d sent and %d dropped of %d", n.Sent, n.Dropped[broker.DropBufferFull], 2*messages)
		}
		if cause := <-ended; cause == nil {
			t.Error("the slow client's connection ended without a cause")
		}
		good.quiet()
	})
}

func TestQueueOfAWindowThatStaysClosedIsBounded(t *testing.T) {
	for name, p := range map[string]mqtt.Connect{"in memory": clean("sub"), "stored": stored("sub")} {
		t.Run(name, func(t *testing.T) {
			var dropped atomic.Int32 // that name the client
			b, l := serve(t, broker.Options{
				Limits: broker.Limits{MaxInflight: 2, MaxQueuedMessages: 3},
				Events: broker.Events{Dropped: func(clientID string, cause broker.DropCause, topic string) {
					if clientID == "sub" && cause == broker.DropQueueFull && topic == "t" {
						dropped.Add(1)
					}
				}},
			})
			sub, _ := connect(t, l, p)
			sub.subscribe("t")
			pub, _ := connect(t, l, clean("pub"))
			for i := range 10 {
				if code := pub.publish("t", fmt.Sprint(i)); code != mqtt.Success {
					t.Errorf("message %d: %v", i, code)
				}
			}
			if n := b.Stats().Dropped[broker.DropQueueFull]; n != 5 {
				t.Errorf("%d were dropped, want 5: two are in flight and three wait", n)
			}
			if n := dropped.Load(); n != 5 {
				t.Errorf("%d drops were told with the client", n)
			}
			for i := range 5 { // the newest were dropped
				m := sub.message()
				if string(m.Payload) != fmt.Sprint(i) || m.PacketID != uint16(i+1) {
					t.Errorf("message %d is %q with id %d", i, m.Payload, m.PacketID)
				}
				sub.send(&mqtt.Ack{Kind: mqtt.PUBACK, PacketID: m.PacketID})
			}
			sub.quiet()
		})
	}
}

// TestManyRetainedMessagesAllArrive has more of them than any bound of a queue or a buffer.
func TestManyRetainedMessagesAllArrive(t *testing.T) {
	const count = 20_000
	_, l := serve(t, broker.Options{Limits: broker.Limits{MaxQueuedMessages: 10, MaxBufferedBytes: 10_000}})
	pub, _ := connect(t, l, clean("pub"))
	for i := range count {
		pub.send(&mqtt.Publish{QoS: 1, PacketID: 1, Retain: true, Topic: fmt.Appendf(nil, "r/%d", i), Payload: []byte("x")})
		pub.read()
	}
	for qos := range byte(3) {
		for name, p := range map[string]mqtt.Connect{"in memory": clean("sub"), "stored": stored(fmt.Sprint("sub", qos))} {
			t.Run(fmt.Sprint("QoS ", qos, " ", name), func(t *testing.T) {
				sub, _ := connect(t, l, p)
				sub.send(&mqtt.Subscribe{PacketID: 1, Subscriptions: []mqtt.Subscription{{Filter: "r/#", Options: mqtt.SubscribeOptions(qos)}}})
				seen := make(map[string]bool)
				for len(seen) < count {
					m, ok := sub.read().(*mqtt.Publish)
					if !ok {
						continue // SUBACK, which may come later
					}
					if seen[string(m.Topic)] || !m.Retain {
						t.Fatalf("%q came twice or without RETAIN", m.Topic)
					}
					seen[string(m.Topic)] = true
					if m.QoS > 0 {
						sub.send(&mqtt.Ack{Kind: mqtt.PUBACK, PacketID: m.PacketID})
					}
				}
				_ = sub.nc.Close()
			})
		}
	}
}

// TestManyRetainedMessagesAllArriveOverTCP has a socket that takes all that is written to it at once.
func TestManyRetainedMessagesAllArriveOverTCP(t *testing.T) {
	const count = 3000
	connect := sockets(t, nil)
	pub := connect("pub", mqtt.V311)
	for i := range count {
		pub.send((&mqtt.Publish{QoS: 1, PacketID: 1, Retain: true, Topic: fmt.Appendf(nil, "r/%d", i), Payload: make([]byte, 100)}).Append(nil, mqtt.V311))
		pub.packet(mqtt.V311)
	}
	sub := connect("sub", mqtt.V311)
	sub.send((&mqtt.Subscribe{PacketID: 1, Subscriptions: []mqtt.Subscription{{Filter: "r/#"}}}).Append(nil, mqtt.V311))
	for i := -1; i < count; i++ { // SUBACK first
		_ = sub.SetReadDeadline(time.Now().Add(5 * time.Second))
		if sub.packet(mqtt.V311); t.Failed() {
			t.Fatalf("%d of %d messages came", i, count)
		}
	}
}

// TestReceivedMessageIsNeverLostWhenDataAndEndArriveTogether writes and closes at once.
func TestReceivedMessageIsNeverLostWhenDataAndEndArriveTogether(t *testing.T) {
	connect := sockets(t, nil)
	sub := connect("sub", mqtt.V311, "t")
	frame := (&mqtt.Publish{Topic: []byte("t"), Payload: []byte("last words")}).Append(nil, mqtt.V311)
	for i := range 100 {
		pub := connect(fmt.Sprint("pub", i), mqtt.V311)
		pub.send(frame)
		_ = pub.Close()
		if m, ok := sub.packet(mqtt.V311).(*mqtt.Publish); !ok || string(m.Payload) != "last words" {
			t.Fatalf("got %+v", m)
		}
	}
}

func TestConnectMustComeInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, l := serve(t, broker.Options{})
		begun := time.Now()
		half := dial(t, l, mqtt.V311)
		_, _ = half.nc.Write([]byte{0x10, 0x0c, 0x00})
		if p := half.read(); p != nil {
			t.Errorf("got %v", p.Type())
		}
		if d := time.Since(begun); d != 10*time.Second {
			t.Errorf("closed after %v, want 10s", d)
		}
		synctest.Wait()
		if n := b.Stats(); n.Refused != 1 || n.Unaccepted != 0 {
			t.Errorf("refused %d, unaccepted %d", n.Refused, n.Unaccepted)
		}
	})
}

// TestShutdownDoesNotWaitForAStuckClient has a client that takes nothing of what is written to it.
func TestShutdownDoesNotWaitForAStuckClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, err := broker.New(broker.Options{Limits: broker.Limits{WriteTimeout: time.Hour, MaxBufferedBytes: 32 << 20}})
		if err != nil {
			t.Fatal(err)
		}
		l := memnet.Listen()
		served := make(chan error, 1)
		go func() { served <- b.Serve(narrow{l}) }()
		stuck, _ := connect(t, l, clean("stuck"))
		stuck.subscribe("t")
		pub, _ := connect(t, l, clean("pub"))
		for range 20 << 10 {
			pub.send(&mqtt.Publish{Topic: []byte("t"), Payload: make([]byte, 1<<10)})
		}
		pub.quiet()
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		begun := time.Now()
		if err := b.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		if d := time.Since(begun); d != 2*time.Second {
			t.Errorf("took %v, want the 2s that it was given", d)
		}
		if err := <-served; err != broker.ErrClosed {
			t.Error(err)
		}
		_ = stuck.nc.Close()
	})
}

// TestBytesInFlightAreBounded sends messages of 60 bytes into a window of 100: two are in flight, the others wait for
// acknowledgements, whether the session is stored or not.
func TestBytesInFlightAreBounded(t *testing.T) {
	for name, p := range map[string]mqtt.Connect{"in memory": clean("sub"), "stored": stored("sub")} {
		t.Run(name, func(t *testing.T) {
			_, l := serve(t, broker.Options{Limits: broker.Limits{MaxInflightBytes: 100}})
			sub, _ := connect(t, l, p)
			sub.subscribe("t")
			pub, _ := connect(t, l, clean("pub"))
			for range 4 {
				if code := pub.publish("t", strings.Repeat("x", 60)); code != mqtt.Success {
					t.Fatalf("refused: %v", code)
				}
			}
			first, second := sub.message(), sub.message()
			sub.quiet()
			sub.send(&mqtt.Ack{Kind: mqtt.PUBACK, PacketID: first.PacketID})
			third := sub.message()
			sub.quiet()
			sub.send(&mqtt.Ack{Kind: mqtt.PUBACK, PacketID: second.PacketID}, &mqtt.Ack{Kind: mqtt.PUBACK, PacketID: third.PacketID})
			if fourth := sub.message(); fourth.PacketID != 4 {
				t.Errorf("the last has id %d", fourth.PacketID)
			}
			sub.quiet()
		})
	}
}

// TestSessionsAreBounded counts sessions whether their clients are connected or not, and lets those come back that have one.
func TestSessionsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, l := serve(t, broker.Options{Limits: broker.Limits{MaxSessions: 2}})
		away, _ := connect(t, l, stored("away"))
		away.send(&mqtt.Disconnect{})
		synctest.Wait()
		here, _ := connect(t, l, clean("here"))
		if _, ack := connect(t, l, clean("third")); ack.Reason != mqtt.ServerBusy {
			t.Errorf("the third got %v", ack.Reason)
		}
		if n := b.Stats().Sessions; n != 2 {
			t.Errorf("%d sessions", n)
		}
		p := stored("away")
		p.CleanStart = false
		if _, ack := connect(t, l, p); ack.Reason != mqtt.Success || !ack.SessionPresent {
			t.Errorf("the one with a session got %v, present %v", ack.Reason, ack.SessionPresent)
		}
		here.send(&mqtt.Disconnect{})
		synctest.Wait()
		if _, ack := connect(t, l, clean("third")); ack.Reason != mqtt.Success {
			t.Errorf("after one has gone the third got %v", ack.Reason)
		}
	})
}

// TestSubscriptionsOfASessionAreBounded has a session at both limits: it may replace what it has,
// unsubscribe and subscribe again, and keeps what it has if the limits become lower.
func TestSubscriptionsOfASessionAreBounded(t *testing.T) {
	type refusal struct{ filter, cause string }
	var told []refusal
	o := broker.Options{
		Store:  memory.New(),
		Limits: broker.Limits{MaxSubscriptions: 20, MaxSharedSubscriptions: 2},
		Events: broker.Events{Limited: func(_ *broker.Client, filter string, cause error) {
			told = append(told, refusal{filter, cause.Error()})
		}},
	}
	b, l := serve(t, o)
	c, _ := connect(t, l, stored("c"))
	refused := func(filter, cause string) {
		t.Helper()
		if code := c.trySubscribe(filter); code != mqtt.QuotaExceeded {
			t.Errorf("%s: %v, want 0x97", filter, code)
		}
		if want := (refusal{filter, cause}); len(told) == 0 || told[len(told)-1] != want {
			t.Errorf("told %v, want %v", told, want)
		}
	}
	c.subscribe("$share/one/t")
	c.subscribe("$share/two/t")
	refused("$share/three/t", "max_shared_subscriptions exceeded")
	for i := range 18 {
		c.subscribe(fmt.Sprint("t/", i))
	}
	refused("t/18", "max_subscriptions exceeded")
	c.subscribe("t/17")
	c.subscribe("$share/two/t")
	c.send(&mqtt.Unsubscribe{PacketID: 1, Filters: []string{"t/0", "$share/one/t"}})
	c.read()
	c.subscribe("$share/three/t")
	refused("$share/four/t", "max_shared_subscriptions exceeded")
	c.subscribe("t/18")
	refused("t/19", "max_subscriptions exceeded")
	_ = c.nc.Close()

	o.Limits = broker.Limits{MaxSubscriptions: 1, MaxSharedSubscriptions: 1}
	b.Reconfigure(o)
	c, _ = connect(t, l, stored("c"))
	if n := b.Stats(); n.Subscriptions != 20 || n.SharedSubscriptions != 2 {
		t.Errorf("%d subscriptions are left, %d shared", n.Subscriptions, n.SharedSubscriptions)
	}
	c.subscribe("$share/three/t")
	refused("t/20", "max_subscriptions exceeded")

	o.Limits = broker.Limits{MaxSubscriptions: -1, MaxSharedSubscriptions: -1}
	b.Reconfigure(o)
	for i := range 200 {
		c.subscribe(fmt.Sprintf("$share/%d/t", i))
	}
}

// TestNoSubscriptionsWhileMemoryIsShort holds for sessions that are not stored, too.
func TestNoSubscriptionsWhileMemoryIsShort(t *testing.T) {
	b, l := serve(t, broker.Options{})
	for _, p := range []mqtt.Connect{clean("clean"), stored("stored")} {
		b.SetShort(false)
		c, _ := connect(t, l, p)
		c.subscribe("a")
		b.SetShort(true)
		if code := c.trySubscribe("b"); code != mqtt.QuotaExceeded {
			t.Errorf("%s: %v", p.ClientID, code)
		}
		c.subscribe("a")
	}
}

// recovering is a store that has kept a session.
type recovering struct {
	store.Store
	session store.Session
}

func (s recovering) Start(wake func([]any), r store.Recovery) error {
	if err := s.Store.Start(wake, r); err != nil {
		return err
	}
	return r.Session(s.session)
}

func TestRecoveredSessionsKeepTheirSubscriptions(t *testing.T) {
	kept := store.Session{ClientID: "c", Ref: 1}
	for i := range 5 {
		kept.Subscriptions = append(kept.Subscriptions, store.Subscription{Filter: fmt.Sprintf("$share/%d/t", i)})
	}
	b, _ := serve(t, broker.Options{
		Store: recovering{memory.New(), kept}, Limits: broker.Limits{MaxSubscriptions: 2, MaxSharedSubscriptions: 1},
	})
	if n := b.Stats().SharedSubscriptions; n != 5 {
		t.Errorf("%d subscriptions were recovered, want 5", n)
	}
}

// TestAssignedClientIDIsAUUID has ids as Mosquitto makes them up.
func TestAssignedClientIDIsAUUID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, l := serve(t, broker.Options{})
		shape := regexp.MustCompile(`^auto-[0-9A-F]{8}-[0-9A-F]{4}-4[0-9A-F]{3}-[89AB][0-9A-F]{3}-[0-9A-F]{12}$`)
		_, one := connect(t, l, clean(""))
		_, two := connect(t, l, clean(""))
		for _, ack := range []*mqtt.Connack{one, two} {
			if id := ack.Properties.AssignedClientID; !shape.Match(id) {
				t.Errorf("%q", id)
			}
		}
		if string(one.Properties.AssignedClientID) == string(two.Properties.AssignedClientID) {
			t.Error("two clients got the same id")
		}
	})
}
