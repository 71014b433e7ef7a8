package mqtt

import (
	"bytes"
	"testing"
)

var unsubackCases = []wireCase{
	{name: "empty", versions: before5, wire: "b0 02 000a", packet: &Unsuback{PacketID: 10}},
	{
		name: "each code", versions: only5, wire: "b0 0a 000a 00 00 11 80 83 87 8f 91",
		packet: &Unsuback{PacketID: 10, Reasons: []ReasonCode{
			Success, NoSubscriptionExisted, UnspecifiedError, ImplementationSpecificError, NotAuthorized,
			TopicFilterInvalid, PacketIdentifierInUse,
		}},
	},
	{
		name: "properties", versions: only5, wire: "b0 10 000a 0c 1f 0002 'ok' 26 0001 'k' 0001 'v' 00",
		packet: &Unsuback{
			PacketID: 10, Reasons: []ReasonCode{Success},
			Properties: props(func(p *Properties) { p.SetReasonString("ok"); p.AddUser("k", "v") }),
		},
	},
}

func TestUnsuback(t *testing.T) {
	t.Parallel()
	testWire(t, unsubackCases)
}

func TestUnsubackBefore5WritesNoReasons(t *testing.T) {
	t.Parallel()
	u := &Unsuback{PacketID: 10, Reasons: []ReasonCode{Success, NotAuthorized}}
	if got, want := u.Append(nil, V311), wire("b0 02 000a"); !bytes.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
}
