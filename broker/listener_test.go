package broker_test

import (
	"slices"
	"testing"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/internal/memnet"
	"github.com/uniomq/unio/mqtt"
	"github.com/uniomq/unio/store"
)

// listenWith serves one more listener, with options.
func listenWith(t *testing.T, b *broker.Broker, o broker.ListenerOptions) *memnet.Listener {
	t.Helper()
	l := memnet.Listen()
	served := make(chan error, 1)
	go func() { served <- b.ServeListener(l, o) }()
	t.Cleanup(func() {
		_ = l.Close()
		if err := <-served; err == nil {
			t.Error("serving ended without an error")
		}
	})
	return l
}

func TestMountPointIsSeenOnlyInside(t *testing.T) {
	b, outside := serve(t, broker.Options{Authorizer: authorizer(func(a broker.Access) bool { return string(a.Topic) != "site/secret" })})
	inside := listenWith(t, b, broker.ListenerOptions{MountPoint: "site/"})
	out, _ := connect(t, outside, clean("out"))
	out.subscribe("#")
	in, _ := connect(t, inside, clean("in"))
	in.subscribe("+")
	shared, _ := connect(t, inside, clean("shared"))
	shared.subscribe("$share/g/+")

	if code := in.publish("secret", "x"); code != mqtt.NotAuthorized {
		t.Errorf("the authorizer did not see the mounted topic: %v", code)
	}
	out.send(&mqtt.Publish{Topic: []byte("site/a"), Payload: []byte("x")})
	if m := in.message(); string(m.Topic) != "a" {
		t.Errorf("inside came %q", m.Topic)
	}
	if m := shared.message(); string(m.Topic) != "a" {
		t.Errorf("in the shared group came %q", m.Topic)
	}
	if m := out.message(); string(m.Topic) != "site/a" {
		t.Errorf("outside came %q", m.Topic)
	}
	out.send(&mqtt.Publish{Topic: []byte("a"), Payload: []byte("x")})
	out.message()
	in.quiet()
	in.send(&mqtt.Unsubscribe{PacketID: 1, Filters: []string{"+"}})
	if ack := in.read().(*mqtt.Unsuback); ack.Reasons[0] != mqtt.Success {
		t.Errorf("unsubscribe: %v", ack.Reasons)
	}

	p := clean("will")
	p.Will = &mqtt.Will{Topic: "gone", Payload: []byte("x")}
	will, _ := connect(t, inside, p)
	_ = will.nc.Close()
	if m := out.message(); string(m.Topic) != "site/gone" {
		t.Errorf("the will came on %q", m.Topic)
	}
}

func TestListenerDecidesWhoMayConnect(t *testing.T) {
	b, _ := serve(t, broker.Options{})
	user := func(p mqtt.Connect, name string) mqtt.Connect {
		p.HasUsername, p.Username = true, name
		return p
	}
	old := mqtt.Connect{Version: mqtt.V311, ClientID: "c", CleanStart: true}
	for name, c := range map[string]struct {
		o    broker.ListenerOptions
		p    mqtt.Connect
		want mqtt.ReasonCode
	}{
		"anonymous refused":             {broker.ListenerOptions{RefuseAnonymous: true}, clean("c"), mqtt.NotAuthorized},
		"named accepted":                {broker.ListenerOptions{RefuseAnonymous: true}, user(clean("c"), "u"), mqtt.Success},
		"id without prefix refused":     {broker.ListenerOptions{ClientIDPrefixes: []string{"a-", "b-"}}, clean("c"), mqtt.NotAuthorized},
		"id with prefix accepted":       {broker.ListenerOptions{ClientIDPrefixes: []string{"a-", "b-"}}, clean("b-c"), mqtt.Success},
		"version refused":               {broker.ListenerOptions{Versions: []mqtt.Version{mqtt.V311}}, clean("c"), mqtt.UnsupportedProtocolVersion},
		"old version refused":           {broker.ListenerOptions{Versions: []mqtt.Version{mqtt.V5}}, old, mqtt.UnsupportedProtocolVersion},
		"version accepted":              {broker.ListenerOptions{Versions: []mqtt.Version{mqtt.V311}}, old, mqtt.Success},
		"user name as id needs one":     {broker.ListenerOptions{UsernameAsClientID: true}, clean("c"), mqtt.NotAuthorized},
		"user name as id has precedent": {broker.ListenerOptions{UsernameAsClientID: true}, user(clean("c"), "named"), mqtt.Success},
		"empty id refused":              {broker.ListenerOptions{RefuseEmptyClientID: true}, clean(""), mqtt.ClientIdentifierNotValid},
	} {
		t.Run(name, func(t *testing.T) {
			l := listenWith(t, b, c.o)
			conn, ack := connect(t, l, c.p)
			if ack.Reason != c.want {
				t.Errorf("got %v, want %v", ack.Reason, c.want)
			}
			if c.o.UsernameAsClientID && c.want == mqtt.Success && !b.Disconnect("named", mqtt.AdministrativeAction) {
				t.Error("the user name is not the client id")
			}
			_ = conn.nc.Close()
		})
	}
}

