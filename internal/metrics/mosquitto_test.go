package metrics_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/internal/metrics"
	"github.com/uniomq/unio/internal/testenv"
	"github.com/uniomq/unio/mqtt"
)

// patience bounds every wait for an event; what works takes a small part of it.
const patience = 30 * time.Second

// ours are the topics that Mosquitto 2.0 does not have: 2.1 brought the first three, the
// others are in 2.0's manual alone.
var ours = []string{
	"$SYS/broker/connections/socket/count", "$SYS/broker/packet/out/count", "$SYS/broker/packet/out/bytes",
	"$SYS/broker/heap/current size", "$SYS/broker/heap/maximum size",
}

// startMosquitto starts Debian's mosquitto and returns its address.
func startMosquitto(t *testing.T) string {
	t.Helper()
	addr := fmt.Sprintf("127.0.0.1:%d", testenv.FreePort(t))
	p := testenv.Mosquitto(t, testenv.Program(t, "mosquitto", "mosquitto"),
		"listener "+strings.TrimPrefix(addr, "127.0.0.1:")+" 127.0.0.1", "allow_anonymous true", "sys_interval 1")
	t.Cleanup(func() { t.Log(p.Text()) })
	return addr
}

// startUnio serves a broker with its tree on a loopback port.
func startUnio(t *testing.T) string {
	t.Helper()
	b, err := broker.New(broker.Options{})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	sys := metrics.New(metrics.Options{Broker: b, Interval: time.Second, Version: "1.2.3"})
	sys.Start()
	served := make(chan error, 1)
	go func() { served <- b.Serve(l) }()
	t.Cleanup(func() {
		sys.Close()
		if err := b.Shutdown(context.Background()); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		if err := <-served; !errors.Is(err, broker.ErrClosed) {
			t.Errorf("serve: %v", err)
		}
	})
	return l.Addr().String()
}

func dial(t *testing.T, addr string, p mqtt.Connect) *client {
	t.Helper()
	nc, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return connect(t, nc, p)
}

// follow reads a tree until the values that are wanted have come.
func follow(t *testing.T, c *client, want map[string]string) map[string]message {
	t.Helper()
	c.subscribe(2, "$SYS/#")
	seen := map[string]message{}
	deadline := time.After(patience)
	for {
		select {
		case m, ok := <-c.messages:
			if !ok {
				t.Fatal("the broker closed the connection")
			}
			seen[m.topic] = m
		case <-deadline:
			for name, value := range want {
				if got := seen["$SYS/broker/"+name].value; got != value {
					t.Errorf("%s is %q, want %q", name, got, value)
				}
			}
			t.FailNow()
		}
		if holds(seen, want) {
			return seen
		}
	}
}

func holds(seen map[string]message, want map[string]string) bool {
	for name, value := range want {
		if seen["$SYS/broker/"+name].value != value {
			return false
		}
	}
	return true
}

// TestSameTreeAsMosquitto has both brokers live through the same, and compares their trees: the topics, how values look, QoS, RETAIN, and
// those values that do not depend on time or on what the tree itself costs.
func TestSameTreeAsMosquitto(t *testing.T) {
	t.Parallel()
	brokers := map[string]string{"mosquitto": startMosquitto(t), "unio": startUnio(t)}
	trees := map[string]map[string]message{}
	for name, addr := range brokers {
		t.Run(name, func(t *testing.T) { trees[name] = liveThrough(t, addr) })
	}
	if t.Failed() {
		return
	}
	var extra []string
	for topic := range trees["unio"] {
		if _, ok := trees["mosquitto"][topic]; !ok {
			extra = append(extra, topic)
		}
	}
	slices.Sort(extra)
	for _, topic := range extra {
		if !slices.Contains(ours, topic) && !slices.Contains(own(), strings.TrimPrefix(topic, "$SYS/broker/")) {
			t.Errorf("%s is not in Mosquitto's tree", topic)
		}
	}
	for topic, m := range trees["mosquitto"] {
		o, ok := trees["unio"][topic]
		if !ok {
			t.Errorf("%s is missing", topic)
			continue
		}
		for name, value := range map[string]string{"mosquitto": m.value, "unio": o.value} {
			if want := format(topic); !want.MatchString(value) {
				t.Errorf("%s: %s says %q, which does not match %s", name, topic, value, want)
			}
		}
		if m.retain != o.retain || m.qos != o.qos {
			t.Errorf("%s: %+v, Mosquitto %+v", topic, o, m)
		}
	}
}

// liveThrough is what happens to both brokers. It returns the tree.
func liveThrough(t *testing.T, addr string) map[string]message {
	away := mqtt.Connect{ClientID: "away"}
	away.Properties.SetSessionExpiry(3600)
	first, c := dial(t, addr, away), dial(t, addr, mqtt.Connect{CleanStart: true})
	first.subscribe(0, "nothing/+", "$SYS/broker/clients/maximum")
	for m := range first.messages { // the broker knows both
		if m.value == "2" {
			break
		}
	}
	_ = first.nc.Close()
	c.send(&mqtt.Subscribe{PacketID: 2, Subscriptions: []mqtt.Subscription{{Filter: "$share/g/b"}, {Filter: "$share/h/b"}}})
	for range 3 {
		c.publish("nobody", "hello", 0)
	}
	return follow(t, c, map[string]string{
		"clients/total": "2", "clients/connected": "1", "clients/active": "1", "clients/disconnected": "1", "clients/inactive": "1",
		"clients/maximum": "2", "clients/expired": "0",
		"publish/messages/received": "3", "publish/bytes/received": "15", "publish/messages/dropped": "0",
		"subscriptions/count": "3", "shared_subscriptions/count": "2",
		"load/publish/dropped/1min": "0.00", "load/publish/received/15min": "0.20",
	})
}
