package mqtt

import "testing"

var connectCases = []wireCase{
	{
		name: "minimal", versions: only31, wire: "10 0f 0006 'MQIsdp' 03 02 003c 0001 'c'",
		packet: &Connect{Version: V31, CleanStart: true, KeepAlive: 60, ClientID: "c"},
	},
	{
		name: "minimal", versions: only311, wire: "10 0d 0004 'MQTT' 04 02 003c 0001 'c'",
		packet: &Connect{Version: V311, CleanStart: true, KeepAlive: 60, ClientID: "c"},
	},
	{
		name: "bridge", versions: only31, wire: "10 0f 0006 'MQIsdp' 83 00 003c 0001 'c'",
		packet: &Connect{Version: V31, Bridge: true, KeepAlive: 60, ClientID: "c"},
	},
	{
		name: "bridge", versions: only311, wire: "10 0d 0004 'MQTT' 84 00 003c 0001 'c'",
		packet: &Connect{Version: V311, Bridge: true, KeepAlive: 60, ClientID: "c"},
	},
	{
		name: "user name flag without user name", versions: only31,
		wire:      "10 0f 0006 'MQIsdp' 03 c2 003c 0001 'c'",
		packet:    &Connect{Version: V31, CleanStart: true, KeepAlive: 60, ClientID: "c"},
		canonical: "10 0f 0006 'MQIsdp' 03 02 003c 0001 'c'",
	},
	{
		name: "disregarded flags", versions: only31,
		wire:      "10 0f 0006 'MQIsdp' 03 3b 003c 0001 'c'",
		packet:    &Connect{Version: V31, CleanStart: true, KeepAlive: 60, ClientID: "c"},
		canonical: "10 0f 0006 'MQIsdp' 03 02 003c 0001 'c'",
	},
	{
		name: "flags in the fixed header", versions: only31,
		wire:      "1f 0f 0006 'MQIsdp' 03 02 003c 0001 'c'",
		packet:    &Connect{Version: V31, CleanStart: true, KeepAlive: 60, ClientID: "c"},
		canonical: "10 0f 0006 'MQIsdp' 03 02 003c 0001 'c'",
	},
	{
		name: "a length with more bytes than it needs", versions: only31,
		wire:      "10 8f 80 80 00 0006 'MQIsdp' 03 02 003c 0001 'c'",
		packet:    &Connect{Version: V31, CleanStart: true, KeepAlive: 60, ClientID: "c"},
		canonical: "10 0f 0006 'MQIsdp' 03 02 003c 0001 'c'",
	},
	{
		name: "a length with more bytes than it needs", versions: only311,
		wire:      "10 8d 00 0004 'MQTT' 04 02 003c 0001 'c'",
		packet:    &Connect{Version: V311, CleanStart: true, KeepAlive: 60, ClientID: "c"},
		canonical: "10 0d 0004 'MQTT' 04 02 003c 0001 'c'",
	},
	{
		name: "user name that is no UTF-8", versions: only31,
		wire:      "10 16 0006 'MQIsdp' 03 c2 003c 0001 'c' 0002 fffe 0001 'p'",
		packet:    &Connect{Version: V31, CleanStart: true, KeepAlive: 60, ClientID: "c"},
		canonical: "10 0f 0006 'MQIsdp' 03 02 003c 0001 'c'",
	},
	{
		name: "will, user name and password", versions: only31,
		wire: "10 1c 0006 'MQIsdp' 03 ec 000a 0001 'c' 0001 'w' 0002 'by' 0001 'u' 0001 'p'",
		packet: &Connect{
			Version: V31, KeepAlive: 10, ClientID: "c",
			Will:        &Will{Topic: "w", Payload: []byte("by"), QoS: 1, Retain: true},
			HasUsername: true, Username: "u", HasPassword: true, Password: []byte("p"),
		},
	},
	{
		name: "will, user name and password", versions: only311,
		wire: "10 1a 0004 'MQTT' 04 ec 000a 0001 'c' 0001 'w' 0002 'by' 0001 'u' 0001 'p'",
		packet: &Connect{
			Version: V311, KeepAlive: 10, ClientID: "c",
			Will:        &Will{Topic: "w", Payload: []byte("by"), QoS: 1, Retain: true},
			HasUsername: true, Username: "u", HasPassword: true, Password: []byte("p"),
		},
	},
	{
		name: "empty user name and password", versions: only311,
		wire: "10 11 0004 'MQTT' 04 c2 0000 0001 'c' 0000 0000",
		packet: &Connect{
			Version: V311, CleanStart: true, ClientID: "c",
			HasUsername: true, HasPassword: true, Password: []byte{},
		},
	},
	{
		name: "empty client identifier", versions: only5, wire: "10 0d 0004 'MQTT' 05 02 0000 00 0000",
		packet: &Connect{Version: V5, CleanStart: true},
	},
	{
		name: "every property, password alone", versions: only5,
		wire: "10 67 0004 'MQTT' 05 56 003c" +
			"23 11 0000000a 15 0001 'm' 16 0001 'd' 17 00 19 01 21 0014 22 000a 26 0001 'k' 0001 'v' 27 00001000" +
			" 0002 'id'" +
			"27 01 01 02 0000003c 03 0001 't' 08 0001 'r' 09 0002 0102 18 00000005 26 0001 'a' 0001 'b' 26 0001 'a' 0001 'c'" +
			" 0003 'w/t' 0001 'x' 0003 'pwd'",
		packet: &Connect{
			Version: V5, CleanStart: true, KeepAlive: 60, ClientID: "id",
			Properties: props(func(p *Properties) {
				p.SetSessionExpiry(10)
				p.SetAuthMethod("m")
				p.SetAuthData([]byte("d"))
				p.SetRequestProblemInfo(false)
				p.SetRequestResponseInfo(true)
				p.SetReceiveMaximum(20)
				p.SetTopicAliasMaximum(10)
				p.AddUser("k", "v")
				p.SetMaximumPacketSize(4096)
			}),
			Will: &Will{
				Topic: "w/t", Payload: []byte("x"), QoS: 2,
				Properties: props(func(p *Properties) {
					p.SetPayloadFormat(1)
					p.SetMessageExpiry(60)
					p.SetContentType("t")
					p.SetResponseTopic("r")
					p.SetCorrelationData([]byte{1, 2})
					p.SetWillDelay(5)
					p.AddUser("a", "b")
					p.AddUser("a", "c")
				}),
			},
			HasPassword: true, Password: []byte("pwd"),
		},
	},
}