func TestMaxConnectionsOfAListener(t *testing.T) {
	b, other := serve(t, broker.Options{})
	l := listenWith(t, b, broker.ListenerOptions{MaxConnections: 2})
	connect(t, l, clean("a"))
	connect(t, l, clean("b"))
	if _, ack := connect(t, l, clean("c")); ack.Reason != mqtt.ServerBusy {
		t.Errorf("the third got %v", ack.Reason)
	}
	if _, ack := connect(t, other, clean("c")); ack.Reason != mqtt.Success {
		t.Errorf("another listener's client got %v", ack.Reason)
	}
}

func TestReconfigureHoldsForWhatComes(t *testing.T) {
	b, l := serve(t, broker.Options{})
	before, _ := connect(t, l, clean("before"))
	before.subscribe("t")
	b.Reconfigure(broker.Options{
		Authorizer: authorizer(func(a broker.Access) bool { return a.Action != broker.ActionPublish }),
		Limits:     broker.Limits{MaxInflight: 7},
	})
	b.ReconfigureListener(l, broker.ListenerOptions{ClientIDPrefixes: []string{"after"}})
	if code := before.publish("t", "x"); code != mqtt.NotAuthorized {
		t.Errorf("a publish under the new rules got %v", code)
	}
	after, ack := connect(t, l, clean("after"))
	if ack.Reason != mqtt.Success || ack.Properties.ReceiveMaximum != 7 {
		t.Errorf("a new client got %v, receive maximum %d", ack.Reason, ack.Properties.ReceiveMaximum)
	}
	if _, ack := connect(t, l, clean("other")); ack.Reason != mqtt.NotAuthorized {
		t.Errorf("a client against the listener's new rules got %v", ack.Reason)
	}
	after.subscribe("u")
	var ids, filters []string
	for _, c := range b.Clients() {
		ids = append(ids, c.ID)
	}
	b.WalkSubscriptions(func(id string, s store.Subscription) bool {
		filters = append(filters, id+" "+s.Filter)
		return true
	})
	slices.Sort(ids)
	slices.Sort(filters)
	if !slices.Equal(ids, []string{"after", "before"}) || !slices.Equal(filters, []string{"after u", "before t"}) {
		t.Errorf("clients %q, subscriptions %q", ids, filters)
	}
}

func TestCountersFollowTheTraffic(t *testing.T) {
	b, l := serve(t, broker.Options{})
	c, _ := connect(t, l, clean("c"))
	c.subscribe("$share/g/t")
	c.send(&mqtt.Publish{Retain: true, Topic: []byte("t"), Payload: []byte("12345")})
	c.message()
	c.quiet()
	n := b.Stats()
	got := []int64{
		n.Connections, n.ConnectionsMax, n.Sessions, n.Accepted, n.Subscriptions, n.SharedSubscriptions, n.Retained, n.RetainedBytes,
		n.Received, n.Sent, n.PublishBytesReceived, n.PublishBytesSent, n.PacketsReceived,
	}
	if want := []int64{1, 1, 1, 1, 1, 1, 1, 5, 1, 1, 5, 5, 4}; !slices.Equal(got, want) {
		t.Errorf("counters are %v, want %v", got, want)
	}
	c.send(&mqtt.Publish{Retain: true, Topic: []byte("t")})
	c.message()
	c.send(&mqtt.Unsubscribe{PacketID: 1, Filters: []string{"$share/g/t"}})
	c.read()
	if n := b.Stats(); n.Retained != 0 || n.RetainedBytes != 0 || n.SharedSubscriptions != 0 || n.Subscriptions != 0 {
		t.Errorf("after clearing: %+v", n)
	}
}
