package broker_test

import (
	"context"
	"io"
	"net"
	"slices"
	"testing"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/internal/memnet"
	"github.com/uniomq/unio/mqtt"
)

// serve starts a broker on a memnet listener that ends with the test.
func serve(t testing.TB, o broker.Options) (*broker.Broker, *memnet.Listener) {
	t.Helper()
	b, err := broker.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if n := b.Stats().Panics; n > 0 {
			t.Errorf("%d panics", n)
		}
	})
	return b, listen(t, b)
}

// listen serves a broker until the test ends, and shuts it down then.
func listen(t testing.TB, b *broker.Broker) *memnet.Listener {
	t.Helper()
	l := memnet.Listen()
	served := make(chan error, 1)
	go func() { served <- b.Serve(l) }()
	t.Cleanup(func() {
		if err := b.Shutdown(context.Background()); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		if err := <-served; err != broker.ErrClosed {
			t.Errorf("serve: %v", err)
		}
	})
	return l
}

// client is the least that speaks MQTT. Its methods do not check what they read; the tests do.
type client struct {
	t       testing.TB
	nc      net.Conn
	version mqtt.Version
	in, out []byte
}

func dial(t testing.TB, l *memnet.Listener, v mqtt.Version) *client {
	t.Helper()
	nc, err := l.Dial()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	return &client{t: t, nc: nc, version: v}
}

// connect dials and sends CONNECT, and returns CONNACK.
func connect(t testing.TB, l *memnet.Listener, p mqtt.Connect) (*client, *mqtt.Connack) {
	t.Helper()
	c := dial(t, l, p.Version)
	c.send(&p)
	ack, ok := c.read().(*mqtt.Connack)
	if !ok {
		t.Fatal("no CONNACK")
	}
	return c, ack
}

func (c *client) send(packets ...mqtt.Packet) {
	c.out = c.out[:0]
	for _, p := range packets {
		c.out = p.Append(c.out, c.version)
	}
	_, _ = c.nc.Write(c.out) // a closed connection shows in read
}

// read returns the next packet, nil when the connection has ended.
func (c *client) read() mqtt.Packet {
	for {
		frame, rest, err := mqtt.Split(c.in, 0)
		if err != nil {
			c.t.Errorf("the broker sent garbage: %v", err)
			return nil
		}
		if frame != nil {
			p, err := mqtt.Decode(c.version, frame)
			if err != nil {
				c.t.Errorf("the broker sent a bad packet: %v: %x", err, frame)
				return nil
			}
			c.in = rest
			return p
		}
		p := make([]byte, 4096)
		n, err := c.nc.Read(p)
		c.in = append(slices.Clip(c.in), p[:n]...)
		if err == io.EOF || err != nil && n == 0 {
			return nil
		}
	}
}
