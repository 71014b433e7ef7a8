package broker

import (
	"context"
	"errors"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/uniomq/unio/mqtt"
)

func TestConnectionsThatAreReadyShareABuffer(t *testing.T) {
	t.Parallel()
	const buffer = 16 << 10
	for _, c := range []struct{ ready, partial, want int }{
		{1, 0, buffer},
		{2, 0, buffer / 2},
		{4, 100, minShare},
		{100, minShare - 1, minShare},
		{100, minShare, buffer}, // the rest of a large packet
	} {
		if got := share(buffer, c.ready, c.partial); got != c.want {
			t.Errorf("%d ready, %d bytes of a packet there: %d; want %d", c.ready, c.partial, got, c.want)
		}
	}
}

// TestRoundWritesOnceForSeveral has two clients publish to the same subscriber in one round, and a third that sends too much to wait.
func TestRoundWritesOnceForSeveral(t *testing.T) {
	var r round
	b, dial := serveSockets(t, Options{Interceptors: []Interceptor{patient(func() {
		if len(r.dirty) > 0 {
			t.Error("somebody waits for an Interceptor")
		}
	})}}, false) // those of a SocketListener are registered before CONNACK, too
	connect := func(id string) (net.Conn, *conn) {
		nc := dial()
		exchange(t, nc, &mqtt.Connect{ClientID: id, CleanStart: true})
		b.mu.Lock()
		defer b.mu.Unlock()
		for c := range b.conns {
			if c.client.RemoteAddr.String() == nc.LocalAddr().String() {
				return nc, c
			}
		}
		t.Fatalf("no connection of %s", id)
		return nil, nil
	}
	sub, to := connect("sub")
	exchange(t, sub, &mqtt.Subscribe{PacketID: 1, Subscriptions: []mqtt.Subscription{{Filter: "t"}}})

	publish := func(id, topic, payload string) {
		nc, c := connect(id)
		for !registered(c) { // a moment behind CONNACK
			runtime.Gosched()
		}
		c.event.Unwatch() // what comes is left to this test
		if _, err := nc.Write((&mqtt.Publish{Topic: []byte(topic), Payload: []byte(payload)}).Append(nil, mqtt.V5)); err != nil {
			t.Fatal(err)
		}
		for received := b.Stats().Received; b.Stats().Received == received; {
			c.Event(1, &r)
		}
		if err := c.event.Watch(); err != nil {
			t.Fatal(err)
		}
	}
	publish("first", "t", "a")
	publish("second", "t", "b")
	if len(r.dirty) != 1 || r.dirty[0] != to {
		t.Fatalf("%d connections to flush", len(r.dirty))
	}
	long := strings.Repeat("c", roundBytes)
	publish("third", "t", long)
	if len(r.dirty) != 0 || r.bytes != 0 {
		t.Errorf("%d connections to flush after %d bytes", len(r.dirty), roundBytes)
	}
	publish("fourth", "t", "d")
	publish("fifth", "patience", "")
	var in []byte
	for _, want := range []string{"a", "b", long, "d"} {
		if m, ok := next(t, sub, &in).(*mqtt.Publish); !ok || string(m.Payload) != want {
			t.Errorf("no message %.10s: %+v", want, m)
		}
	}
}

// patient is an Interceptor that takes its time for one topic.
type patient func()

func (patient) Concerns(topic []byte) bool { return string(topic) == "patience" }

func (p patient) Intercept(*Client, *mqtt.Publish) error {
	p()
	return nil
}

// serveSockets starts a broker on a listener of Go, or on a SocketListener, which ends with the test, and returns what connects to it.
func serveSockets(t *testing.T, o Options, accepts bool, before ...func(*Broker)) (b *Broker, dial func() net.Conn) {
	t.Helper()
	b, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if accepts {
		if l, err = SocketListener(l.(*net.TCPListener), func() bool { return true }); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range before {
		f(b)
	}
	served := make(chan error, 1)
	go func() { served <- b.Serve(l) }()
	t.Cleanup(func() {
		if err := errors.Join(b.Shutdown(context.Background()), <-served); !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	})
	return b, func() net.Conn {
		nc, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = nc.Close() })
		_ = nc.SetDeadline(time.Now().Add(20 * time.Second))
		return nc
	}
}

// TestConnectionsWorkWithoutEventLoops: the system gave none. Connections work, and whoever closes them is heard.
func TestConnectionsWorkWithoutEventLoops(t *testing.T) {
	_, dial := serveSockets(t, Options{}, true, func(b *Broker) { b.engine.Loops = -1 })
	first := dial()
	exchange(t, first, &mqtt.Connect{ClientID: "id", CleanStart: true})
	exchange(t, first, &mqtt.Subscribe{PacketID: 1, Subscriptions: []mqtt.Subscription{{Filter: "t"}}})
	exchange(t, first, &mqtt.Pingreq{})
	second := dial()
	exchange(t, second, &mqtt.Connect{ClientID: "id"})
	var in []byte
	if d, ok := next(t, first, &in).(*mqtt.Disconnect); !ok || d.Reason != mqtt.SessionTakenOver {
		t.Errorf("the first one got %+v", d)
	}
	exchange(t, second, &mqtt.Pingreq{})
	dial() // says nothing, and is not waited for by Shutdown
}

// registered says whether a loop reads from c.
func registered(c *conn) bool {
	c.mu.Lock()
	event := c.event
	c.mu.Unlock()
	return event != nil && event.Watched()
}
