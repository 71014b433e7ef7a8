package broker_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/internal/memnet"
	"github.com/uniomq/unio/mqtt"
	"github.com/uniomq/unio/store"
)

// joinGroups has c subscribe as a member of n shared groups on one filter, and returns the reason
// codes.
func (c *client) joinGroups(n int, filter string, qos byte) (reasons []mqtt.ReasonCode) {
	c.t.Helper()
	const each = 500
	for first := 0; first < n; first += each {
		s := &mqtt.Subscribe{PacketID: 1}
		for i := first; i < min(first+each, n); i++ {
			s.Subscriptions = append(s.Subscriptions, mqtt.Subscription{Filter: fmt.Sprintf("$share/g%d/%s", i, filter), Options: mqtt.SubscribeOptions(qos)})
		}
		c.send(s)
		reasons = append(reasons, c.read().(*mqtt.Suback).Reasons...)
	}
	return reasons
}

// TestGroupsOfOneClientAreBounded has a client that joins 20,000 groups, each of which is owed a
// copy of everything.
func TestGroupsOfOneClientAreBounded(t *testing.T) {
	const groups, limit = 20_000, 100
	b, l := serve(t, broker.Options{})
	for _, p := range []mqtt.Connect{clean("new"), {Version: mqtt.V311, ClientID: "old", CleanStart: true}} {
		c, _ := connect(t, l, p)
		refused := mqtt.QuotaExceeded
		if p.Version < mqtt.V5 {
			refused = mqtt.UnspecifiedError // 0x80
		}
		for i, code := range c.joinGroups(groups, p.ClientID, 1) {
			want := mqtt.GrantedQoS1
			if i >= limit {
				want = refused
			}
			if code != want {
				t.Fatalf("%s: group %d: %v, want %v", p.ClientID, i, code, want)
			}
		}
		if n := b.Stats().SharedSubscriptions; n != limit {
			t.Errorf("%d shared subscriptions, want %d", n, limit)
		}
		_ = b.Publish(&store.Message{Topic: p.ClientID})
		if got := len(c.messages()); got != limit {
			t.Errorf("%d copies, want one for each of the %d groups", got, limit)
		}
		_ = c.nc.Close()
		for b.Stats().SharedSubscriptions > 0 {
			runtime.Gosched()
		}
	}
}

// messages reads the messages that have been sent.
func (c *client) messages() (all []*mqtt.Publish) {
	c.t.Helper()
	c.send(&mqtt.Pingreq{})
	for {
		switch p := c.read().(type) {
		case *mqtt.Publish:
			all = append(all, p)
		case *mqtt.Pingresp:
			return all
		default:
			c.t.Fatalf("got %+v", p)
		}
	}
}

// denyReceive is an Authorizer that denies clients all deliveries.
func denyReceive(ids ...string) broker.Authorizer {
	return authorizer(func(a broker.Access) bool {
		return a.Action != broker.ActionReceive || !slices.Contains(ids, a.Client.ID)
	})
}

// small is a client that takes no large packets.
func small(p mqtt.Connect) mqtt.Connect {
	p.Properties.SetMaximumPacketSize(60)
	return p
}

// TestMemberThatCannotTakeAMessageIsPassedOver has a shared group of two members, of which one
// cannot have what is published.
func TestMemberThatCannotTakeAMessageIsPassedOver(t *testing.T) {
	const messages = 10
	slow := clean("bad")
	slow.Properties.SetReceiveMaximum(1)
	denied := broker.Options{Authorizer: denyReceive("bad")}
	for _, c := range []struct {
		name  string
		o     broker.Options
		bad   mqtt.Connect
		qos   []byte // of the messages
		takes int    // what the bad member gets all the same
	}{
		{"not authorized", denied, clean("bad"), []byte{0, 1, 2}, 0},
		{"not authorized, stored", denied, stored("bad"), []byte{0, 1, 2}, 0},
		{"too large", broker.Options{}, small(clean("bad")), []byte{0, 1, 2}, 0},
		{"too large, stored", broker.Options{}, small(stored("bad")), []byte{0, 1, 2}, 0},
		{"queue full", broker.Options{Limits: broker.Limits{MaxQueuedMessages: 1}}, slow, []byte{1, 2}, 2},
	} {
		for _, qos := range c.qos {
			t.Run(fmt.Sprint(c.name, ", QoS ", qos), func(t *testing.T) {
				b, l := serve(t, c.o)
				bad, _ := connect(t, l, c.bad)
				bad.subscribe("$share/g/t")
				good, _ := connect(t, l, clean("good"))
				good.subscribe("$share/g/t")
				for range messages {
					_ = b.Publish(&store.Message{Topic: "t", Payload: make([]byte, 100), QoS: qos})
				}
				if got := len(good.messages()); got != messages-c.takes {
					t.Errorf("%d messages came, want %d of %d", got, messages-c.takes, messages)
				}
				if n := b.Stats().Dropped; n != [broker.DropCauses]int64{} {
					t.Errorf("dropped: %v", n)
				}
			})
		}
	}
}

// stopping is a listener whose first connection takes nothing more as soon as stopped is closed.
type stopping struct {
	*memnet.Listener
	stopped chan struct{}
	first   bool
}