func TestConnect(t *testing.T) {
	t.Parallel()
	testWire(t, connectCases)
}

func TestConnectIgnoresTheVersionGiven(t *testing.T) {
	t.Parallel()
	for _, v := range []Version{0, V31, V311, V5} {
		var c Connect
		if err := c.Decode(v, wire("10 0d 0004 'MQTT' 05 02 0000 00 0000")); err != nil || c.Version != V5 {
			t.Errorf("Decode(%v): version %v, %v", v, c.Version, err)
		}
	}
}

func TestRefusedConnectTellsItsVersion(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, wire string
		want       Version
	}{
		{"reserved flag", "10 0d 0004 'MQTT' 04 03 003c 0001 'c'", V311},
		{"bad property", "10 0f 0004 'MQTT' 05 02 0000 02 0100 0000", V5},
		{"bad UTF-8", "10 0f 0006 'MQIsdp' 03 02 003c 0001 ff", V31},
		{"unknown level", "10 0d 0004 'MQTT' 06 02 003c 0001 'c'", 0},
		{"unknown name", "10 0d 0004 'HTTP' 05 02 003c 0001 'c'", 0},
	} {
		got := Connect{Version: 9}
		if err := got.Decode(0, wire(c.wire)); err == nil || got.Version != c.want {
			t.Errorf("%s: version %v, want %v, error %v", c.name, got.Version, c.want, err)
		}
	}
}

func TestConnectWillIsNotReused(t *testing.T) {
	t.Parallel()
	var c Connect
	frame := wire("10 13 0004 'MQTT' 04 06 000a 0001 'c' 0001 'w' 0001 'x'")
	if err := c.Decode(0, frame); err != nil {
		t.Fatal(err)
	}
	kept := c.Will
	if err := c.Decode(0, frame); err != nil || c.Will == kept {
		t.Errorf("the second Decode reuses the first will, %v", err)
	}
}
