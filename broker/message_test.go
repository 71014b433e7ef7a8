package broker_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/mqtt"
)

// socket is a connected client on a real socket that does nothing of itself.
type socket struct {
	net.Conn
	t testing.TB
}

// sockets starts a broker on a loopback socket and returns what connects to it.
func sockets(t testing.TB, z broker.Authorizer) func(id string, v mqtt.Version, filters ...string) socket {
	t.Helper()
	b, err := broker.New(broker.Options{Authorizer: z})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- b.Serve(l) }()
	t.Cleanup(func() {
		if err := b.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if err := <-served; err != broker.ErrClosed {
			t.Error(err)
		}
	})
	return func(id string, v mqtt.Version, filters ...string) socket {
		t.Helper()
		nc, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = nc.Close() })
		s := socket{nc, t}
		s.send((&mqtt.Connect{Version: v, ClientID: id, CleanStart: true}).Append(nil, v))
		s.packet(v)
		for i, f := range filters {
			s.send((&mqtt.Subscribe{PacketID: uint16(i + 1), Subscriptions: []mqtt.Subscription{{Filter: f, Options: 2}}}).Append(nil, v))
			s.packet(v)
		}
		return s
	}
}

func (s socket) send(p []byte) {
	if _, err := s.Write(p); err != nil {
		s.t.Error(err)
	}
}

// expect reads exactly len(p) bytes into p.
func (s socket) expect(p []byte) {
	if _, err := io.ReadFull(s.Conn, p); err != nil {
		s.t.Error(err)
	}
}

// packet reads and discards one packet with a short remaining length.
func (s socket) packet(v mqtt.Version) mqtt.Packet {
	s.t.Helper()
	p := make([]byte, 2, 256)
	s.expect(p)
	p = p[:2+int(p[1])]
	s.expect(p[2:])
	packet, err := mqtt.Decode(v, p)
	if err != nil {
		s.t.Fatal(err)
	}
	return packet
}

// exchange is one message from a publisher to a subscriber, with all acknowledgements.
type exchange struct {
	pub, sub socket
	qos      byte
	publish  []byte // as the publisher sends it
	in       []byte // as the subscriber gets it
	short    []byte // an acknowledgement
	id       int    // where the packet id is
}

// newExchange has a subscription with share, "" or that of a group, before its topic.
func newExchange(connect func(string, mqtt.Version, ...string) socket, v mqtt.Version, qos byte, share string) *exchange {
	name := fmt.Sprint("alloc/", v, "/", qos, share)
	p := mqtt.Publish{QoS: qos, Topic: []byte(name), Payload: make([]byte, 64)}
	if qos > 0 {
		p.PacketID = 1
	}
	x := &exchange{
		sub: connect("sub"+name, v, share+name), pub: connect("pub"+name, v),
		qos: qos, publish: p.Append(nil, v), short: make([]byte, 4),
	}
	x.in, x.id = make([]byte, len(x.publish)), mqtt.PacketIDOffset(x.publish)
	return x
}

// run sends the message and goes through everything that its QoS asks for.
func (x *exchange) run() {
	x.pub.send(x.publish)
	x.sub.expect(x.in)
	switch x.qos {
	case 1:
		x.answer(x.sub, x.in, mqtt.PUBACK)
		x.pub.expect(x.short) // PUBACK
	case 2:
		x.answer(x.sub, x.in, mqtt.PUBREC)
		x.sub.expect(x.short) // PUBREL
		x.answer(x.sub, x.in, mqtt.PUBCOMP)
		x.pub.expect(x.short) // PUBREC
		x.answer(x.pub, x.publish, mqtt.PUBREL)
		x.pub.expect(x.short) // PUBCOMP
	}
}

// answer sends an acknowledgement with the packet id of a PUBLISH.
func (x *exchange) answer(s socket, publish []byte, kind mqtt.Type) {
	flags := byte(0)
	if kind == mqtt.PUBREL {
		flags = 2
	}
	x.short = append(x.short[:0], byte(kind)<<4|flags, 2, publish[x.id], publish[x.id+1])
	s.send(x.short)
}

// BenchmarkMessage takes one message at a time from a publisher through a socket to a subscriber.
func BenchmarkMessage(b *testing.B) {
	connect := sockets(b, nil)
	for qos := range byte(3) {
		b.Run(fmt.Sprint("QoS", qos), func(b *testing.B) {
			x := newExchange(connect, mqtt.V311, qos, "")
			b.ReportAllocs()
			for b.Loop() {
				x.run()
			}
		})
	}
}

// BenchmarkFanOut takes one message from a publisher to 100 subscribers: the write path, for the most part.
func BenchmarkFanOut(b *testing.B) {
	const subscribers = 100
	connect := sockets(b, nil)
	p := mqtt.Publish{Topic: []byte("bench/fan"), Payload: make([]byte, 64)}
	packet := p.Append(nil, mqtt.V311)
	var subs []socket
	for i := range subscribers {
		subs = append(subs, connect(fmt.Sprint("s", i), mqtt.V311, "bench/fan"))
	}
	pub, in := connect("p", mqtt.V311), make([]byte, len(packet))
	b.ReportAllocs()
	for b.Loop() {
		pub.send(packet)
		for _, s := range subs {
			s.expect(in)
		}
	}
}