func (l *stopping) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil || !l.first {
		return nc, err
	}
	l.first = false
	return &stopped{Conn: nc, stopped: l.stopped, closed: make(chan struct{})}, nil
}

type stopped struct {
	net.Conn
	stopped, closed chan struct{}
	once            sync.Once
}

func (c *stopped) Write(p []byte) (int, error) {
	select {
	case <-c.stopped:
		<-c.closed
		return 0, net.ErrClosed
	default:
		return c.Conn.Write(p)
	}
}

func (c *stopped) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

// TestFullBufferIsPassedOver is the same for QoS 0 and a socket that takes nothing.
func TestFullBufferIsPassedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const messages = 100
		b, err := broker.New(broker.Options{Limits: broker.Limits{MaxBufferedBytes: 4 << 10}})
		if err != nil {
			t.Fatal(err)
		}
		l := &stopping{memnet.Listen(), make(chan struct{}), true}
		served := make(chan error, 1)
		go func() { served <- b.Serve(l) }()
		bad, _ := connect(t, l.Listener, clean("bad"))
		bad.subscribe("$share/g/t")
		good, _ := connect(t, l.Listener, clean("good"))
		good.subscribe("$share/g/t")
		close(l.stopped)
		got := 0
		for range messages {
			_ = b.Publish(&store.Message{Topic: "t", Payload: make([]byte, 1<<10)})
			got += len(good.messages())
		}
		if n := b.Stats(); n.Dropped != [broker.DropCauses]int64{} || n.Sent != messages {
			t.Errorf("%d of %d sent, dropped: %v", n.Sent, messages, n.Dropped)
		}
		if got < messages-10 {
			t.Errorf("the good member got %d of %d", got, messages)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // nobody waits for who takes nothing
		if err := b.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		if err := <-served; err != broker.ErrClosed {
			t.Error(err)
		}
	})
}

// TestAwayMemberThatKeepsNothingIsPassedOver has a group without a connected member: its messages
// go to those who get them when they come back.
func TestAwayMemberThatKeepsNothingIsPassedOver(t *testing.T) {
	const messages = 6
	b, l := serve(t, broker.Options{})
	for id, qos := range map[string]byte{"forgets": 0, "one": 1, "two": 1} {
		c, _ := connect(t, l, stored(id))
		c.send(&mqtt.Subscribe{PacketID: 1, Subscriptions: []mqtt.Subscription{{Filter: "$share/g/t", Options: mqtt.SubscribeOptions(qos)}}})
		c.read()
		c.send(&mqtt.Disconnect{})
		c.read()
	}
	for b.Stats().Connections > 0 {
		runtime.Gosched()
	}
	for i := range messages {
		_ = b.Publish(&store.Message{Topic: "t", Payload: []byte(fmt.Sprint(i)), QoS: 1})
	}
	for _, id := range []string{"one", "two"} {
		c, _ := connect(t, l, stored(id))
		if got := len(c.messages()); got != messages/2 { // in turn
			t.Errorf("%s got %d of %d", id, got, messages)
		}
	}
}

// TestMessageThatNoMemberMayHaveIsCountedOnce has a group in which nobody may receive.
func TestMessageThatNoMemberMayHaveIsCountedOnce(t *testing.T) {
	o := broker.Options{Authorizer: denyReceive("a", "b", "c")}
	type fate struct {
		id    string
		cause broker.DropCause
	}
	var told []fate
	o.Events.Dropped = func(id string, cause broker.DropCause, _ string) { told = append(told, fate{id, cause}) }
	b, l := serve(t, o)
	for _, p := range []mqtt.Connect{clean("a"), stored("b"), clean("c")} {
		c, _ := connect(t, l, p)
		c.subscribe("$share/g/t")
	}
	pub, _ := connect(t, l, clean("pub"))
	for _, qos := range []byte{0, 1, 2} {
		_ = b.Publish(&store.Message{Topic: "t", QoS: qos})
	}
	if n := b.Stats().Dropped[broker.DropUnauthorized]; n != 3 || len(told) != 3 {
		t.Errorf("%d counted and %v told of 3 messages", n, told)
	}
	for _, f := range told {
		if f.id == "" || f.cause != broker.DropUnauthorized {
			t.Errorf("told: %+v", f)
		}
	}
	if code := pub.publish("t", "x"); code != mqtt.Success {
		t.Errorf("the publisher is told %v: there are subscribers", code)
	}
}

// BenchmarkSharedGroups publishes to one client that is the only member of many groups, as many as
// it may by default, and more.
func BenchmarkSharedGroups(b *testing.B) {
	for _, n := range []int{1, 100, 20_000} {
		for _, qos := range []byte{0, 1} {
			b.Run(fmt.Sprintf("groups=%d/QoS%d", n, qos), func(b *testing.B) {
				br, l := serve(b, broker.Options{Limits: broker.Limits{MaxSubscriptions: -1, MaxSharedSubscriptions: -1}})
				c, _ := connect(b, l, clean("member"))
				c.joinGroups(n, "t/#", qos)
				go func() { _, _ = io.Copy(io.Discard, c.nc) }()
				m := &store.Message{Topic: "t/1", Payload: []byte("0123456789"), QoS: qos}
				b.ReportAllocs()
				for b.Loop() {
					_ = br.Publish(m)
				}
			})
		}
	}
}
