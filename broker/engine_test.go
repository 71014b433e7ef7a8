package broker_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/mqtt"
	"github.com/uniomq/unio/store/memory"
	"github.com/uniomq/unio/store/storetest"
)

// onSockets runs a test over loopback, with connections that have a goroutine each and, where there is an engine, with those that it takes over and
// those that it accepts.
func onSockets(t *testing.T, o func() broker.Options, test func(t *testing.T, b *broker.Broker, dial func() *client)) {
	for _, name := range []string{"engine", "goroutines", "accepted"} {
		t.Run(name, func(t *testing.T) {
			options := o()
			options.GoroutinePerConnection = name == "goroutines"
			b, err := broker.New(options)
			if err != nil {
				t.Fatal(err)
			}
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			if name == "accepted" {
				l = socketListener(t, l)
			}
			served := make(chan error, 1)
			go func() { served <- b.Serve(l) }()
			test(t, b, func() *client {
				nc, err := net.Dial("tcp", l.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = nc.Close() })
				_ = nc.SetDeadline(time.Now().Add(20 * time.Second))
				return &client{t: t, nc: nc, version: mqtt.V5}
			})
			if err := b.Shutdown(context.Background()); err != nil {
				t.Error(err)
			}
			if err := <-served; err != broker.ErrClosed {
				t.Error(err)
			}
		})
	}
}

