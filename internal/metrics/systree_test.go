package metrics_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/internal/memnet"
	"github.com/uniomq/unio/internal/metrics"
	"github.com/uniomq/unio/mqtt"
)

const interval = 10 * time.Second

// bench is a broker with its tree, in virtual time.
type bench struct {
	t   *testing.T
	b   *broker.Broker
	l   *memnet.Listener
	sys *metrics.SysTree
}

// inBubble runs a test with a broker. The bubble fails if a goroutine is left when it ends.
func inBubble(t *testing.T, every time.Duration, test func(*bench)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, err := broker.New(broker.Options{})
		if err != nil {
			t.Fatal(err)
		}
		x := &bench{t: t, b: b, l: memnet.Listen(), sys: metrics.New(metrics.Options{Broker: b, Interval: every, Version: "1.2.3"})}
		x.sys.Start()
		served := make(chan error, 1)
		go func() { served <- b.Serve(x.l) }()
		t.Cleanup(func() {
			x.sys.Close()
			if err := b.Shutdown(context.Background()); err != nil {
				t.Errorf("shutdown: %v", err)
			}
			if err := <-served; !errors.Is(err, broker.ErrClosed) {
				t.Errorf("serve: %v", err)
			}
		})
		test(x)
	})
}

func (x *bench) connect(p mqtt.Connect) *client {
	x.t.Helper()
	nc, err := x.l.Dial()
	if err != nil {
		x.t.Fatal(err)
	}
	c := connect(x.t, nc, p)
	synctest.Wait()
	return c
}

func (x *bench) watch(filters ...string) *client {
	x.t.Helper()
	c := x.connect(mqtt.Connect{CleanStart: true})
	c.subscribe(0, filters...)
	return c
}

// arrived waits until nothing moves any more and returns what c got since the last call.
func arrived(c *client) []message {
	synctest.Wait()
	var all []message
	for {
		select {
		case m := <-c.messages:
			all = append(all, m)
		default:
			return all
		}
	}
}

// tree reads the whole tree with a client of its own, at one instant.
func (x *bench) tree() map[string]string {
	synctest.Wait() // a refresh that is due at this moment must not count the client that looks
	x.t.Helper()
	c := x.connect(mqtt.Connect{CleanStart: true})
	c.subscribe(0, "$SYS/#")
	values := map[string]string{}
	for _, m := range arrived(c) {
		values[m.topic] = m.value
	}
	_ = c.nc.Close()
	synctest.Wait()
	return values
}

func (x *bench) expect(values map[string]string, want map[string]string) {
	x.t.Helper()
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if got := values["$SYS/broker/"+name]; got != want[name] {
			x.t.Errorf("%s is %q, want %q", name, got, want[name])
		}
	}
}

func TestFirstClientFindsTheWholeTreeRetained(t *testing.T) {
	inBubble(t, interval, func(x *bench) {
		c := x.connect(mqtt.Connect{CleanStart: true})
		c.subscribe(0, "$SYS/#")
		var names []string
		for _, m := range arrived(c) {
			names = append(names, m.topic)
			if !m.retain {
				t.Errorf("%s is not retained", m.topic)
			}
			if want := format(m.topic); !want.MatchString(m.value) {
				t.Errorf("%s is %q, which does not match %s", m.topic, m.value, want)
			}
		}
		slices.Sort(names)
		if want := topics(); !slices.Equal(names, want) {
			t.Errorf("topics:\n%s\nwant:\n%s", strings.Join(names, "\n"), strings.Join(want, "\n"))
		}
	})
}

func TestIdleBrokerSaysSo(t *testing.T) {
	inBubble(t, interval, func(x *bench) {
		time.Sleep(3 * interval)
		values := x.tree()
		x.expect(values, map[string]string{
			"version": "unio version 1.2.3", "uptime": "30 seconds", "clients/total": "0", "clients/active": "0",
			"clients/inactive": "0", "messages/received": "0", "bytes/sent": "0", "subscriptions/count": "0",
			"load/connections/1min": "0.00", "publish/messages/dropped": "0",
			"retained messages/count": fmt.Sprint(len(topics())), "messages/stored": fmt.Sprint(len(topics())),
		})
	})
}

