package broker_test

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/mqtt"
)

// denials collects what Events.Denied tells.
type denials struct {
	mu  sync.Mutex
	all []broker.Access
}

func (d *denials) add(a broker.Access) {
	d.mu.Lock()
	defer d.mu.Unlock()
	a.Topic = slices.Clone(a.Topic)
	d.all = append(d.all, a)
}

// explained serves a broker that denies what has to do with "secret" and explains it.
func explained(t *testing.T, text string) (o broker.Options, d *denials) {
	t.Helper()
	d = &denials{}
	return broker.Options{
		Authorizer: authorizer(func(a broker.Access) bool {
			return !strings.HasPrefix(string(a.Topic), "secret") && (a.Action != broker.ActionConnect || a.Client.ID != "unwanted")
		}),
		Explain: func(a broker.Access) string { return text + string(a.Topic) },
		Events:  broker.Events{Denied: d.add},
	}, d
}

func reasonOf(p mqtt.Packet) string {
	switch p := p.(type) {
	case *mqtt.Connack:
		return string(p.Properties.ReasonString)
	case *mqtt.Ack:
		return string(p.Properties.ReasonString)
	case *mqtt.Suback:
		return string(p.Properties.ReasonString)
	case *mqtt.Unsuback:
		return string(p.Properties.ReasonString)
	case *mqtt.Disconnect:
		return string(p.Properties.ReasonString)
	}
	return "?"
}

// deniedPackets are denied, each with an acknowledgement.
func deniedPackets() map[string]mqtt.Packet {
	return map[string]mqtt.Packet{
		"PUBACK":   &mqtt.Publish{QoS: 1, PacketID: 1, Topic: []byte("secret")},
		"PUBREC":   &mqtt.Publish{QoS: 2, PacketID: 2, Topic: []byte("secret")},
		"SUBACK":   &mqtt.Subscribe{PacketID: 3, Subscriptions: []mqtt.Subscription{{Filter: "open"}, {Filter: "secret"}, {Filter: "secret/2"}}},
		"UNSUBACK": &mqtt.Unsubscribe{PacketID: 4, Filters: []string{"open", "secret"}},
	}
}

func TestDeniedClientsAreToldWhy(t *testing.T) {
	o, d := explained(t, "rule 7: ")
	b, l := serve(t, o)
	c, _ := connect(t, l, clean("c"))
	for name, p := range deniedPackets() {
		c.send(p)
		if got := reasonOf(c.read()); got != "rule 7: secret" {
			t.Errorf("%s says %q", name, got)
		}
	}
	c.send(&mqtt.Publish{QoS: 1, PacketID: 1, Topic: []byte("elsewhere")})
	if got := reasonOf(c.read()); got != "" {
		t.Errorf("what is allowed is explained by %q", got)
	}
	will := clean("w")
	will.Will = &mqtt.Will{Topic: "secret"}
	if _, ack := connect(t, l, will); reasonOf(ack) != "rule 7: secret" {
		t.Errorf("CONNACK for the will says %q", reasonOf(ack))
	}
	if _, ack := connect(t, l, clean("unwanted")); reasonOf(ack) != "rule 7: " || ack.Reason != mqtt.NotAuthorized {
		t.Errorf("CONNACK says %v, %q", ack.Reason, reasonOf(ack))
	}
	b.Disconnect("c", broker.WithReason(mqtt.NotAuthorized, "not any more"))
	if p := c.read(); reasonOf(p) != "not any more" {
		t.Errorf("the connection ended with %+v", p)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	count := map[broker.Action]int{}
	for _, a := range d.all {
		count[a.Action]++
	}
	for action, want := range map[broker.Action]int{
		broker.ActionPublish: 2, broker.ActionSubscribe: 2, broker.ActionUnsubscribe: 1, broker.ActionWill: 1, broker.ActionConnect: 1,
	} {
		if count[action] != want {
			t.Errorf("action %d: %d denials were told, want %d", action, count[action], want)
		}
	}
}

// A client that wants none, or has no room for one, gets no reason string.
func TestNoReasonStringForWhoDoesNotWantOne(t *testing.T) {
	terse := clean("c")
	terse.Properties.SetRequestProblemInfo(false)
	small := clean("c")
	small.Properties.SetMaximumPacketSize(100)
	old := clean("c")
	old.Version = mqtt.V311
	for name, p := range map[string]mqtt.Connect{"terse": terse, "small": small, "old": old} {
		t.Run(name, func(t *testing.T) {
			o, _ := explained(t, strings.Repeat("because ", 20))
			_, l := serve(t, o)
			c, _ := connect(t, l, p)
			for kind, packet := range deniedPackets() {
				c.send(packet)
				if got := reasonOf(c.read()); got != "" {
					t.Errorf("%s says %q", kind, got)
				}
			}
		})
	}
}

func TestReasonStringsAreBounded(t *testing.T) {
	o, _ := explained(t, "\x00\xff"+strings.Repeat("ä", 5000))
	_, l := serve(t, o)
	c, _ := connect(t, l, clean("c"))
	if got := mqtt.ReasonCode(0x87); c.publish("secret", "") != got {
		t.Errorf("not denied")
	}
	c.send(&mqtt.Publish{QoS: 1, PacketID: 1, Topic: []byte("secret")})
	if got := reasonOf(c.read()); len(got) < 1000 || len(got) > 1024 || !strings.HasPrefix(got, "\ufffd\ufffdä") {
		t.Errorf("%d bytes: %q", len(got), got)
	}
}

func TestNobodyExplainsUnlessAsked(t *testing.T) {
	o, _ := explained(t, "because")
	o.Explain = nil
	_, l := serve(t, o)
	c, _ := connect(t, l, clean("c"))
	c.send(&mqtt.Publish{QoS: 1, PacketID: 1, Topic: []byte("secret")})
	if got := reasonOf(c.read()); got != "" {
		t.Errorf("PUBACK says %q", got)
	}
}
