package broker_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/internal/memnet"
)

// failing has its connections fail their handshake.
type failing struct {
	net.Listener
	err error
}

func (f failing) Accept() (net.Conn, error) {
	nc, err := f.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return failed{nc, f.err}, nil
}

type failed struct {
	net.Conn
	err error
}

func (f failed) HandshakeContext(context.Context) error { return f.err }

func TestAHarmlessHandshakeIsNoRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		errProbe, errOther := errors.New("probe"), errors.New("other")
		var refused []error
		opened := 0
		b, err := broker.New(broker.Options{Events: broker.Events{
			Refused: func(_ *broker.Client, err error) { refused = append(refused, err) },
			Opened:  func(net.Addr, net.Addr) { opened++ },
		}})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = b.Shutdown(context.Background()) }()
		for _, err := range []error{errProbe, errOther} {
			l := memnet.Listen()
			o := broker.ListenerOptions{Proxied: true, Harmless: func(err error) bool { return errors.Is(err, errProbe) }}
			go func() { _ = b.ServeListener(failing{l, err}, o) }()
			nc, err := l.Dial()
			if err != nil {
				t.Fatal(err)
			}
			if !closed(t, nc) {
				t.Error("the connection is open")
			}
		}
		s := b.Stats()
		if len(refused) != 1 || !errors.Is(refused[0], errOther) || s.Refused != 1 || s.Probes != 1 || s.Accepted != 2 {
			t.Errorf("told %v, counted %+v", refused, s)
		}
		if opened != 0 {
			t.Error("connections were told before it was known from where they come")
		}
	})
}