func socketListener(t *testing.T, l net.Listener) net.Listener {
	t.Helper()
	s, err := broker.SocketListener(l.(*net.TCPListener), func() bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func plainOptions() broker.Options { return broker.Options{} }

// begin sends CONNECT and reads CONNACK.
func (c *client) begin(p mqtt.Connect) {
	c.t.Helper()
	c.send(&p)
	if a, ok := c.read().(*mqtt.Connack); !ok || a.Reason != mqtt.Success {
		c.t.Fatalf("no CONNACK: %+v", a)
	}
}

// TestFloodBeyondReceiveMaximumIsHeldUp sends far more QoS 1 messages than may be unacknowledged, together with CONNECT in one write, to a
// store that takes its time.
func TestFloodBeyondReceiveMaximumIsHeldUp(t *testing.T) {
	slow := func() broker.Options {
		return broker.Options{Store: storetest.NewSlow(memory.New(), func() time.Duration { return 0 })}
	}
	onSockets(t, slow, func(t *testing.T, _ *broker.Broker, dial func() *client) {
		sub := dial()
		sub.begin(stored("sub"))
		sub.subscribe("t")
		pub := dial()
		const n = 500
		p := clean("pub")
		packets := []mqtt.Packet{&p}
		for i := range n {
			packets = append(packets, &mqtt.Publish{QoS: 1, PacketID: uint16(i + 1), Topic: []byte("t"), Payload: fmt.Append(nil, i)})
		}
		go pub.send(packets...)
		if _, ok := pub.read().(*mqtt.Connack); !ok {
			t.Fatal("no CONNACK")
		}
		for i := range n {
			if a, ok := pub.read().(*mqtt.Ack); !ok || int(a.PacketID) != i+1 || a.Reason.Failed() {
				t.Fatalf("PUBACK %d is %+v", i, a)
			}
			m := sub.message()
			if string(m.Payload) != fmt.Sprint(i) {
				t.Fatalf("message %d is %s", i, m.Payload)
			}
			sub.send(&mqtt.Ack{Kind: mqtt.PUBACK, PacketID: m.PacketID})
		}
	})
}

// TestClientThatReadsLateGetsAll has a subscriber whose socket is full for a while.
func TestClientThatReadsLateGetsAll(t *testing.T) {
	onSockets(t, plainOptions, func(t *testing.T, b *broker.Broker, dial func() *client) {
		sub := dial()
		sub.begin(clean("sub"))
		sub.subscribe("t")
		pub := dial()
		pub.begin(clean("pub"))
		payload := bytes.Repeat([]byte("x"), 64<<10)
		const n = 160 // 10 MB: more than a socket holds, less than MaxBufferedBytes
		for i := range n {
			payload[0] = byte(i)
			if code := pub.publish("t", string(payload)); code.Failed() {
				t.Fatal(code)
			}
		}
		for i := range n {
			m := sub.message()
			if len(m.Payload) != len(payload) || m.Payload[0] != byte(i) {
				t.Fatalf("message %d has %d bytes, and begins with %d", i, len(m.Payload), m.Payload[0])
			}
			if m.QoS > 0 {
				sub.send(&mqtt.Ack{Kind: map[byte]mqtt.Type{1: mqtt.PUBACK, 2: mqtt.PUBREC}[m.QoS], PacketID: m.PacketID})
			}
		}
		if code := pub.publish("t", "end"); code.Failed() { // on what was slow once
			t.Fatal(code)
		}
		if m := sub.message(); string(m.Payload) != "end" {
			t.Errorf("got %q", m.Payload)
		}
		if d := b.Stats().Dropped; d != [broker.DropCauses]int64{} {
			t.Errorf("drops: %v", d)
		}
	})
}

// TestTakeoverOfAClientThatReadsNothing ends a connection whose socket is full.
func TestTakeoverOfAClientThatReadsNothing(t *testing.T) {
	o := func() broker.Options {
		return broker.Options{Limits: broker.Limits{WriteTimeout: 300 * time.Millisecond}}
	}
	onSockets(t, o, func(t *testing.T, b *broker.Broker, dial func() *client) {
		stuck := dial()
		stuck.begin(clean("c"))
		stuck.subscribe("t")
		pub := dial()
		pub.begin(clean("pub"))
		for range 160 {
			pub.send(&mqtt.Publish{Topic: []byte("t"), Payload: make([]byte, 64<<10)})
		}
		if code := pub.publish("other", "x"); code.Failed() { // all before it was taken
			t.Fatal(code)
		}
		again := dial()
		again.begin(clean("c"))
		again.subscribe("t")
		if code := pub.publish("t", "new"); code.Failed() {
			t.Fatal(code)
		}
		if m := again.message(); string(m.Payload) != "new" {
			t.Errorf("got %q", m.Payload)
		}
		if n := b.Stats().Connections; n != 2 {
			t.Errorf("%d clients", n)
		}
		for range 50 { // the old one is told, each time
			old := again
			again = dial()
			again.begin(clean("c"))
			if d, ok := old.read().(*mqtt.Disconnect); !ok || d.Reason != mqtt.SessionTakenOver {
				t.Fatalf("the old connection got %+v", d)
			}
		}
	})
}

// TestConnectionsLeaveNothingBehindHoweverTheyEnd has them end in every way, and nothing left behind: no connection, no descriptor.
func TestConnectionsLeaveNothingBehindHoweverTheyEnd(t *testing.T) {
	before := descriptors(t)
	onSockets(t, plainOptions, func(t *testing.T, b *broker.Broker, dial func() *client) {
		watcher := dial()
		watcher.begin(clean("watcher"))
		watcher.subscribe("#")
		for i, end := range []func(c *client){
			func(c *client) { c.send(&mqtt.Disconnect{Reason: mqtt.DisconnectWithWill}) },
			func(c *client) { _ = c.nc.Close() },
			func(c *client) { _ = c.nc.(*net.TCPConn).SetLinger(0); _ = c.nc.Close() },
			func(c *client) { _ = c.nc.(*net.TCPConn).CloseWrite() },
			func(c *client) { _, _ = c.nc.Write([]byte{0xFF}) },
			func(c *client) { b.Disconnect("c3", mqtt.AdministrativeAction) },
			func(c *client) { // what arrives together with the end is not lost
				p := mqtt.Publish{Topic: []byte("last"), Payload: []byte("words")}
				_, _ = c.nc.Write(p.Append(nil, mqtt.V5))
				_ = c.nc.(*net.TCPConn).CloseWrite()
			},
		} {
			c := dial()
			p := clean(fmt.Sprint("c", i))
			if i == 5 {
				p.ClientID = "c3"
			}
			p.Will = &mqtt.Will{Topic: "gone", Payload: []byte(p.ClientID)}
			c.begin(p)
			end(c)
			for {
				m := watcher.message()
				if string(m.Topic) == "gone" {
					break
				}
			}
			if i != 1 && i != 2 {
				if _, err := io.Copy(io.Discard, c.nc); err != nil && i != 4 {
					t.Errorf("end %d: %v", i, err)
				}
			}
		}
		if n := b.Stats(); n.Received < 1 {
			t.Error("the last words were lost")
		}
	})
	if after := descriptors(t); after > before+2 { // the runtime's own
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	if runtime.GOOS != "linux" {
		return 0
	}
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(names)
}
