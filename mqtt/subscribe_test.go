package mqtt

import (
	"bytes"
	"testing"
)

var subscribeCases = []wireCase{
	{
		name: "two filters", versions: before5, wire: "82 0e 000a 0003 'a/b' 01 0003 'c/d' 02",
		packet: &Subscribe{PacketID: 10, Subscriptions: []Subscription{{"a/b", 1}, {"c/d", 2}}},
	},
	{
		name: "repeated", versions: only31, wire: "8a 06 000a 0001 '#' 00",
		packet:    &Subscribe{PacketID: 10, Subscriptions: []Subscription{{"#", 0}}},
		canonical: "82 06 000a 0001 '#' 00",
	},
	{
		name: "at QoS 0", versions: only31, wire: "80 06 000a 0001 '#' 00",
		packet:    &Subscribe{PacketID: 10, Subscriptions: []Subscription{{"#", 0}}},
		canonical: "82 06 000a 0001 '#' 00",
	},
	{
		name: "options", versions: only5, wire: "82 10 000a 00 0003 'a/b' 2e 0004 '$SYS' 11",
		packet: &Subscribe{PacketID: 10, Subscriptions: []Subscription{{"a/b", 0x2e}, {"$SYS", 0x11}}},
	},
	{
		name: "properties", versions: only5, wire: "82 11 000a 0a 0b 8001 26 0001 'k' 0001 'v' 0001 '+' 00",
		packet: &Subscribe{
			PacketID: 10, Subscriptions: []Subscription{{"+", 0}},
			Properties: props(func(p *Properties) { p.AddSubscriptionID(128); p.AddUser("k", "v") }),
		},
	},
	{
		name: "empty filter", versions: before5, wire: "82 05 000a 0000 01",
		packet: &Subscribe{PacketID: 10, Subscriptions: []Subscription{{"", 1}}},
	},
}

func TestSubscribe(t *testing.T) {
	t.Parallel()
	testWire(t, subscribeCases)
}

func TestSubscribeOptions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		o               SubscribeOptions
		qos             byte
		noLocal, retain bool
		handling        byte
	}{
		{0x00, 0, false, false, 0},
		{0x01, 1, false, false, 0},
		{0x06, 2, true, false, 0},
		{0x08, 0, false, true, 0},
		{0x11, 1, false, false, 1},
		{0x2e, 2, true, true, 2},
	} {
		if c.o.QoS() != c.qos || c.o.NoLocal() != c.noLocal || c.o.RetainAsPublished() != c.retain ||
			c.o.RetainHandling() != c.handling {
			t.Errorf("%02x: %d %v %v %d", byte(c.o), c.o.QoS(), c.o.NoLocal(), c.o.RetainAsPublished(), c.o.RetainHandling())
		}
	}
}

func TestSubscribeBefore5WritesTheQoSAlone(t *testing.T) {
	t.Parallel()
	s := &Subscribe{PacketID: 10, Subscriptions: []Subscription{{"a", 0x2e}}}
	if got, want := s.Append(nil, V311), wire("82 06 000a 0001 'a' 02"); !bytes.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
}
