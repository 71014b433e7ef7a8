package broker_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/mqtt"
	"github.com/uniomq/unio/store"
)

// login is an Authenticator that lets everybody in, and believes who has a password.
type login struct{ passwords }

func (login) Authenticate(_ context.Context, c *broker.Client, password []byte) error {
	c.LoggedIn = password != nil
	return nil
}

// tellers are clients that want to tell the state of a bridge. may says whether they may where
// there are no rules.
func tellers() []teller {
	named := func(p mqtt.Connect) mqtt.Connect {
		p.HasUsername, p.Username = true, "bridge"
		return p
	}
	loggedIn := named(clean("login"))
	loggedIn.HasPassword, loggedIn.Password = true, []byte("x")
	return []teller{
		{"anonymous, 5.0", clean("anonymous5"), false},
		{"a name that nobody checked, 5.0", named(clean("named5")), false},
		{"anonymous, 3.1.1", mqtt.Connect{Version: mqtt.V311, ClientID: "anonymous4", CleanStart: true}, false},
		{"the bridge bit, 3.1.1", mqtt.Connect{Version: mqtt.V311, ClientID: "bridge4", CleanStart: true, Bridge: true}, true},
		{"the bridge bit, 3.1", mqtt.Connect{Version: mqtt.V31, ClientID: "bridge3", CleanStart: true, Bridge: true}, true},
		{"logged in, 5.0", loggedIn, true},
	}
}

type teller struct {
	name string
	p    mqtt.Connect
	may  bool
}

// publishOn publishes a retained message at QoS 1, which the broker must acknowledge.
func (c *client) publishOn(topic string) mqtt.ReasonCode {
	c.t.Helper()
	c.send(&mqtt.Publish{QoS: 1, PacketID: 1, Retain: true, Topic: []byte(topic), Payload: []byte("1")})
	ack, ok := c.read().(*mqtt.Ack)
	if !ok {
		c.t.Fatalf("no PUBACK for %q", topic)
	}
	return ack.Reason
}

// reserved are topics that nobody but the broker publishes on.
var reserved = []string{
	"$SYS", "$SYS/", "$SYS/broker/uptime", "$SYS/broker/connection", "$SYS/broker/connection/", "$SYS/broker/connection/x", "$SYS/broker/connection/state",
	"$SYS/broker/connection//state", "$SYS/broker/connection/x/y/state", "$SYS/broker/connection/x/state/y", "$SYS/broker/connection/x/State",
}

func TestWhoTellsTheStateOfABridge(t *testing.T) {
	for _, c := range tellers() {
		t.Run(c.name, func(t *testing.T) {
			b, l := serve(t, broker.Options{Authenticator: login{}})
			watch, _ := connect(t, l, clean("watch"))
			for _, filter := range []string{"$SYS", "$SYS/#"} {
				watch.subscribe(filter)
			}
			state := func(id string) string { return "$SYS/broker/connection/" + id + "/state" }
			p := c.p
			p.Will = &mqtt.Will{Topic: state("will"), QoS: 1, Retain: true, Payload: []byte("0")}
			bridge, ack := connect(t, l, p)
			if ack.Reason != mqtt.Success {
				t.Fatalf("the connection is refused: %v", ack.Reason)
			}
			want := mqtt.Success
			if !c.may && p.Version == mqtt.V5 {
				want = mqtt.NotAuthorized
			}
			if code := bridge.publishOn(state("x")); code != want {
				t.Errorf("PUBACK: %v, want %v", code, want)
			}
			for _, name := range reserved {
				_ = bridge.publishOn(name)
			}
			bridge.quiet()
			_ = bridge.nc.Close()
			for b.Stats().Sessions > 1 { // the will goes before
				runtime.Gosched()
			}
			var got []string
			for _, m := range watch.messages() {
				got = append(got, string(m.Topic)+string(m.Payload))
			}
			all := "[]"
			if c.may {
				all = fmt.Sprint([]string{state("x") + "1", state("will") + "0"})
			}
			if fmt.Sprint(got) != all {
				t.Errorf("got %v, want %v", got, all)
			}
			if n := b.Stats(); (n.Retained > 0) != c.may || n.Dropped[broker.DropUnauthorized] < int64(len(reserved)) {
				t.Errorf("%d retained, dropped %v", n.Retained, n.Dropped)
			}
		})
	}
}

