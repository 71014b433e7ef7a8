package broker_test

import (
	"net"
	"slices"
	"testing"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/mqtt"
)

// TestHooksAreMadeWithTheBrokerInHand has an Authorizer that asks its own broker who is connected.
func TestHooksAreMadeWithTheBrokerInHand(t *testing.T) {
	t.Parallel()
	b := broker.Make()
	if found := b.Disconnect("watcher", mqtt.NotAuthorized); found || len(b.Clients()) > 0 {
		t.Error("there are clients before the start")
	}
	if err := b.AdmitAddress(&net.TCPAddr{}); err != nil {
		t.Errorf("an address before the start: %v", err)
	}
	// Who publishes may do so while the watcher is connected.
	watched := authorizer(func(a broker.Access) bool {
		return a.Action != broker.ActionPublish ||
			slices.ContainsFunc(b.Clients(), func(c *broker.Client) bool { return c.ID == "watcher" })
	})
	if err := b.Start(broker.Options{Authorizer: watched}); err != nil {
		t.Fatal(err)
	}
	l := listen(t, b)
	publish := func() mqtt.ReasonCode {
		t.Helper()
		c, _ := connect(t, l, mqtt.Connect{Version: mqtt.V5, CleanStart: true, ClientID: "publisher"})
		c.send(&mqtt.Publish{Topic: []byte("t"), QoS: 1, PacketID: 1})
		ack, ok := c.read().(*mqtt.Ack)
		if !ok {
			t.Fatal("no PUBACK")
		}
		return ack.Reason
	}
	if got := publish(); got != mqtt.NotAuthorized {
		t.Errorf("without the watcher: %v", got)
	}
	connect(t, l, mqtt.Connect{Version: mqtt.V5, CleanStart: true, ClientID: "watcher"})
	if got := publish(); got != mqtt.NoMatchingSubscribers {
		t.Errorf("with the watcher: %v", got)
	}
}
