package mqtt

import (
	"bytes"
	"testing"
)

var disconnectCases = []wireCase{
	{name: "normal", versions: every, wire: "e0 00", packet: &Disconnect{}},
	{name: "reason alone", versions: only5, wire: "e0 01 04", packet: &Disconnect{Reason: DisconnectWithWill}},
	{
		name: "no properties spelled out", versions: only5, wire: "e0 02 00 00", packet: &Disconnect{},
		canonical: "e0 00",
	},
	{
		name: "every property", versions: only5,
		wire: "e0 17 9d 15 11 0000000a 1c 0001 's' 1f 0002 'no' 26 0001 'k' 0001 'v'",
		packet: &Disconnect{Reason: ServerMoved, Properties: props(func(p *Properties) {
			p.SetSessionExpiry(10)
			p.SetServerReference("s")
			p.SetReasonString("no")
			p.AddUser("k", "v")
		})},
	},
}

func TestDisconnect(t *testing.T) {
	t.Parallel()
	testWire(t, disconnectCases)
}

func TestDisconnectBefore5IsEmpty(t *testing.T) {
	t.Parallel()
	d := &Disconnect{Reason: ServerBusy, Properties: props(func(p *Properties) { p.SetReasonString("no") })}
	if got := d.Append(nil, V311); !bytes.Equal(got, wire("e0 00")) {
		t.Errorf("%x", got)
	}
}
