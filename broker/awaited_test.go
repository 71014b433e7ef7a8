package broker_test

import (
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/mqtt"
)

// watched are options whose events tell who was let in, and why others were not.
func watched(timeout time.Duration) (o func() broker.Options, in chan *broker.Client, out chan error) {
	in, out = make(chan *broker.Client, 9), make(chan error, 9)
	return func() broker.Options {
		return broker.Options{
			Limits: broker.Limits{ConnectTimeout: timeout},
			Events: broker.Events{Connected: func(c *broker.Client) { in <- c }, Refused: func(_ *broker.Client, err error) { out <- err }},
		}
	}, in, out
}

// TestWhoSaysNothingIsNotWaitedForAnyLonger: neither with no byte nor with the beginning of CONNECT.
func TestWhoSaysNothingIsNotWaitedForAnyLonger(t *testing.T) {
	t.Parallel()
	o, _, out := watched(50 * time.Millisecond)
	onSockets(t, o, func(t *testing.T, b *broker.Broker, dial func() *client) {
		for _, said := range []string{"", "\x10", "\x10\x0d\x00\x04MQ"} {
			c := dial()
			if _, err := io.WriteString(c.nc, said); err != nil {
				t.Fatal(err)
			}
			if _, err := c.nc.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
				t.Errorf("%q: %v", said, err)
			}
			if err := <-out; err.Error() != "no CONNECT was accepted within 50ms" {
				t.Errorf("%q: refused with %v", said, err)
			}
		}
		if n := b.Stats(); n.Unaccepted != 0 || n.RefusedBy[broker.RefuseTimeout] != 3 {
			t.Errorf("%d wait still, refusals are %v", n.Unaccepted, n.RefusedBy)
		}
	})
}

// TestConnectMayComeByteByByte: each byte of CONNECT is a segment of its own, and PINGREQ lies behind the last in the same one.
func TestConnectMayComeByteByByte(t *testing.T) {
	t.Parallel()
	onSockets(t, plainOptions, func(t *testing.T, _ *broker.Broker, dial func() *client) {
		c := dial()
		p := clean("pieces")
		text := p.Append(nil, mqtt.V5)
		for i := range len(text) - 1 {
			if _, err := c.nc.Write(text[i : i+1]); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := c.nc.Write((&mqtt.Pingreq{}).Append(text[len(text)-1:], mqtt.V5)); err != nil {
			t.Fatal(err)
		}
		if _, ok := c.read().(*mqtt.Connack); !ok {
			t.Fatal("no CONNACK")
		}
		if _, ok := c.read().(*mqtt.Pingresp); !ok {
			t.Error("no PINGRESP")
		}
	})
}

// TestWhoLeavesBeforeConnect must not be waited for, by anybody.
func TestWhoLeavesBeforeConnect(t *testing.T) {
	t.Parallel()
	o, _, out := watched(time.Hour)
	onSockets(t, o, func(t *testing.T, b *broker.Broker, dial func() *client) {
		_ = dial().nc.Close()
		if err := <-out; !errors.Is(err, io.EOF) {
			t.Errorf("refused with %v", err)
		}
		c := dial()
		if _, err := io.WriteString(c.nc, "GET / HTTP/1.1\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if _, err := c.nc.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Error(err)
		}
		if err := <-out; !errors.Is(err, mqtt.ProtocolError) {
			t.Errorf("refused with %v", err)
		}
	})
}

func TestShutdownDoesNotWaitForWhoSaysNothing(t *testing.T) {
	t.Parallel()
	onSockets(t, plainOptions, func(t *testing.T, b *broker.Broker, dial func() *client) {
		dial()
		for b.Stats().Unaccepted == 0 {
			runtime.Gosched()
		}
	})
}

// TestAddressesOfAcceptedConnections: those that Go would say, of IPv4 and IPv6.
func TestAddressesOfAcceptedConnections(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ listen, dial string }{
		{"127.0.0.1:0", "127.0.0.1"}, {"0.0.0.0:0", "127.0.0.1"}, {"[::1]:0", "::1"}, {"[::]:0", "::1"}, {"[::]:0", "127.0.0.1"},
	} {
		l, err := net.Listen("tcp", c.listen)
		if err != nil {
			t.Logf("%s: %v", c.listen, err) // there are systems without IPv6
			continue
		}
		o, in, _ := watched(time.Hour)
		b, err := broker.New(o())
		if err != nil {
			t.Fatal(err)
		}
		l = socketListener(t, l)
		served := make(chan error, 1)
		go func() { served <- b.Serve(l) }()
		_, port, _ := net.SplitHostPort(l.Addr().String())
		nc, err := net.Dial("tcp", net.JoinHostPort(c.dial, port))
		if err != nil {
			t.Fatal(err)
		}
		(&client{t: t, nc: nc, version: mqtt.V5}).begin(clean("id"))
		got := <-in
		if got.RemoteAddr.String() != nc.LocalAddr().String() || got.LocalAddr.String() != nc.RemoteAddr().String() {
			t.Errorf("%s: from %v to %v, want from %v to %v", c.listen, got.RemoteAddr, got.LocalAddr, nc.LocalAddr(), nc.RemoteAddr())
		}
		_ = nc.Close()
		if err := errors.Join(b.Shutdown(context.Background()), <-served); !errors.Is(err, broker.ErrClosed) {
			t.Error(err)
		}
	}
}

// TestAClosedSocketListenerIsNotServed: Close ends ServeListener, as it does with a listener of net.
func TestAClosedSocketListenerIsNotServed(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b, err := broker.New(broker.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := socketListener(t, l)
	served := make(chan error, 1)
	go func() { served <- b.Serve(s) }()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := <-served; !errors.Is(err, net.ErrClosed) {
		t.Errorf("served until %v", err)
	}
	if _, err := net.Dial("tcp", s.Addr().String()); err == nil {
		t.Error("it is still there")
	}
	if err := b.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
}