func TestOnlyWhatChangedIsPublished(t *testing.T) {
	inBubble(t, interval, func(x *bench) {
		c := x.watch("$SYS/broker/uptime", "$SYS/broker/version", "$SYS/broker/clients/#", "$SYS/broker/load/sockets/+")
		arrived(c)
		time.Sleep(interval)
		want := []string{
			"uptime 10 seconds", "load/sockets/1min 0.92", "load/sockets/5min 0.20", "load/sockets/15min 0.07",
			"clients/total 1", "clients/maximum 1", "clients/connected 1", "clients/active 1",
		}
		for _, m := range arrived(c) {
			text := strings.TrimPrefix(m.topic, "$SYS/broker/") + " " + m.value
			if i := slices.Index(want, text); i < 0 {
				t.Errorf("unexpected: %s", text)
			} else {
				want = slices.Delete(want, i, i+1)
			}
		}
		if len(want) > 0 {
			t.Errorf("missing: %q", want)
		}
		time.Sleep(time.Hour)
		arrived(c)
		for i := range 3 {
			time.Sleep(interval)
			got := arrived(c)
			if text := fmt.Sprintf("%d seconds", 3600+20+10*i); len(got) != 1 || got[0].value != text {
				t.Errorf("got %v, want the uptime alone, %q", got, text)
			}
		}
	})
}

