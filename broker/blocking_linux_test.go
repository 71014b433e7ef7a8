package broker

import (
	"context"
	"fmt"
	"net"
	"runtime"
	"testing"

	"github.com/uniomq/unio/mqtt"
)

// waiting is an Interceptor that waits for a release.
type waiting struct {
	patient
	entered, release chan struct{}
}

func (*waiting) MayBlock() bool { return true }

func (w *waiting) Intercept(*Client, *mqtt.Publish) error {
	w.entered <- struct{}{}
	<-w.release
	return fmt.Errorf("done: %w", ErrTaken)
}

// TestNoEventLoopWaitsForAnInterceptor has a client of each event loop, which must be answered while another client's message waits; what that
// one has sent behind it is handled afterwards, in order, and all of it once.
func TestNoEventLoopWaitsForAnInterceptor(t *testing.T) {
	t.Parallel()
	w := &waiting{entered: make(chan struct{}, 2), release: make(chan struct{})}
	told := make(chan string, 16)
	o := Options{Interceptors: []Interceptor{w}}
	o.Events.Received = func(c *Client, p mqtt.Packet) {
		if m, ok := p.(*mqtt.Publish); ok {
			told <- string(m.Topic)
		}
	}
	b, dial := serveSockets(t, o, true)
	t.Cleanup(func() { close(w.release) })
	asks := dial()
	exchange(t, asks, &mqtt.Connect{ClientID: "asks", CleanStart: true})
	others := make([]net.Conn, 4*runtime.GOMAXPROCS(0))
	for i := range others {
		others[i] = dial()
		exchange(t, others[i], &mqtt.Connect{ClientID: fmt.Sprint("other", i), CleanStart: true})
	}
	exchange(t, others[0], &mqtt.Subscribe{PacketID: 1, Subscriptions: []mqtt.Subscription{{Filter: "t"}}})
	var sent []byte
	for i, topic := range []string{"t", "patience", "t", "patience"} {
		sent = (&mqtt.Publish{Topic: []byte(topic), QoS: 1, PacketID: uint16(i + 1)}).Append(sent, mqtt.V5)
	}
	sent = (&mqtt.Pingreq{}).Append(sent, mqtt.V5)
	if _, err := asks.Write(sent); err != nil {
		t.Fatal(err)
	}
	var in []byte
	for range 2 { // one before each message that waits
		<-w.entered
		if m, ok := next(t, others[0], &in).(*mqtt.Publish); !ok {
			t.Errorf("the subscriber got %+v", m)
		}
		for _, nc := range others {
			exchange(t, nc, &mqtt.Pingreq{})
		}
		w.release <- struct{}{}
	}
	in = nil
	for id := range uint16(4) {
		if a, ok := next(t, asks, &in).(*mqtt.Ack); !ok || a.PacketID != id+1 || a.Reason.Failed() {
			t.Errorf("got %+v, want the acknowledgement of %d", a, id+1)
		}
	}
	if p, ok := next(t, asks, &in).(*mqtt.Pingresp); !ok {
		t.Errorf("got %+v, want PINGRESP", p)
	}
	if n := b.Stats(); n.Received != 4 || len(told) != 4 || n.PacketsReceived != int64(4+1+1+1+3*len(others)) {
		t.Errorf("%d messages and %d packets counted, and %d told of", n.Received, n.PacketsReceived, len(told))
	}
}

// authenticator lets everybody in who waits for it.
type authenticator func(gone func() bool)

func (f authenticator) Authenticate(ctx context.Context, _ *Client, _ []byte) error {
	f(func() bool { return Gone(ctx) })
	return nil
}

func (authenticator) Exchange(context.Context, *Client, string) (Exchange, error) {
	return nil, mqtt.BadAuthenticationMethod
}

// TestGoneIsTold: what has hung up is gone, also if it has sent more than CONNECT, and nobody else is.
func TestGoneIsTold(t *testing.T) {
	t.Parallel()
	for _, accepts := range []bool{false, true} {
		asked, answer := make(chan struct{}), make(chan bool)
		_, dial := serveSockets(t, Options{Authenticator: authenticator(func(gone func() bool) {
			asked <- struct{}{}
			answer <- gone()
			<-asked
			answer <- gone()
		})}, accepts)
		nc := dial()
		sent := (&mqtt.Connect{ClientID: "c", CleanStart: true}).Append(nil, mqtt.V5)
		if _, err := nc.Write((&mqtt.Pingreq{}).Append(sent, mqtt.V5)); err != nil {
			t.Fatal(err)
		}
		<-asked
		if <-answer {
			t.Error("a client that waits is gone")
		}
		_ = nc.Close()
		asked <- struct{}{}
		if !<-answer {
			t.Error("a client that hung up is there")
		}
	}
}