// TestRulesDecideOnTheStateOfABridge has an Authorizer, which is asked instead.
func TestRulesDecideOnTheStateOfABridge(t *testing.T) {
	for allow, want := range map[bool]mqtt.ReasonCode{true: mqtt.NoMatchingSubscribers, false: mqtt.NotAuthorized} {
		_, l := serve(t, broker.Options{Authorizer: authorizer(func(a broker.Access) bool { return allow || a.Action == broker.ActionConnect })})
		p := clean("anonymous")
		p.Will = &mqtt.Will{Topic: "$SYS/broker/connection/x/state"}
		c, ack := connect(t, l, p)
		if ack.Reason != mqtt.Success {
			t.Fatalf("the connection is refused: %v", ack.Reason)
		}
		if code := c.publishOn("$SYS/broker/connection/x/state"); code != want {
			t.Errorf("%v, want %v", code, want)
		}
		if code := c.publishOn("$SYS/broker/uptime"); code != mqtt.NotAuthorized {
			t.Errorf("below $SYS: %v", code)
		}
	}
}

// TestControlIsNeverAnOrdinaryMessage has nobody who takes requests.
func TestControlIsNeverAnOrdinaryMessage(t *testing.T) {
	b, l := serve(t, broker.Options{})
	watch, _ := connect(t, l, clean("watch"))
	for _, filter := range []string{"$CONTROL", "$CONTROL/#", "$CONTROLS"} {
		watch.subscribe(filter)
	}
	for _, name := range []string{"$CONTROL", "$CONTROL/", "$CONTROL/x/v1", "$CONTROL/dynamic-security/v1/response"} {
		pub, _ := connect(t, l, clean("pub"))
		if code := pub.publishOn(name); code != mqtt.NotAuthorized {
			t.Errorf("%s: %v", name, code)
		}
		p := clean("will")
		p.Will = &mqtt.Will{Topic: name, Payload: []byte("x")}
		if _, ack := connect(t, l, p); ack.Reason != mqtt.NotAuthorized {
			t.Errorf("will to %s: %v", name, ack.Reason)
		}
	}
	watch.quiet()
	if n := b.Stats().Retained; n != 0 {
		t.Errorf("%d retained", n)
	}
	pub, _ := connect(t, l, clean("pub"))
	if code := pub.publishOn("$CONTROLS"); code != mqtt.Success {
		t.Errorf("$CONTROLS: %v", code)
	}
	if m := watch.message(); string(m.Topic) != "$CONTROLS" {
		t.Errorf("got %s", m.Topic)
	}
}

// TestRetainedStateOfABridgeOutlastsIt has check_retain_source, which asks about a client that is
// gone.
func TestRetainedStateOfABridgeOutlastsIt(t *testing.T) {
	z := authorizer(broker.WithoutRules)
	b, l := serve(t, broker.Options{Authorizer: z, Limits: broker.Limits{CheckRetainSource: true}})
	bridge, _ := connect(t, l, mqtt.Connect{Version: mqtt.V311, ClientID: "bridge", CleanStart: true, Bridge: true})
	_ = bridge.publishOn("$SYS/broker/connection/x/state")
	_ = bridge.nc.Close()
	for b.Stats().Sessions > 0 {
		runtime.Gosched()
	}
	_ = b.Publish(&store.Message{Topic: "$SYS/broker/uptime", Payload: []byte("1"), Retain: true})
	watch, _ := connect(t, l, clean("watch"))
	watch.subscribe("$SYS/#")
	if got := len(watch.messages()); got != 2 {
		t.Errorf("%d retained messages came, want 2", got)
	}
}
