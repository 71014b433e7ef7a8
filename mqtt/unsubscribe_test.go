package mqtt

import "testing"

var unsubscribeCases = []wireCase{
	{
		name: "two filters", versions: before5, wire: "a2 0a 000a 0003 'a/b' 0001 '#'",
		packet: &Unsubscribe{PacketID: 10, Filters: []string{"a/b", "#"}},
	},
	{
		name: "repeated", versions: only31, wire: "aa 05 000a 0001 '#'",
		packet: &Unsubscribe{PacketID: 10, Filters: []string{"#"}}, canonical: "a2 05 000a 0001 '#'",
	},
	{
		name: "properties", versions: only5, wire: "a2 0f 000a 07 26 0001 'k' 0001 'v' 0003 'a/b'",
		packet: &Unsubscribe{
			PacketID: 10, Filters: []string{"a/b"},
			Properties: props(func(p *Properties) { p.AddUser("k", "v") }),
		},
	},
}

func TestUnsubscribe(t *testing.T) {
	t.Parallel()
	testWire(t, unsubscribeCases)
}
