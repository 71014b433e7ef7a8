package broker_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/mqtt"
)

// hours lets everybody in for so many hours.
type hours int

func (h hours) Authenticate(_ context.Context, c *broker.Client, _ []byte) error {
	c.Expires = time.Now().Add(time.Duration(h) * time.Hour)
	return nil
}

func (hours) Exchange(context.Context, *broker.Client, string) (broker.Exchange, error) {
	return nil, mqtt.BadAuthenticationMethod
}

func TestConnectionEndsWhenWhatTheClientWasLetInWithExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, l := serve(t, broker.Options{Authenticator: hours(2)})
		watcher, _ := connect(t, l, clean("watcher"))
		p := clean("c")
		p.Will = &mqtt.Will{Topic: "gone"}
		c, _ := connect(t, l, p)
		time.Sleep(2*time.Hour - time.Second)
		c.quiet()
		b.Reconfigure(broker.Options{})
		listener, _ := connect(t, l, clean("listener")) // does not expire
		listener.subscribe("gone")
		time.Sleep(time.Second)
		if d, ok := c.read().(*mqtt.Disconnect); !ok || d.Reason != mqtt.MaximumConnectTime {
			t.Errorf("at the end came %+v, want DISCONNECT with %v", d, mqtt.MaximumConnectTime)
		}
		if watcher.read() == nil {
			t.Error("a client that expires at the same time is told nothing")
		}
		if m := listener.message(); string(m.Topic) != "gone" {
			t.Errorf("the will is %q", m.Topic)
		}
	})
}

func TestDisconnectClientLeavesALaterConnectionAlone(t *testing.T) {
	b, l := serve(t, broker.Options{})
	_, _ = connect(t, l, clean("c"))
	first := b.Clients()[0]
	second, _ := connect(t, l, clean("c"))
	if b.DisconnectClient(first, mqtt.NotAuthorized) {
		t.Error("the first connection was closed again")
	}
	second.quiet()
	for _, c := range b.Clients() {
		if c != first && !b.DisconnectClient(c, mqtt.NotAuthorized) {
			t.Error("the second connection is not found")
		}
	}
	if d, ok := second.read().(*mqtt.Disconnect); !ok || d.Reason != mqtt.NotAuthorized {
		t.Errorf("came %+v, want DISCONNECT with %v", d, mqtt.NotAuthorized)
	}
}