func TestValuesArePublishedAtQoS2AndRetained(t *testing.T) {
	inBubble(t, interval, func(x *bench) {
		c := x.connect(mqtt.Connect{CleanStart: true})
		c.subscribe(2, "$SYS/broker/uptime")
		arrived(c)
		time.Sleep(interval)
		want := message{"$SYS/broker/uptime", "10 seconds", 2, true}
		if got := arrived(c); len(got) != 1 || got[0] != want {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

func TestWildcardsOfOrdinaryTopicsDoNotMatch(t *testing.T) {
	inBubble(t, interval, func(x *bench) {
		c := x.watch("#", "+/broker/uptime", "+/#")
		time.Sleep(5 * interval)
		if got := arrived(c); len(got) != 0 {
			t.Errorf("got %v", got)
		}
	})
}

func TestTrafficIsCounted(t *testing.T) {
	inBubble(t, interval, func(x *bench) {
		sub, pub := x.watch("a/+", "$share/g/b", "$share/g/c"), x.connect(mqtt.Connect{CleanStart: true})
		for range 3 {
			pub.publish("a/b", "hello", 1)
		}
		pub.publish("nobody", "12345678", 0)
		synctest.Wait()
		wrote, read := sub.wrote+pub.wrote, sub.read.Load()+pub.read.Load()
		time.Sleep(interval)
		x.expect(x.tree(), map[string]string{
			"messages/received": fmt.Sprint(2 + 1 + 4), // CONNECT, SUBSCRIBE, PUBLISH
			"messages/sent":     fmt.Sprint(2 + 1 + 3 + 3),
			"bytes/received":    fmt.Sprint(wrote), "bytes/sent": fmt.Sprint(read),
			"publish/messages/received": "4", "publish/messages/sent": "3",
			"publish/bytes/received": "23", "publish/bytes/sent": "15", "publish/messages/dropped": "0",
			"connections/socket/count": "2", "subscriptions/count": "1", "shared_subscriptions/count": "2",
		})
	})
}

func TestClientsAreCounted(t *testing.T) {
	inBubble(t, interval, func(x *bench) {
		stored := mqtt.Connect{ClientID: "stored"}
		stored.Properties.SetSessionExpiry(60)
		leaving := x.connect(stored)
		x.connect(mqtt.Connect{CleanStart: true})
		_ = leaving.nc.Close()
		time.Sleep(interval)
		x.expect(x.tree(), map[string]string{
			"clients/total": "2", "clients/connected": "1", "clients/active": "1", "clients/disconnected": "1",
			"clients/inactive": "1", "clients/maximum": "2", "clients/expired": "0",
		})
		time.Sleep(time.Minute)
		x.expect(x.tree(), map[string]string{
			"clients/total": "1", "clients/connected": "1", "clients/disconnected": "0", "clients/maximum": "2", "clients/expired": "1",
		})
	})
}

func TestRetainedMessagesAreCounted(t *testing.T) {
	inBubble(t, interval, func(x *bench) {
		time.Sleep(3 * interval)
		pub := x.connect(mqtt.Connect{CleanStart: true})
		pub.send(&mqtt.Publish{Topic: []byte("kept"), Payload: []byte("0123456789"), Retain: true})
		time.Sleep(interval - time.Second)
		bytes := x.b.Stats().RetainedBytes // the refresh itself changes them
		if bytes < 10 {
			t.Errorf("%d bytes retained", bytes)
		}
		time.Sleep(time.Second)
		count := fmt.Sprint(len(topics()) + 1)
		x.expect(x.tree(), map[string]string{
			"retained messages/count": count, "store/messages/count": count, "messages/stored": count, "store/messages/bytes": fmt.Sprint(bytes),
		})
	})
}

// TestDroppedMessagesAreCounted fills the queue of a client that is away.
func TestDroppedMessagesAreCounted(t *testing.T) {
	inBubble(t, interval, func(x *bench) {
		away := mqtt.Connect{ClientID: "away"}
		away.Properties.SetSessionExpiry(3600)
		c := x.connect(away)
		c.subscribe(1, "a")
		synctest.Wait()
		_ = c.nc.Close()
		pub := x.connect(mqtt.Connect{CleanStart: true})
		const over = 7
		for range 1000 + over {
			pub.publish("a", "x", 1)
			synctest.Wait()
		}
		time.Sleep(interval)
		dropped := x.b.Stats().Dropped[broker.DropQueueFull]
		if dropped < over-5 || dropped > over {
			t.Fatalf("%d messages dropped", dropped)
		}
		x.expect(x.tree(), map[string]string{"publish/messages/dropped": fmt.Sprint(dropped)})
	})
}

// TestLoadsConverge publishes once per second for a quarter of an hour: an average over a window w has then come to
// 60*(1-exp(-900/w)).
func TestLoadsConverge(t *testing.T) {
	inBubble(t, interval, func(x *bench) {
		pub := x.connect(mqtt.Connect{CleanStart: true})
		for i := range 900 {
			time.Sleep(time.Second / 2)
			pub.publish("a", "x", 0)
			time.Sleep(time.Second / 2)
			if i == 59 {
				x.expect(x.tree(), map[string]string{"load/publish/received/1min": "37.93"}) // 60*(1-1/e)
			}
		}
		x.expect(x.tree(), map[string]string{
			"load/publish/received/1min": "60.00", "load/publish/received/5min": "57.01", "load/publish/received/15min": "37.93",
		})
		time.Sleep(4 * time.Hour)
		for name, value := range x.tree() {
			if strings.HasPrefix(name, "$SYS/broker/load/") && value != "0.00" {
				t.Errorf("%s is %s, hours after the last packet", name, value)
			}
		}
	})
}

func TestIntervalZeroIsOff(t *testing.T) {
	inBubble(t, 0, func(x *bench) {
		time.Sleep(time.Hour)
		if got := x.tree(); len(got) != 0 {
			t.Errorf("got %v", got)
		}
	})
}

func TestIntervalChanges(t *testing.T) {
	inBubble(t, 0, func(x *bench) {
		c := x.watch("$SYS/broker/uptime")
		expect := func(after time.Duration, want ...string) {
			t.Helper()
			time.Sleep(after)
			var got []string
			for _, m := range arrived(c) {
				got = append(got, m.value)
			}
			if !slices.Equal(got, want) {
				t.Errorf("after %v: %q, want %q", after, got, want)
			}
		}
		expect(30 * time.Second)
		x.sys.SetInterval(10 * time.Second)
		expect(25*time.Second, "30 seconds", "40 seconds", "50 seconds")
		x.sys.SetInterval(20 * time.Second)
		expect(25*time.Second, "75 seconds")
		x.sys.SetInterval(0)
		expect(time.Hour)
		x.sys.SetInterval(time.Minute)
		expect(time.Minute, "3680 seconds", "3740 seconds")
	})
}

func TestCloseEndsIt(t *testing.T) {
	inBubble(t, interval, func(x *bench) {
		c := x.watch("$SYS/broker/uptime")
		arrived(c)
		x.sys.Close()
		x.sys.SetInterval(time.Second)
		x.sys.Close()
		time.Sleep(5 * interval)
		if got := arrived(c); len(got) != 0 {
			t.Errorf("got %v", got)
		}
	})
}
