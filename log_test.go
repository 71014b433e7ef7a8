package unio

import (
	"testing"

	"github.com/uniomq/unio/config"
	"github.com/uniomq/unio/mqtt"
)

func TestTheLogIsPublishedByKind(t *testing.T) {
	t.Parallel()
	log, err := OpenLog(config.Log{Types: config.LogAll, Topic: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	s := start(t, onSockets(t, "a"), log.Logger)
	conn, _ := connect(t, s.Addrs()[0], mqtt.Connect{Version: mqtt.V311, CleanStart: true, ClientID: "watcher"})
	send(t, conn, &mqtt.Subscribe{PacketID: 1, Subscriptions: []mqtt.Subscription{{Filter: "$SYS/broker/log/#"}}})
	if suback, ok := receive(t, conn).(*mqtt.Suback); !ok || suback.PacketID != 1 {
		t.Fatalf("got %+v", suback)
	}
	log.PublishTo(s.Broker())
	log.Debug("not published")
	log.Warn("careful")
	// Lines of before may be among the first ones: the sink publishes from when it is told.
	for {
		p, ok := receive(t, conn).(*mqtt.Publish)
		if !ok {
			t.Fatal("something else than a PUBLISH")
		}
		if string(p.Topic) == "$SYS/broker/log/W" {
			if string(p.Payload) != "Warning: careful" || p.Retain {
				t.Errorf("got %q, retain %v", p.Payload, p.Retain)
			}
			return
		}
	}
}
